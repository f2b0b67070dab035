//! `rmi describe`: what an agent serves, as tables.

use std::time::Duration;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets::UTF8_HORIZONTAL_ONLY};
use rmi_core::{
    CallError, Endpoint,
    contract::{Description, EventDescription, EventKindDescription, MethodDescription, ParamDescription},
    endpoint::EndpointDescription,
    message::Exception,
};

use crate::{
    arguments::time,
    connection::{Connection, close},
    ending::Ending,
    exit::Exit,
    out::{Out, printable},
};

/// Show what an agent serves
///
/// Classes, methods, arguments, results, exceptions and events, as far as the agent lets you reach them. Agents that speak the native
/// dialect and are not written with this framework cannot say it.
#[derive(Debug, Args)]
pub(crate) struct Describe {
    #[command(flatten)]
    connection: Connection,
    /// The agent's address
    address: String,
    /// One class only, or one method of it (CLASS.METHOD)
    class: Option<String>,
    /// How long the answer may take
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    timeout: Duration,
}

impl Describe {
    pub(crate) async fn run(self, out: &Out) -> Result<Exit, Box<Ending>> {
        let endpoint = self.connection.open(Some(self.timeout), Some((&self.address, "Admin")), out).await?;
        let ended = self.perform(&endpoint, out).await;
        close(&endpoint).await;
        ended
    }

    async fn perform(&self, endpoint: &Endpoint, out: &Out) -> Result<Exit, Box<Ending>> {
        let failed = |error: CallError<Exception>| self.connection.advise(Ending::of_call("describing", &error));
        let admin = endpoint.peer(self.address.as_str()).admin().timeout(self.timeout);
        let mut described = admin.describe(None).await.map_err(failed)?;
        if let Some(wanted) = &self.class {
            narrow(&mut described, wanted)?;
        }
        if out.is_json() {
            out.line(&described);
        } else {
            show(&described, self.class.is_some(), out);
        }
        Ok(Exit::Result)
    }
}

/// Leaves one class, or one method.
fn narrow(described: &mut EndpointDescription, wanted: &str) -> Result<(), Box<Ending>> {
    let served: Vec<_> = described.contracts.iter().map(|contract| contract.class.clone()).collect();
    if served.iter().any(|class| class == wanted) {
        described.contracts.retain(|contract| contract.class == wanted);
        return Ok(());
    }
    if let Some((class, method)) = wanted.rsplit_once('.')
        && served.iter().any(|served| served == class)
    {
        let mut known = Vec::new();
        described.contracts.retain_mut(|contract| {
            if contract.class != class {
                return false;
            }
            known.extend(contract.methods.iter().map(|method| method.name.clone()));
            contract.methods.retain(|known| known.name == method || known.aliases.iter().any(|alias| alias == method));
            contract.events = None;
            !contract.methods.is_empty()
        });
        if described.contracts.is_empty() {
            return Err(Ending::usage(format!("`{class}` has no method `{method}`")).try_this(known.join(", ")));
        }
        return Ok(());
    }
    Err(Ending::usage(format!("no class `{wanted}` is served at `{}`", described.address)).try_this(served.join(", ")))
}

fn show(described: &EndpointDescription, narrowed: bool, out: &Out) {
    let mut first = true;
    for contract in &described.contracts {
        // Every agent serves it: who wants to see it asks for it.
        if contract.class == "Admin" && !narrowed && described.contracts.len() > 1 {
            continue;
        }
        if !first {
            out.text("");
        }
        first = false;
        out.heading(&title(contract));
        if !contract.docs.is_empty() {
            out.text(&printable(&contract.docs));
        }
        if !contract.methods.is_empty() {
            out.text(&methods(contract, out).to_string());
        }
        if let Some(described) = &contract.events {
            out.text(&events(described, out).to_string());
        }
    }
    if !narrowed && described.contracts.iter().any(|contract| contract.class == "Admin") {
        out.aside(&format!("`{}` serves `Admin` as well, as every agent does: add `Admin` to see it", described.address));
    }
}

fn title(contract: &Description) -> String {
    let sequential = if contract.sequential { " (one request after the other)" } else { "" };
    format!("{} {}{sequential}", contract.class, contract.version)
}

fn table(headings: [&str; 5], out: &Out) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(headings);
    match out.width() {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table
}

fn methods(contract: &Description, out: &Out) -> Table {
    let mut table = table(["method", "arguments", "result", "raises", ""], out);
    for method in &contract.methods {
        let raises = method.error.as_ref().and_then(|error| error.variants.as_ref());
        let raises = raises.map(|variants| variants.iter().map(|variant| variant.class.clone()).collect::<Vec<_>>().join(", "));
        let result = method.result.as_ref().map_or_else(String::new, |result| result.name.clone());
        let arguments = method.params.iter().map(argument).collect::<Vec<_>>().join("\n");
        table.add_row([
            printable(&method.name),
            printable(&arguments),
            printable(&result),
            printable(&raises.unwrap_or_default()),
            printable(&about(method)),
        ]);
    }
    table
}

fn argument(param: &ParamDescription) -> String {
    let default = match (&param.default, param.optional) {
        (Some(default), _) => format!(" = {default}"),
        (None, true) => " (optional)".to_owned(),
        (None, false) => String::new(),
    };
    format!("{}: {}{default}", param.name, param.ty.name)
}

/// Documentation, and what a caller can rely on.
fn about(method: &MethodDescription) -> String {
    let time = |name: &str, millis: Option<u64>| {
        millis.map(|millis| format!("{name} {}", humantime::format_duration(Duration::from_millis(millis))))
    };
    let promises = [
        method.deprecated.as_ref().map(|note| format!("deprecated: {note}").trim_end_matches([':', ' ']).to_owned()),
        method.since.map(|since| format!("since {since}")),
        (!method.aliases.is_empty()).then(|| format!("also {}", method.aliases.join(", "))),
        method.idempotent.then(|| "idempotent".to_owned()),
        method.oneway.then(|| "one-way".to_owned()),
        method.progress.as_ref().map(|details| format!("progress of {}", details.name)),
        time("timeout", method.timeout_ms),
        time("ttl", method.ttl_ms),
    ];
    let promises = promises.into_iter().flatten().collect::<Vec<_>>().join(", ");
    [method.docs.as_str(), &promises].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}

fn events(described: &EventDescription, out: &Out) -> Table {
    let mut table = table(["event", "key", "fields", "", ""], out);
    for EventKindDescription { name, key, docs, fields, .. } in &described.kinds {
        let fields = fields.iter().map(|field| format!("{}: {}", field.name, field.ty.name)).collect::<Vec<_>>().join("\n");
        table.add_row([printable(name), printable(key), printable(&fields), printable(docs)]);
    }
    table
}

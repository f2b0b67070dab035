//! `rmi cancel`: a request of one's own, or all whose data meets criteria.

use std::time::Duration;

use clap::Args;
use rmi_core::{
    CallError, Endpoint,
    endpoint::Criteria,
    message::{Exception, Sn},
};
use serde::Serialize;

use crate::{
    arguments::{Value, time},
    connection::{Connection, close},
    ending::Ending,
    exit::Exit,
    out::Out,
};

/// Cancel requests of your own, by serial number or by their data
///
/// Prints the serial numbers of the requests that this cancelled: one that had been cancelled before is not among them. A method that
/// runs is told, and decides itself; one that has not started never runs.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    connection: Connection,
    /// The agent's address
    address: String,
    /// The request's serial number, as `rmi call --watch` and `--no-wait` say it
    #[arg(value_name = "SN", required_unless_present = "criteria")]
    sn: Option<String>,
    /// All requests whose data (`rmi call --data`) meets these criteria, as in '{"match":{"job":7}}'
    ///
    /// An object with one operator: match, eq, neq, in, gt, lt, and, or.
    #[arg(long = "where", value_name = "JSON", id = "criteria", conflicts_with = "sn")]
    criteria: Option<Value>,
    /// How long the answer may take
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    timeout: Duration,
}

#[derive(Serialize)]
struct CancelledLine<'a> {
    result: Vec<&'a str>,
}

impl Cancel {
    pub(crate) async fn run(self, out: &Out) -> Result<Exit, Box<Ending>> {
        let criteria = match &self.criteria {
            Some(Value(json)) => {
                let criteria: Criteria = json.decode().map_err(|e| Ending::usage(format!("--where: {e}")))?;
                Some(criteria)
            }
            None => None,
        };
        let endpoint = self.connection.open(Some(self.timeout), Some((&self.address, "Admin")), out).await?;
        let ended = self.perform(&endpoint, criteria.as_ref(), out).await;
        close(&endpoint).await;
        ended
    }

    async fn perform(&self, endpoint: &Endpoint, criteria: Option<&Criteria>, out: &Out) -> Result<Exit, Box<Ending>> {
        let failed = |error: CallError<Exception>| self.connection.advise(Ending::of_call("cancelling", &error));
        let admin = endpoint.peer(self.address.as_str()).admin().timeout(self.timeout);
        let cancelled = match (criteria, &self.sn) {
            (Some(criteria), _) => admin.cancel_where(criteria).await.map_err(failed)?,
            (None, sn) => {
                let long = || Ending::usage(format!("a serial number has at most {} bytes", Sn::MAX_LEN));
                let sn = Sn::new(sn.clone().unwrap_or_default()).ok_or_else(long)?;
                admin.cancel(&sn).await.map_err(failed)?
            }
        };
        if out.is_json() {
            out.line(&CancelledLine { result: cancelled.iter().map(Sn::as_str).collect() });
        } else if cancelled.is_empty() {
            out.note(if criteria.is_some() { "no request of yours meets the criteria" } else { "it had been cancelled before" });
        } else {
            cancelled.iter().for_each(|sn| out.text(sn.as_str()));
        }
        Ok(Exit::Result)
    }
}

//! The class `Admin`, which every endpoint serves: in a lane of its own, so that it reaches a busy agent.

mod client;
mod criteria;
mod number;
mod policy;
mod resume;

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock, Weak},
};

use self::resume::Resumption;
pub(crate) use self::resume::{Asked, MOST};
pub use self::{
    client::AdminClient,
    criteria::Criteria,
    policy::{AdminAction, AdminPolicy, Operators},
    resume::Known,
};

use crate::{
    context::Job,
    contract::{Contract, Method, Param, Version},
    endpoint::{EndpointDescription, admission::Key, binding::Binding, dispatch::Core},
    journal::Step,
    json::Json,
    lock::lock,
    message::{Exception, Outcome, Rejection, RejectionCode, Sn},
    protocol::Serials,
    seal::Principal,
    service::{BoxFuture, Invocation, MethodResult, Service},
};

/// The class.
pub(crate) const CLASS: &str = "Admin";
/// How many `Admin` calls run at a time.
pub(crate) const LANE: usize = 4;
/// How many an endpoint takes from the bus, at the address that is for them alone.
pub(crate) const PREFETCH: u32 = 16;
/// The longest criteria that are read, in bytes.
const CRITERIA: usize = 64 << 10;

pub(super) static CONTRACT: Contract = Contract::new(
    CLASS,
    Version { major: 1, minor: 0 },
    &[
        Method::new("hello", &[])
            .docs("Says hello.")
            .returns(<Result<String, Exception>>::RETURNED, "String", "Exception", None)
            .idempotent()
            .inline(),
        Method::new("echo", &[Param::new("text", "Json")])
            .docs("Returns its argument.")
            .returns(<Result<Json, Exception>>::RETURNED, "Json", "Exception", None)
            .idempotent()
            .inline(),
        Method::new("help", &[optional("class", "Option<String>")])
            .docs("Says what is served, with its documentation, as text: all of it, or one class.")
            .returns(<Result<String, Exception>>::RETURNED, "String", "Exception", None)
            .idempotent(),
        Method::new("describe", &[optional("class", "Option<String>")])
            .docs("Says what is served, as data: all of it, or one class.")
            .returns(<Result<EndpointDescription, Exception>>::RETURNED, "EndpointDescription", "Exception", None)
            .idempotent(),
        Method::new("cancel", &[optional("sn", "Option<String>"), optional("criteria", "Option<Criteria>")])
            .docs(
                "Cancels requests of the caller's own, by serial number or by criteria on their data, which count where both are given. \
                 Returns the serial numbers of those that this call cancelled.",
            )
            .returns(<Result<Vec<String>, Exception>>::RETURNED, "Vec<String>", "Exception", None)
            .idempotent()
            .inline(),
        Method::new(
            "resume",
            &[
                Param::new("calls", "Vec<(String, Option<String>)>"),
                Param::new("replyto", "String"),
                Param::new("in_line", "bool").with_default("false"),
            ],
        )
        .docs("Sends the statuses and outcomes of the caller's own requests to another address. Returns what is known of each.")
        .returns(<Result<Vec<String>, Exception>>::RETURNED, "Vec<Known>", "Exception", None)
        .idempotent()
        .inline(),
    ],
)
.docs("What every endpoint can be asked.");

const fn optional(name: &'static str, ty: &'static str) -> Param {
    Param::new(name, ty).with_default("None")
}

/// Whether a contract is the `Admin` that every endpoint serves, and not one of the program's own by that name.
pub(crate) fn is_admin(contract: &'static Contract) -> bool {
    std::ptr::eq(contract, &CONTRACT)
}

/// Serves `Admin`.
pub(crate) struct Admin {
    core: Arc<OnceLock<Weak<Core>>>,
    policy: Option<Arc<dyn AdminPolicy>>,
}

impl Admin {
    /// The service, and where it is told whose requests it cancels.
    pub(crate) fn new(policy: Option<Arc<dyn AdminPolicy>>) -> (Self, Arc<OnceLock<Weak<Core>>>) {
        let core = Arc::<OnceLock<Weak<Core>>>::default();
        (Admin { core: Arc::clone(&core), policy }, core)
    }

    async fn run(&self, call: &Invocation) -> Result<Outcome, Outcome> {
        let mut args = call.arguments()?;
        match call.method().name {
            "hello" => {
                args.end()?;
                let name = self.core().map(|core| core.name.to_string()).unwrap_or_default();
                Ok(result(&format!("Hello, I am {name}")))
            }
            "echo" => {
                let text: Json = args.required("text")?;
                args.end()?;
                Ok(Outcome::Result(text))
            }
            method @ ("help" | "describe") => {
                let class: Option<String> = args.optional("class", || None)?;
                args.end()?;
                let Some(core) = self.core() else { return Err(Rejection::new(RejectionCode::Closing, "").into()) };
                let described = core.describe_to(call.job.binding, class.as_deref()).map_err(Outcome::Exception)?;
                Ok(if method == "help" { result(&described.to_string()) } else { result(&described) })
            }
            "resume" => {
                let calls = args.required("calls")?;
                let to: String = args.required("replyto")?;
                let in_line = args.optional("in_line", || false)?;
                args.end()?;
                self.resume(&Resumption { calls, to: to.into(), in_line }, call).await
            }
            _ => {
                let sn: Option<Json> = args.optional("sn", || None)?;
                let criteria: Option<Json> = args.optional("criteria", || None)?;
                args.end()?;
                // As gofer's agents read them: criteria count where both are given, and who names neither cancels nothing.
                match (sn.filter(is_given), criteria.filter(is_given)) {
                    (_, Some(criteria)) => self.cancel_where(&criteria, call).await,
                    (Some(sn), None) => self.cancel(&serial_number(&sn)?, call).await,
                    (None, None) => Ok(Outcome::Result(Json::EMPTY_ARRAY)),
                }
            }
        }
    }

    fn core(&self) -> Option<Arc<Core>> {
        self.core.get().and_then(Weak::upgrade)
    }

    /// Whose requests by a binding somebody may touch: one's own, by the binding that one asks by, and those that the policy
    /// grants. Of the same name at another binding may be somebody else.
    fn owners(&self, at: &Binding, call: &Invocation, action: AdminAction) -> Vec<Principal> {
        let asker = &call.job.principal;
        let own = (at.index == call.job.binding).then(|| asker.clone());
        let mut owners = Vec::from_iter(own);
        if let Some(policy) = &self.policy {
            let others = lock(&at.window).principals();
            for other in others {
                if !owners.contains(&other) && policy.permits(asker, action, &other) {
                    owners.push(other);
                }
            }
        }
        owners
    }

    async fn cancel(&self, sn: &str, call: &Invocation) -> Result<Outcome, Outcome> {
        let unknown = || {
            let text = format!("serial number ({sn}), not-found");
            Outcome::from(Exception::new("builtins", "Exception", text))
        };
        let parsed = Sn::new(sn).ok_or_else(unknown)?;
        let core = self.core().ok_or_else(unknown)?;
        let key = Key::new(&parsed, None);
        let mut jobs = Vec::new();
        for binding in with_global_serials(&core) {
            let owners = self.owners(binding, call, AdminAction::Cancel);
            let window = lock(&binding.window);
            jobs.extend(owners.iter().flat_map(|owner| window.running(owner, &key)));
        }
        if jobs.is_empty() {
            return Err(unknown());
        }
        Ok(result(&cancel(&core, jobs).await))
    }

    async fn cancel_where(&self, criteria: &Json, call: &Invocation) -> Result<Outcome, Outcome> {
        let refuse = |details: String| Outcome::from(Rejection::new(RejectionCode::Arguments, details));
        let length = criteria.as_str().len();
        if length > CRITERIA {
            return Err(refuse(format!("argument `criteria`: {length} bytes, at most {CRITERIA} are read")));
        }
        let criteria: Criteria = criteria.decode().map_err(|e| refuse(format!("argument `criteria`: {e}")))?;
        let Some(core) = self.core() else { return Ok(Outcome::Result(Json::EMPTY_ARRAY)) };
        let mut jobs = Vec::new();
        for binding in with_global_serials(&core) {
            let owners = self.owners(binding, call, AdminAction::Cancel);
            let window = lock(&binding.window);
            jobs.extend(owners.iter().flat_map(|owner| window.all_running(owner)));
        }
        // Whoever asks for a cancellation does not mean the request that asks.
        let meant = |job: &Arc<Job>| !Arc::ptr_eq(job, &call.job) && job.data.as_ref().is_some_and(|data| criteria.matches(data));
        jobs.retain(meant);
        Ok(result(&cancel(&core, jobs).await))
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

/// Whether Python takes it for something.
fn is_given(argument: &Json) -> bool {
    use serde_json::Value;
    match argument.decode() {
        Ok(Value::Null | Value::Bool(false)) => false,
        Ok(Value::Number(number)) => number.as_f64() != Some(0.0),
        Ok(Value::String(text)) => !text.is_empty(),
        Ok(Value::Array(items)) => !items.is_empty(),
        Ok(Value::Object(members)) => !members.is_empty(),
        // What is too large, or too deep, to be looked at is refused as what it was given for.
        Ok(Value::Bool(true)) | Err(_) => true,
    }
}

/// A serial number as it is kept: of a number, which some peers count their requests by, its digits.
fn serial_number(sn: &Json) -> Result<String, Rejection> {
    match sn.as_str().as_bytes() {
        [b'-' | b'0'..=b'9', ..] => Ok(sn.as_str().to_owned()),
        _ => sn.decode().map_err(|e| Rejection::new(RejectionCode::Arguments, format!("argument `sn`: {e}"))),
    }
}

/// A serial number that is good on its link alone is cancelled by its own dialect, not by number from elsewhere.
fn with_global_serials(core: &Core) -> impl Iterator<Item = &Arc<Binding>> {
    core.bindings.iter().filter(|binding| binding.features.serials == Serials::Global)
}

/// Cancels what has not been cancelled yet, and says which: each serial number once. Where requests are written down, so is that:
/// whoever is told that one is cancelled finds it so after a restart.
async fn cancel(core: &Core, jobs: Vec<Arc<Job>>) -> Vec<String> {
    let mut cancelled = BTreeSet::new();
    let mut marks = Vec::new();
    for job in jobs {
        if job.cancel.newly_set() {
            marks.extend(job.record.map(|id| Step::Cancelled { id }));
            cancelled.extend(job.sn.as_ref().map(ToString::to_string));
        }
    }
    if let (Some(journal), false) = (&core.journal, marks.is_empty())
        && let Err(error) = journal.record(marks).await
    {
        tracing::error!(%error, "a cancellation could not be written down; it holds until the agent is started again");
    }
    cancelled.into_iter().collect()
}

fn result<T: serde::Serialize + ?Sized>(value: &T) -> Outcome {
    Outcome::Result(Json::encode(value).unwrap_or_default())
}

impl Service for Admin {
    fn contract(&self) -> &'static Contract {
        &CONTRACT
    }

    fn dispatch(&self, call: Invocation) -> BoxFuture<'_, Outcome> {
        Box::pin(async move { self.run(&call).await.unwrap_or_else(|outcome| outcome) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    #[test]
    fn what_python_takes_for_nothing_is_not_given() {
        for (text, given) in [
            ("null", false),
            ("false", false),
            ("0", false),
            ("-0.0", false),
            ("\"\"", false),
            ("[ ]", false),
            ("{ }", false),
            ("true", true),
            ("1", true),
            ("\"0\"", true),
            ("[null]", true),
            ("{\"eq\": null}", true),
        ] {
            assert_eq!(is_given(&Json::parse(Text::from(text)).unwrap()), given, "{text}");
        }
    }
}

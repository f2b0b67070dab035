//! The class `Admin`, which every endpoint serves: in a lane of its own, so that it reaches a busy agent.

use std::sync::{OnceLock, Weak};

use crate::{
    contract::{Contract, Method, Param, Version},
    endpoint::{EndpointDescription, admission::Key, dispatch::Core},
    json::Json,
    lock::lock,
    message::{Exception, Outcome, Rejection, RejectionCode, Sn},
    protocol::Serials,
    seal::Principal,
    service::{BoxFuture, Invocation, MethodResult, Service},
};

/// How many `Admin` calls run at a time.
pub(crate) const LANE: usize = 4;

static CONTRACT: Contract = Contract::new(
    "Admin",
    Version { major: 1, minor: 0 },
    &[
        Method::new("hello", &[])
            .docs("Says hello.")
            .returns(<Result<String, Exception>>::RETURNED, "String", "Exception", None)
            .idempotent()
            .inline(),
        Method::new("echo", &[Param::new("something", "Json")])
            .docs("Returns its argument.")
            .returns(<Result<Json, Exception>>::RETURNED, "Json", "Exception", None)
            .idempotent()
            .inline(),
        Method::new("help", &[class()])
            .docs("Says what is served, with its documentation, as text: all of it, or one class.")
            .returns(<Result<String, Exception>>::RETURNED, "String", "Exception", None)
            .idempotent(),
        Method::new("describe", &[class()])
            .docs("Says what is served, as data: all of it, or one class.")
            .returns(<Result<EndpointDescription, Exception>>::RETURNED, "EndpointDescription", "Exception", None)
            .idempotent(),
        Method::new("cancel", &[Param::new("sn", "String")])
            .docs("Cancels a request of the caller's own. Returns the serial numbers that were cancelled by this call.")
            .returns(<Result<Vec<String>, Exception>>::RETURNED, "Vec<String>", "Exception", None)
            .idempotent()
            .inline(),
    ],
)
.docs("What every endpoint can be asked.");

const fn class() -> Param {
    Param::new("class", "Option<String>").with_default("None")
}

/// Serves `Admin`.
#[derive(Debug, Default)]
pub(crate) struct Admin {
    core: std::sync::Arc<OnceLock<Weak<Core>>>,
}

impl Admin {
    /// The service, and where it is told whose requests it cancels.
    pub(crate) fn new() -> (Self, std::sync::Arc<OnceLock<Weak<Core>>>) {
        let admin = Admin::default();
        let core = std::sync::Arc::clone(&admin.core);
        (admin, core)
    }

    fn run(&self, call: &Invocation) -> Result<Outcome, Outcome> {
        let mut args = call.arguments()?;
        match call.method().name {
            "hello" => {
                args.end()?;
                let name = self.core().map(|core| core.name.to_string()).unwrap_or_default();
                Ok(result(&format!("Hello, I am {name}")))
            }
            "echo" => {
                let something: Json = args.required("something")?;
                args.end()?;
                Ok(Outcome::Result(something))
            }
            method @ ("help" | "describe") => {
                let class: Option<String> = args.optional("class", || None)?;
                args.end()?;
                let Some(core) = self.core() else { return Err(Rejection::new(RejectionCode::Closing, "").into()) };
                let described = core.describe_class(class.as_deref()).map_err(Outcome::Exception)?;
                Ok(if method == "help" { result(&described.to_string()) } else { result(&described) })
            }
            _ => {
                let sn: String = args.required("sn")?;
                args.end()?;
                self.cancel(&sn, &call.job.principal)
            }
        }
    }

    fn core(&self) -> Option<std::sync::Arc<Core>> {
        self.core.get().and_then(Weak::upgrade)
    }

    fn cancel(&self, sn: &str, principal: &Principal) -> Result<Outcome, Outcome> {
        let unknown = || {
            let text = format!("serial number ({sn}), not-found");
            Outcome::from(Exception::new("builtins", "Exception", text))
        };
        let parsed = Sn::new(sn).ok_or_else(unknown)?;
        let core = self.core().ok_or_else(unknown)?;
        // A serial number that is good on its link alone is cancelled by its own dialect, not by number from elsewhere.
        let global = core.bindings.iter().filter(|b| b.features.serials == Serials::Global);
        let job = global
            .filter_map(|binding| lock(&binding.window).running(principal, &Key::new(&parsed, None)))
            .next()
            .ok_or_else(unknown)?;
        if job.cancel.is_set() {
            return Ok(Outcome::Result(Json::EMPTY_ARRAY));
        }
        job.cancel.set();
        Ok(result(&[sn]))
    }
}

fn result<T: serde::Serialize + ?Sized>(value: &T) -> Outcome {
    Outcome::Result(Json::encode(value).unwrap_or_default())
}

impl Service for Admin {
    fn contract(&self) -> &'static Contract {
        &CONTRACT
    }

    fn dispatch(&self, call: Invocation) -> BoxFuture<'_, Outcome> {
        Box::pin(async move { self.run(&call).unwrap_or_else(|outcome| outcome) })
    }
}

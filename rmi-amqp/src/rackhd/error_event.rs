//! Errors as RackHD says them: a reply of the type `ErrorEvent`.

use std::fmt;

use rmi_core::{
    error::RemoteError,
    json::Json,
    message::{Exception, Outcome, Rejection, RejectionCode},
    text::Text,
};
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use super::{
    body::{pick, string},
    kind::VIOLATION,
};

/// What the type of an error is called. Nothing else tells an error from a result.
pub(super) const ERROR_EVENT: &str = "ErrorEvent";

/// The module of an error that was read, unless a contract knows it or it is one of ours.
const MODULE: &str = "rackhd";

/// What is in the context for an error of ours that has fields without names.
const ARGUMENTS: &str = "args";

/// An error as RackHD's services raise them: whatever its name is, with everything that its peer said of it.
///
/// A contract that is to be served and called beside RackHD's own services may have it as its error. It travels in other dialects as
/// well, as an exception of the class `name`. Contracts may as well have errors of their own: each of them is an `ErrorEvent` here,
/// named after its class, with its fields as the context.
///
/// ```
/// use rmi_amqp::rackhd::ErrorEvent;
///
/// let error = ErrorEvent::not_found("no such lease: 10.1.1.99").with("ip", "10.1.1.99");
/// assert_eq!((error.name.as_str(), error.status), ("NotFoundError", Some(404)));
/// assert_eq!(error.to_string(), "NotFoundError: no such lease: 10.1.1.99");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorEvent {
    /// The class of the error: `NotFoundError`.
    pub name: String,
    /// What is wrong.
    pub message: String,
    /// Where it was raised, as JavaScript writes it: the name and the message stand before it.
    pub stack: String,
    /// What belongs to it.
    pub context: Map<String, Value>,
    /// The status that RackHD's API answers with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// The status that on-core gives the errors of these names.
fn status_of(name: &str) -> Option<u16> {
    Some(match name {
        "BadRequestError" => 400,
        "UnauthorizedError" => 401,
        "ForbiddenError" => 403,
        "NotFoundError" => 404,
        "ConflictError" => 409,
        "InternalServerError" | "TemplateRenderError" => 500,
        "NotImplementedError" => 501,
        _ => return None,
    })
}

fn is_status(status: u64) -> Option<u16> {
    u16::try_from(status).ok().filter(|status| (100..600).contains(status))
}

impl ErrorEvent {
    /// An error of this name, with the status that RackHD gives such errors.
    #[must_use]
    pub fn new(name: impl Into<String>, message: impl Into<String>) -> Self {
        let (name, message) = (name.into(), message.into());
        let (stack, status) = (format!("{name}: {message}"), status_of(&name));
        ErrorEvent { name, message, stack, context: Map::new(), status }
    }

    /// What was asked for is not there: `NotFoundError`, 404.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new("NotFoundError", message)
    }

    /// What was asked is not right: `BadRequestError`, 400.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new("BadRequestError", message)
    }

    /// What was asked does not go together with what is: `ConflictError`, 409.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new("ConflictError", message)
    }

    /// It is not the caller's fault: `InternalServerError`, 500.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("InternalServerError", message)
    }

    /// The same error with something that belongs to it.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.context.insert(name.into(), value.into());
        self
    }

    /// The error that an outcome is; `None` for a result.
    pub(super) fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Result(_) => None,
            Outcome::Exception(exception) => Some(Self::raised(exception)),
            Outcome::Rejected(rejection) => Some(Self::rejected(rejection)),
            Outcome::Aborted(abort) => {
                Some(ErrorEvent { status: Some(500), ..Self::new(abort.reason.as_str(), &*abort.message) })
            }
        }
    }

    fn raised(exception: &Exception) -> Self {
        let class = exception.class();
        let mut context: Map<String, Value> = exception.xstate.decode().unwrap_or_default();
        context.remove("trace");
        let ours = exception.xmodule.as_deref().is_some_and(|module| module.starts_with("rmi."));
        // `Class: message`, which may be more than a line; from elsewhere there may be a trace in it.
        let after = exception.exval.strip_prefix(class).and_then(|rest| rest.strip_prefix(": ")).filter(|_| ours);
        let message = after.map_or_else(|| exception.message(), str::to_owned);
        if let Ok(arguments) = exception.xargs.decode::<Vec<Value>>()
            && !matches!(&*arguments, [] | [Value::String(_)] if arguments.iter().all(|said| *said == *message))
        {
            context.entry(ARGUMENTS).or_insert(Value::Array(arguments));
        }
        let status = context.get("status").and_then(Value::as_u64).and_then(is_status);
        if status.is_some() {
            context.remove("status");
        }
        let stack = exception.trace().filter(|trace| !trace.is_empty()).unwrap_or_else(|| exception.exval.to_string());
        ErrorEvent { name: class.to_owned(), message, stack, context, status: status.or_else(|| status_of(class)) }
    }

    /// What never ran. Two of these on-core says as well, and they are in its words: who looks closer finds more in the stack.
    fn rejected(rejection: &Rejection) -> Self {
        let details = if rejection.details.is_empty() { &rejection.description } else { &rejection.details };
        let name = match rejection.code {
            RejectionCode::Malformed => return Self::new("Error", &**details),
            RejectionCode::Arguments => {
                let mut error = Self::new("Error", VIOLATION);
                error.stack = format!("Error: {VIOLATION}\n    {details}");
                return error;
            }
            RejectionCode::Authentication => "UnauthorizedError",
            RejectionCode::Authorization | RejectionCode::ReplyAddress => "ForbiddenError",
            RejectionCode::UnknownClass
            | RejectionCode::UnknownMethod
            | RejectionCode::UnknownVersion
            | RejectionCode::Nobody => "NotImplementedError",
            RejectionCode::Limit | RejectionCode::ModelVersion => "BadRequestError",
            _ => "RejectedError",
        };
        Self::new(name, rejection.to_string()).with("code", rejection.code.as_str())
    }

    /// Reads an error, as a peer may have written it: of what is not as it should be nothing is taken. An array has no members, and is
    /// one all the same. `None` when it is neither.
    pub(super) fn read(body: &str) -> Option<Self> {
        let [name, message, stack, context, status] = pick(["name", "message", "stack", "context", "status"], body).ok()?;
        let text = |value: Option<&RawValue>| string(value?).ok();
        let name = text(name).filter(|name| !name.is_empty()).unwrap_or_else(|| "Error".to_owned());
        let mut error = ErrorEvent::new(name, text(message).unwrap_or_default());
        if let Some(stack) = text(stack).filter(|stack| !stack.is_empty()) {
            error.stack = stack;
        }
        error.context = context.and_then(|context| serde_json::from_str(context.get()).ok()).unwrap_or_default();
        error.status = status.and_then(|status| serde_json::from_str(status.get()).ok()).and_then(is_status);
        Some(error)
    }

    /// The exception that it is here. `module` is that of its class, if that is known.
    pub(super) fn into_exception(self, module: Option<Text>) -> Exception {
        let ErrorEvent { name, message, stack, context: mut state, status } = self;
        let module = module.unwrap_or_else(|| Text::from_static(MODULE));
        let ours = module.starts_with("rmi.");
        let arguments = match state.get(ARGUMENTS) {
            Some(Value::Array(_)) if ours => state.remove(ARGUMENTS).unwrap_or_default(),
            _ => Value::Array(vec![Value::String(message.clone())]),
        };
        if let Some(status) = status {
            state.entry("status").or_insert(status.into());
        }
        state.insert("trace".to_owned(), Value::String(stack.clone()));
        Exception {
            exval: Text::from(if ours { format!("{name}: {message}") } else { stack }),
            xmodule: Some(module),
            xclass: Some(Text::from(name)),
            xargs: Json::from(arguments),
            xstate: Json::from(Value::Object(state)),
        }
    }
}

impl fmt::Display for ErrorEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

impl std::error::Error for ErrorEvent {}

/// Every error of a peer is one.
impl RemoteError for ErrorEvent {
    fn to_exception(&self, _: &str) -> Exception {
        self.clone().into_exception(None)
    }

    fn from_exception(exception: &Exception, _: &str) -> Option<Self> {
        Some(Self::raised(exception))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(outcome: &Outcome) -> Value {
        serde_json::to_value(ErrorEvent::of(outcome)).unwrap()
    }

    fn heard(body: &Value, module: Option<&str>) -> Exception {
        ErrorEvent::read(&body.to_string()).unwrap().into_exception(module.map(Text::from))
    }

    #[test]
    fn an_error_of_ours_comes_back_as_it_went() {
        let sent = Exception {
            exval: Text::from("DhcpError.OutOfPool: no\npool"),
            xmodule: Some(Text::from("rmi.dhcp")),
            xclass: Some(Text::from("DhcpError.OutOfPool")),
            xargs: Json::from(json!(["a", 7])),
            xstate: Json::from(json!({"ip": "10.1.1.9", "trace": "DhcpError.OutOfPool: no\npool"})),
        };
        let wire = written(&Outcome::from(sent.clone()));
        assert_eq!(
            wire,
            json!({
                "name": "DhcpError.OutOfPool", "message": "no\npool", "stack": "DhcpError.OutOfPool: no\npool",
                "context": {"ip": "10.1.1.9", "args": ["a", 7]}
            })
        );
        assert_eq!(heard(&wire, Some("rmi.dhcp")), sent);
    }

    #[test]
    fn an_error_event_comes_back_whole_by_any_dialect() {
        let sent = ErrorEvent {
            stack: "Error: m\n    at x.js:1".to_owned(),
            status: Some(410),
            ..ErrorEvent::not_found("no\nsuch lease").with("ip", "10.1.1.9").with("args", json!([1]))
        };
        // By the envelope it is an exception, and here it is itself.
        assert_eq!(ErrorEvent::from_exception(&sent.to_exception("dhcp"), "dhcp").as_ref(), Some(&sent));
        let wire = written(&Outcome::from(sent.to_exception("dhcp")));
        assert_eq!(wire["message"], "no\nsuch lease");
        assert_eq!(ErrorEvent::from_exception(&heard(&wire, None), "dhcp"), Some(sent));
    }

    #[test]
    fn names_have_their_status_and_a_status_of_its_own_counts() {
        let raised = |state: Value| {
            let mut exception = Exception::new(MODULE, "NotFoundError", "no such lease");
            exception.xstate = Json::from(state);
            written(&Outcome::from(exception))
        };
        assert_eq!(raised(json!({}))["status"], 404);
        let own = raised(json!({"status": 410, "ip": "10.1.1.9"}));
        assert_eq!((&own["status"], &own["context"]), (&json!(410), &json!({"ip": "10.1.1.9"})));
        // What is no status of HTTP is a field like others.
        let field = raised(json!({"status": 7}));
        assert_eq!((&field["status"], &field["context"]), (&json!(404), &json!({"status": 7})));
    }

    #[test]
    fn what_a_peer_leaves_out_is_filled_in() {
        let heard = heard(&json!({"name": 7, "message": "m", "context": [], "status": "x", "more": {}}), None);
        assert_eq!((heard.class(), &*heard.message(), &*heard.exval), ("Error", "m", "Error: m"));
        assert_eq!(heard.xmodule.as_deref(), Some(MODULE));
        assert_eq!(ErrorEvent::read("{}").map(|e| e.name).as_deref(), Some("Error"));
        assert_eq!(ErrorEvent::read("[]").map(|e| e.name).as_deref(), Some("Error"));
        assert_eq!(ErrorEvent::read("7"), None);
    }

    #[test]
    fn refusals_are_in_on_cores_words() {
        let rejection = Rejection::new(RejectionCode::Arguments, "`ip`: invalid");
        let wire = written(&Outcome::Rejected(rejection));
        assert_eq!((&wire["name"], &wire["message"], &wire["context"]), (&json!("Error"), &json!(VIOLATION), &json!({})));
        assert!(wire["stack"].as_str().unwrap().contains("`ip`: invalid"));
        let forbidden = written(&Outcome::Rejected(Rejection::new(RejectionCode::Authorization, "")));
        assert_eq!((&forbidden["status"], &forbidden["context"]["code"]), (&json!(403), &json!("security.authorization")));
    }
}

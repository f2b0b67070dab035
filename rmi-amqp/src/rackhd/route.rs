//! Where a method is on the bus, and what its bodies look like.

/// Where one method of one contract is on the bus, and what its bodies look like.
///
/// A method that has no route is where its names say: on the exchange that is called like its class, under `methods.` and its own name,
/// with its arguments as the members of an `Object` and a `Result` as its reply. A route says what is different.
///
/// ```
/// use rmi_amqp::rackhd::{Form, RackHd, Route};
///
/// const ROUTES: &[Route] = &[
///     Route::new("dhcp", "lookupIpLease").request(Form::Value("IpAddress")).reply(Form::Value("MacAddress")),
///     Route::new("task", "run").key("run.{taskId}").request(Form::Nested("Result")),
/// ];
/// let dialect = RackHd::on().routes(ROUTES);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub(super) class: &'static str,
    pub(super) method: &'static str,
    pub(super) exchange: Option<&'static str>,
    pub(super) key: Option<&'static str>,
    pub(super) request: Form,
    pub(super) reply: Form,
}

impl Route {
    /// A method, by its class and name as on other wires, where it is unless something else is said.
    #[must_use]
    pub const fn new(class: &'static str, method: &'static str) -> Self {
        Route { class, method, exchange: None, key: None, request: Form::Members(OBJECT), reply: Form::Value(RESULT) }
    }

    /// The exchange by its plain name (`dhcp`): the [`Profile`](super::Profile) knows what it is called on the bus.
    #[must_use]
    pub const fn exchange(mut self, plain: &'static str) -> Self {
        self.exchange = Some(plain);
        self
    }

    /// The template of the routing key: words between dots, of which each is itself or, in braces, the wire name of a parameter.
    /// Such a parameter is a text, travels in the key alone, and is one word of it.
    #[must_use]
    pub const fn key(mut self, template: &'static str) -> Self {
        self.key = Some(template);
        self
    }

    /// What the body of a request is.
    #[must_use]
    pub const fn request(mut self, form: Form) -> Self {
        self.request = form;
        self
    }

    /// What the body of a reply is.
    #[must_use]
    pub const fn reply(mut self, form: Form) -> Self {
        self.reply = form;
        self
    }
}

/// What a body looks like, and what its type is called in the property `type`. A body is an object in every form, because
/// anything else brings a RackHD peer down; what is `null` is left out, as JavaScript does with what is undefined.
///
/// A request of another type than its method's is refused, unless that is `Object` or `Result`, which say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// The arguments are members: `{"name": .., "options": ..}`. A result has to be an object, and is the body.
    Members(&'static str),
    /// The one argument, or the result: `{"value": ..}`.
    Value(&'static str),
    /// The arguments are members one level down: `{"value": {"key": ..}}`. A result is as with [`Form::Value`].
    Nested(&'static str),
    /// The one argument, or the result, which has to be an object, is the body.
    Whole(&'static str),
}

/// The type of a body that is only an object.
pub(super) const OBJECT: &str = "Object";
/// The type of a body that wraps a value.
pub(super) const RESULT: &str = "Result";

impl Form {
    /// The name of the type.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Form::Members(kind) | Form::Value(kind) | Form::Nested(kind) | Form::Whole(kind) => kind,
        }
    }

    /// Whether a request has to be of this type.
    pub(super) fn is_typed(self) -> bool {
        !matches!(self.kind(), OBJECT | RESULT)
    }
}

/// Where events are on the bus whose keys match a pattern.
///
/// Events that have no route are on the exchange `events`, and their bodies are of the type `Object`.
///
/// ```
/// use rmi_amqp::rackhd::{EventRoute, RackHd};
///
/// const EVENTS: &[EventRoute] = &[
///     EventRoute::new("poller.alert.*").of("Result"),
///     EventRoute::new("warning").exchange("logging").of("LogEvent"),
/// ];
/// let dialect = RackHd::on().events(EVENTS);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRoute {
    pub(super) pattern: &'static str,
    pub(super) exchange: &'static str,
    pub(super) kind: &'static str,
}

/// The exchange that events are on unless something else is said.
pub(super) const EVENTS: &str = "events";

impl EventRoute {
    /// Events whose keys match this pattern, in which `*` stands for one word and `#` for any number of them, where they are unless
    /// something else is said. Of several patterns that match a key the one with the most words of its own counts.
    #[must_use]
    pub const fn new(pattern: &'static str) -> Self {
        EventRoute { pattern, exchange: EVENTS, kind: OBJECT }
    }

    /// The exchange by its plain name.
    #[must_use]
    pub const fn exchange(mut self, plain: &'static str) -> Self {
        self.exchange = plain;
        self
    }

    /// What the body's type is called.
    #[must_use]
    pub const fn of(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }
}

//! The generations of the conventions, and what is between them.

use rmi_core::text::Text;

use super::kind::Demands;

/// In which generation's words RackHD's conventions are spoken: names of exchanges, how they are declared, what travels beside a
/// message.
///
/// ```
/// use rmi_amqp::rackhd::Profile;
///
/// // The last release, except that the exchanges were declared by somebody else, and one is called otherwise.
/// let ours = Profile::on().passive(true).rename("logging", "site.logging");
/// assert_eq!(ours.exchange("dhcp"), "on.dhcp");
/// assert_eq!(ours.exchange("logging"), "site.logging");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    prefix: Text,
    renamed: Vec<(Text, Text)>,
    pub(super) durable: bool,
    pub(super) auto_delete: bool,
    pub(super) passive: bool,
    pub(super) correlation_ids: bool,
    pub(super) headers: bool,
    pub(super) reply_types: ReplyTypes,
    /// It was made from the first generation's.
    pub(super) first: bool,
}

/// What a caller thinks of the type of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReplyTypes {
    /// Any type is a result, and none too, unless it is `ErrorEvent`: so RackHD's own callers read replies.
    #[default]
    Any,
    /// The type has to be the one of the method's [`Route`](super::Route), or `Result`. Others are an error.
    Declared,
}

impl Profile {
    fn new(prefix: &'static str) -> Self {
        Profile {
            prefix: Text::from_static(prefix),
            renamed: Vec::new(),
            durable: true,
            auto_delete: false,
            passive: false,
            correlation_ids: false,
            headers: false,
            reply_types: ReplyTypes::default(),
            first: false,
        }
    }

    /// As the last release (on-core 2): `on.` before the names of the exchanges, which stay when nobody uses them.
    #[must_use]
    pub fn on() -> Self {
        Self::new("on.")
    }

    /// As the conventions were first written down, until March 2015: the exchanges' plain names, which go with their last user
    /// (`auto_delete`), a correlation id and an empty table of headers on every message, MAC addresses that may have dashes, and logs of
    /// nine levels.
    #[must_use]
    pub fn legacy() -> Self {
        Profile { auto_delete: true, correlation_ids: true, headers: true, first: true, ..Self::new("") }
    }

    /// What stands before the names of all exchanges.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<Text>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// What one exchange is called, whatever the prefix is.
    #[must_use]
    pub fn rename(mut self, exchange: impl Into<Text>, name: impl Into<Text>) -> Self {
        let exchange = exchange.into();
        self.renamed.retain(|(renamed, _)| *renamed != exchange);
        self.renamed.push((exchange, name.into()));
        self
    }

    /// Whether exchanges are declared so that they outlive the broker. They are, in all generations.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Whether exchanges are declared so that they go with their last queue. Whoever declares one with other options than it has is
    /// refused by the broker, so all peers have to agree; or see [`passive`](Self::passive).
    #[must_use]
    pub fn auto_delete(mut self, auto_delete: bool) -> Self {
        self.auto_delete = auto_delete;
        self
    }

    /// Whether exchanges are only looked for, whatever their options are, and not made.
    #[must_use]
    pub fn passive(mut self, passive: bool) -> Self {
        self.passive = passive;
        self
    }

    /// Whether requests carry a correlation id, which their replies repeat. It is never needed.
    #[must_use]
    pub fn correlation_ids(mut self, written: bool) -> Self {
        self.correlation_ids = written;
        self
    }

    /// Whether messages have a table of headers beside them, with nothing in it: the first generation kept there what it traced. It is
    /// never needed.
    #[must_use]
    pub fn headers(mut self, written: bool) -> Self {
        self.headers = written;
        self
    }

    /// What a caller thinks of the type of a reply.
    #[must_use]
    pub fn reply_types(mut self, policy: ReplyTypes) -> Self {
        self.reply_types = policy;
        self
    }

    /// What an exchange of the conventions (`dhcp`, `task-graph-runner`) is called on the bus.
    #[must_use]
    pub fn exchange(&self, plain: &str) -> Text {
        match self.renamed.iter().find(|(exchange, _)| *exchange == *plain) {
            Some((_, name)) => name.clone(),
            None if self.prefix.is_empty() => Text::from(plain),
            None => Text::from(format!("{}{plain}", self.prefix)),
        }
    }

    /// What its peers demand of bodies.
    pub(super) fn demands(&self) -> Demands {
        if self.first { Demands::First } else { Demands::Last }
    }

    /// Which exchange of the conventions has this name on the bus.
    pub(super) fn plain<'n>(&'n self, name: &'n str) -> Option<&'n str> {
        match self.renamed.iter().find(|(_, renamed)| *renamed == *name) {
            Some((exchange, _)) => Some(exchange),
            None => name.strip_prefix(&*self.prefix),
        }
    }
}

impl Default for Profile {
    /// That of the last release.
    fn default() -> Self {
        Self::on()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_both_ways() {
        let profile = Profile::on().rename("logging", "site.logging");
        for plain in ["dhcp", "task-graph-runner", "logging"] {
            assert_eq!(profile.plain(&profile.exchange(plain)), Some(plain));
        }
        assert_eq!(profile.plain("dhcp"), None);
        assert_eq!(Profile::legacy().plain("dhcp"), Some("dhcp"));
        assert_eq!(Profile::legacy().exchange("dhcp"), "dhcp");
    }
}

//! What exchanges are like.

use std::collections::BTreeMap;

use lapin::{Channel, ExchangeKind, options::ExchangeDeclareOptions, types::FieldTable};
use rmi_core::text::Text;

/// The exchange for topics that name none: every broker has it.
pub(crate) const TOPICS: &str = "amq.topic";

/// What an exchange is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    kind: Kind,
    durable: bool,
    auto_delete: bool,
    passive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Topic,
    Direct,
    Fanout,
}

impl Exchange {
    /// A durable topic exchange, which stays when nobody uses it.
    #[must_use]
    pub const fn topic() -> Self {
        Exchange { kind: Kind::Topic, durable: true, auto_delete: false, passive: false }
    }

    /// A durable direct exchange.
    #[must_use]
    pub const fn direct() -> Self {
        Exchange { kind: Kind::Direct, ..Exchange::topic() }
    }

    /// A durable fanout exchange.
    #[must_use]
    pub const fn fanout() -> Self {
        Exchange { kind: Kind::Fanout, ..Exchange::topic() }
    }

    /// Says whether it survives a restart of the broker.
    #[must_use]
    pub const fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Says whether it goes with the last queue that is bound to it.
    #[must_use]
    pub const fn auto_delete(mut self, auto_delete: bool) -> Self {
        self.auto_delete = auto_delete;
        self
    }

    /// Says that it is somebody else's: it is taken as it is, and has to be there.
    #[must_use]
    pub const fn passive(mut self) -> Self {
        self.passive = true;
        self
    }

    /// Declares it.
    pub(crate) async fn declare(&self, channel: &Channel, name: &str) -> Result<(), lapin::Error> {
        let kind = match self.kind {
            Kind::Topic => ExchangeKind::Topic,
            Kind::Direct => ExchangeKind::Direct,
            Kind::Fanout => ExchangeKind::Fanout,
        };
        let options = ExchangeDeclareOptions {
            passive: self.passive,
            durable: self.durable,
            auto_delete: self.auto_delete,
            ..ExchangeDeclareOptions::default()
        };
        channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await
    }
}

/// How an exchange is declared by whoever subscribes to it; `None` for those that the broker has by itself.
pub(super) fn declared(name: &Text, known: &BTreeMap<Text, Exchange>) -> Option<Exchange> {
    known.get(name).cloned().or_else(|| (!is_builtin(name)).then(Exchange::topic))
}

/// Whether every broker has this exchange.
pub(crate) fn is_builtin(exchange: &str) -> bool {
    exchange.is_empty() || exchange.starts_with("amq.")
}

//! Which exchanges are there. To publish to one that is not closes the channel, with everything that is on its way.

use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock},
};

use lapin::{ExchangeKind, options::ExchangeDeclareOptions, protocol::AMQPSoftError, types::FieldTable};
use rmi_core::{text::Text, transport::TransportError};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};

use crate::{
    error::{soft, told},
    link::Link,
    topology::is_builtin,
};

/// How many names are remembered; a program that publishes to more asks anew.
const REMEMBERED: usize = 1024;

/// The exchanges that were there when they were looked for, by the connection that looked.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    known: RwLock<(u64, HashSet<Text>)>,
    /// One looks at a time: after an outage all who publish look for the same, and each would open a channel for it.
    looking: Mutex<()>,
}

impl Exchanges {
    fn knows(&self, generation: u64, name: &str) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.0 == generation && known.1.contains(name)
    }

    /// Whether it is sure that an exchange is there.
    pub(crate) fn is_known(&self, link: &Link, name: &str) -> bool {
        is_builtin(name) || link.up().is_some_and(|generation| self.knows(generation.number, name))
    }

    /// Makes sure until the deadline that an exchange is there; `false` if it is not. The options may say how it is declared.
    pub(crate) async fn ensure(&self, link: &Link, name: &str, deadline: Instant) -> Result<bool, TransportError> {
        if self.is_known(link, name) {
            return Ok(true);
        }
        // A broker that takes nothing answers nothing.
        match timeout_at(deadline, self.look_for(link, name)).await {
            Ok(found) => found,
            Err(_) => Err(link.away(link.options.wait)),
        }
    }

    async fn look_for(&self, link: &Link, name: &str) -> Result<bool, TransportError> {
        let _alone = self.looking.lock().await;
        let generation = link.wait_up(link.options.wait).await?;
        if self.knows(generation.number, name) {
            return Ok(true);
        }
        let channel = generation.channel(link.options.connect_timeout).await?;
        let what = || format!("the exchange `{name}` cannot be published to");
        let declared = match link.options.exchanges.get(name) {
            Some(exchange) => exchange.declare(&channel, name).await,
            None => {
                let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
                channel.exchange_declare(name.into(), ExchangeKind::Topic, passive, FieldTable::default()).await
            }
        };
        if let Err(error) = declared {
            return match soft(&error) {
                Some((AMQPSoftError::NOTFOUND, _)) => Ok(false),
                _ => Err(told(&what(), error)),
            };
        }
        let _ = channel.close(200, "OK".into()).await;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.0 != generation.number || known.1.len() >= REMEMBERED {
            *known = (generation.number, HashSet::new());
        }
        known.1.insert(Text::from(name));
        Ok(true)
    }

    /// The broker has said that one is not there, or may not be used: they are looked for anew.
    pub(crate) fn forget(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).1.clear();
    }
}

//! A RabbitMQ of one's own, or the one that is given.

use rmi_tests::rabbit::Rabbit;
use uuid::Uuid;

use crate::{Error, process};

/// The broker that all cases of a bench go by.
#[derive(Debug)]
pub struct Broker {
    url: String,
    private: Option<Rabbit>,
}

impl Broker {
    /// Starts a private node, which ends with this value; or takes the broker that `RMI_TEST_AMQP_URL` names, whose CPU time and memory
    /// are not known then.
    #[must_use]
    pub fn start() -> Self {
        match std::env::var("RMI_TEST_AMQP_URL") {
            Ok(url) => Broker { url, private: None },
            Err(_) => {
                let rabbit = Rabbit::start();
                Broker { url: rabbit.url(), private: Some(rabbit) }
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process, where that is known.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.private.as_ref()?.pid()
    }

    /// Its memory, in bytes, where that is known.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn resident(&self) -> Result<Option<u64>, Error> {
        self.pid().map(process::resident_of).transpose()
    }
}

/// A name that nobody else at a broker has.
#[must_use]
pub fn unique(what: &str) -> String {
    format!("rmi.bench.{what}.{}", Uuid::new_v4().simple())
}

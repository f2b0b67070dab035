use rmi_core::{Endpoint, Native, RemoteEvent, remote, transport::Transport};

use super::Sealing;
use crate::{
    Error,
    flow::{ON_THE_WAY, Publisher, Way},
    tap::Tap,
};

/// What parrots do.
#[derive(Debug, RemoteEvent)]
#[remote(key = "parrot.spoke.{flock}")]
struct Spoke {
    flock: usize,
    words: String,
}

/// Hears what it is told.
#[remote]
trait Listener {
    /// Tells it something; nobody waits for what it does with it.
    #[remote(oneway)]
    async fn hear(&self, words: String);
}

#[derive(Debug)]
struct Ear(Way);

impl Listener for Ear {
    async fn hear(&self, words: String) {
        std::hint::black_box(&words);
        self.0.received(1);
    }
}

/// Events: a publisher, and an endpoint with so many subscriptions, each of which gets every event and verifies it for itself.
#[derive(Clone, Debug)]
pub struct EventFlow {
    publisher: Endpoint,
    listener: Endpoint,
    flock: usize,
    way: Way,
}

impl EventFlow {
    /// Starts both on transports of the same bus. Flocks that share a bus have different numbers.
    ///
    /// # Errors
    ///
    /// One of the endpoints does not start.
    pub async fn start(
        publishes: impl Transport,
        listens: impl Transport,
        sealing: Sealing,
        flock: usize,
        receivers: u32,
    ) -> Result<Self, Error> {
        let names = [format!("singer{flock}"), format!("audience{flock}")];
        let [singing, listening] = sealing.trust(names.each_ref().map(String::as_str))?;
        let [singer, audience] = names;
        let publisher = Endpoint::builder(singer).bind(Native::default(), publishes, singing).start().await?;
        let listener = Endpoint::builder(audience).bind(Native::default(), listens, listening).start().await?;
        let way = Way::new(receivers);
        for _ in 0..receivers {
            let mine = format!("parrot.spoke.{flock}");
            let mut events = listener.subscribe::<Spoke>().key(mine).capacity(2 * ON_THE_WAY).await?;
            let way = way.clone();
            // What is missed is not received, and the bench ends.
            tokio::spawn(async move {
                while let Some(Ok(heard)) = events.next().await {
                    std::hint::black_box(&heard.event.words);
                    way.received(1);
                }
            });
        }
        Ok(EventFlow { publisher, listener, flock, way })
    }

    /// What an unsigned event has besides its text, in bytes.
    ///
    /// # Errors
    ///
    /// It cannot be published.
    pub async fn besides() -> Result<usize, Error> {
        let tap = Tap::default();
        let flow = EventFlow::start(tap.clone(), tap.clone(), Sealing::Unsigned, 1, 1).await?;
        flow.publish(String::new()).await?;
        flow.stop().await?;
        tap.seen().first().map(bytes::Bytes::len).ok_or_else(|| "no event was published".into())
    }

    /// What is on its way.
    #[must_use]
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// Shuts both down.
    ///
    /// # Errors
    ///
    /// The bus does not let them go.
    pub async fn stop(self) -> Result<(), Error> {
        let _ = self.publisher.shutdown(super::GRACE).await?;
        let _ = self.listener.shutdown(super::GRACE).await?;
        Ok(())
    }
}

impl Publisher for EventFlow {
    async fn publish(&self, words: String) -> Result<(), Error> {
        self.publisher.publish(&Spoke { flock: self.flock, words }).await?;
        Ok(())
    }
}

/// Calls that nobody waits for, and an agent that runs them.
#[derive(Clone, Debug)]
pub struct OneWayFlow {
    agent: Endpoint,
    caller: Endpoint,
    client: ListenerClient,
    way: Way,
}

impl OneWayFlow {
    /// Starts both on transports of the same bus. Those that share a bus have different numbers.
    ///
    /// # Errors
    ///
    /// One of the endpoints does not start.
    pub async fn start(agents: impl Transport, callers: impl Transport, sealing: Sealing, number: usize) -> Result<Self, Error> {
        let names = [format!("ear{number}"), format!("mouth{number}")];
        let [hearing, telling] = sealing.trust(names.each_ref().map(String::as_str))?;
        let [ear, mouth] = names;
        let way = Way::new(1);
        let agent = Endpoint::builder(ear.as_str()).bind(Native::default(), agents, hearing);
        let agent = agent.serve(ListenerServer::new(Ear(way.clone()))).start().await?;
        let caller = Endpoint::builder(mouth).bind(Native::default(), callers, telling).start().await?;
        let client = caller.client(ear);
        Ok(OneWayFlow { agent, caller, client, way })
    }

    /// What an unsigned call has besides its text, in bytes.
    ///
    /// # Errors
    ///
    /// It cannot be sent.
    pub async fn besides() -> Result<usize, Error> {
        let tap = Tap::default();
        let flow = OneWayFlow::start(tap.clone(), tap.clone(), Sealing::Unsigned, 1).await?;
        flow.publish(String::new()).await?;
        flow.stop().await?;
        tap.seen().first().map(bytes::Bytes::len).ok_or_else(|| "no call was sent".into())
    }

    /// What is on its way.
    #[must_use]
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// Shuts both down.
    ///
    /// # Errors
    ///
    /// The bus does not let them go.
    pub async fn stop(self) -> Result<(), Error> {
        let _ = self.caller.shutdown(super::GRACE).await?;
        let _ = self.agent.shutdown(super::GRACE).await?;
        Ok(())
    }
}

impl Publisher for OneWayFlow {
    async fn publish(&self, words: String) -> Result<(), Error> {
        self.client.hear(words).await?;
        Ok(())
    }
}

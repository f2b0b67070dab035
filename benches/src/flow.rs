//! Messages that nobody answers: so many publishers, and as many on their way as there is room for.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{runtime::Runtime, sync::Semaphore, time::timeout};

use crate::{
    Error,
    load::{Load, Look, Sample},
};

/// How many messages may be on their way to each receiver: so many that nobody waits for the way back, and so few that no queue
/// overflows.
pub const ON_THE_WAY: usize = 512;

/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is on its way.
#[derive(Clone, Debug)]
pub struct Way {
    room: Arc<Semaphore>,
    receivers: u32,
}

impl Way {
    /// To so many receivers, each of which gets everything.
    #[must_use]
    pub fn new(receivers: u32) -> Self {
        Way { room: Arc::new(Semaphore::new(ON_THE_WAY * receivers as usize)), receivers }
    }

    /// How many receivers there are.
    #[must_use]
    pub fn receivers(&self) -> u32 {
        self.receivers
    }

    /// A receiver has got so many.
    pub fn received(&self, messages: usize) {
        self.room.add_permits(messages);
    }

    /// Waits until there is room for one more for each.
    async fn leaves(&self) -> Result<(), Error> {
        let room = timeout(PATIENCE, self.room.acquire_many(self.receivers)).await;
        room.map_err(|_| "messages were published, and not received")??.forget();
        Ok(())
    }

    /// Waits until everything has come.
    async fn is_empty(&self) -> Result<(), Error> {
        let all = u32::try_from(ON_THE_WAY)? * self.receivers;
        let room = timeout(PATIENCE, self.room.acquire_many(all)).await;
        drop(room.map_err(|_| "messages were published, and not received")??);
        Ok(())
    }
}

/// Somebody who publishes.
pub trait Publisher: Clone + Send + Sync + 'static {
    /// Publishes a text, and waits as long as its user would.
    fn publish(&self, text: String) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Publishes for one window, and waits until all receivers have got everything. The times are those of publishing.
///
/// # Errors
///
/// A message could not be published, or did not come.
pub fn put(runtime: &Runtime, publisher: &impl Publisher, way: &Way, load: Load, broker: Option<u32>) -> Result<Sample, Error> {
    let text: Arc<str> = crate::text(load.payload).into();
    let (open, close) = load.times();
    let publish = |publisher, way, text| runtime.spawn(publish(publisher, way, text, open, close));
    let publishers: Vec<_> = (0..load.in_flight).map(|_| publish(publisher.clone(), way.clone(), Arc::clone(&text))).collect();
    let from = Look::at(open, broker)?;
    let to = Look::at(close, broker)?;
    let mut times = Vec::new();
    for publisher in publishers {
        times.append(&mut runtime.block_on(publisher)??);
    }
    runtime.block_on(way.is_empty())?;
    Sample::of(&from, &to, load.window, times)
}

async fn publish(publisher: impl Publisher, way: Way, text: Arc<str>, open: Instant, close: Instant) -> Result<Vec<u32>, Error> {
    let mut times = Vec::with_capacity(4096);
    loop {
        way.leaves().await?;
        let began = Instant::now();
        publisher.publish(text.as_ref().to_owned()).await?;
        let ended = Instant::now();
        if ended >= close {
            return Ok(times);
        }
        if ended >= open {
            times.push(u32::try_from((ended - began).as_nanos()).unwrap_or(u32::MAX));
        }
    }
}

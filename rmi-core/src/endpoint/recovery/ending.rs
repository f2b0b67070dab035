//! The outcomes of what does not run, and those that nobody has confirmed.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::{
    context::Job,
    endpoint::{
        admission::Key,
        binding::Answered,
        dispatch::Core,
        records::Records,
        shutdown::Guard,
        work::{record, tell},
    },
    journal::{Entry, RequestId},
    lock::lock,
    message::Outcome,
    transport::Disposition,
};

/// How many outcomes are sent again at a time.
const AT_A_TIME: usize = 64;

/// A request whose outcome is to be sent.
pub(super) struct Ending {
    pub(super) binding: usize,
    pub(super) id: RequestId,
    pub(super) entry: Entry,
    pub(super) key: Option<Key>,
    pub(super) answered: Option<Answered>,
    pub(super) outcome: Outcome,
    /// What the window knows it by until its outcome is written down; none when the journal has that already.
    pub(super) job: Option<Arc<Job>>,
}

/// Sends the outcomes of what does not run, and those that nobody has confirmed.
pub(super) async fn end(core: Arc<Core>, records: Arc<Records>, endings: Vec<Ending>) {
    core.stage.started().await;
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    for ending in endings {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        if core.stage.is_closed() {
            // They are still there at the next start.
            return;
        }
        let (running, records) = (Guard::enter(&core, |core| &core.running), Arc::clone(&records));
        tokio::spawn(async move {
            ending.send(&running, &records).await;
            drop((place, running));
        });
    }
}

impl Ending {
    async fn send(self, core: &Core, records: &Arc<Records>) {
        let Ending { binding, id, entry, key, mut answered, mut outcome, job } = self;
        let binding = &core.bindings[binding];
        let acker = records.acker(id, key.is_some());
        let mut attached = Vec::new();
        if let Some(job) = job {
            outcome = record::conclude(records, id, outcome).await.0;
            if let Some(key) = &key {
                attached = lock(&binding.window).finish(&entry.principal, key, &outcome);
            }
            // Whoever asked for it until now was told that it is still to end.
            if let (Some((to, link)), Some(answered)) = (job.moved.get(), &mut answered) {
                answered.reply.to = to;
                answered.link = answered.link.map(|_| link);
            }
        }
        let told = match &answered {
            Some(to) => binding.outcome(to, outcome.clone()).await,
            None => true,
        };
        if told {
            acker.settle(Disposition::Ack);
        } else if let Some(to) = &answered {
            records.tell_later(binding, to.clone(), outcome.clone(), acker);
        }
        if let Some(to) = &answered {
            tell(binding, to, told, attached, outcome).await;
        }
    }
}

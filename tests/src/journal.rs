//! A journal that says what it was given, and can be told to hold, to fail and to crash.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use rmi_core::endpoint::Builder;
use rmi_core::journal::{Assembler, Change, Commit, Committing, Journal, JournalError, JournalErrorKind, Recovered, Step};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    raw::{Mailbox, Raw, kind},
    soon::soon,
    world::{Agent, World},
};

/// A journal in memory. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Paper(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    page: Mutex<Page>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Page {
    /// What is on disk, in the order in which it came there.
    log: Vec<Step>,
    /// What is not there yet, and who waits for it.
    waiting: Vec<(Vec<Step>, Option<Committing>)>,
    /// How many records cannot be read.
    lost: u64,
    held: bool,
    failing: Option<JournalErrorKind>,
    dead: bool,
    closed: bool,
}

impl Paper {
    /// With these steps on it.
    #[must_use]
    pub fn with(steps: &[Step]) -> Self {
        let paper = Paper::default();
        paper.page().log = steps.to_vec();
        paper
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        self.0.page.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that is on disk, in order.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        self.page().log.clone()
    }

    /// How many steps on disk are like this.
    #[must_use]
    pub fn count(&self, like: impl Fn(&Step) -> bool) -> usize {
        self.page().log.iter().filter(|step| like(step)).count()
    }

    /// What would be read from it.
    #[must_use]
    pub fn read(&self) -> Recovered {
        let mut rows = BTreeMap::new();
        for change in self.page().log.iter().flat_map(Step::changes) {
            match change {
                Change::Put(key, value) => drop(rows.insert(key, value)),
                Change::DeleteRange(first, last) => rows.retain(|key, _| *key < first || *key > last),
            }
        }
        let mut assembler = Assembler::default();
        for (key, value) in rows {
            assembler.row(key.as_ref(), &value);
        }
        let mut recovered = assembler.finish();
        (0..self.page().lost).for_each(|_| recovered.lost.add("lost by the test"));
        recovered
    }

    /// Forgets every request and floor, and says that so many records cannot be read.
    pub fn lose(&self, records: u64) {
        let mut page = self.page();
        page.log.retain(|step| matches!(step, Step::Since { .. }));
        page.lost = records;
    }

    /// Waits until so many steps on disk are like this.
    pub async fn until(&self, many: usize, what: &str, like: impl Fn(&Step) -> bool) {
        self.when(what, |page| page.log.iter().filter(|step| like(step)).count() >= many).await;
    }

    /// Waits until so many steps like this are to be written.
    pub async fn until_waiting(&self, many: usize, what: &str, like: impl Fn(&Step) -> bool) {
        let count = |page: &Page| page.waiting.iter().flat_map(|(steps, _)| steps).filter(|step| like(step)).count();
        self.when(what, |page| count(page) >= many).await;
    }

    async fn when(&self, what: &str, is: impl Fn(&Page) -> bool) {
        soon(what, async {
            loop {
                let changed = self.0.changed.notified();
                if is(&self.page()) {
                    return;
                }
                changed.await;
            }
        })
        .await;
    }

    /// Writes nothing from now on, until [`Paper::release`].
    pub fn hold(&self) {
        self.page().held = true;
    }

    /// Writes what was held back, and what was noted.
    pub fn release(&self) {
        let mut page = self.page();
        page.held = false;
        page.flush();
        drop(page);
        self.0.changed.notify_waiters();
    }

    /// Fails from now on; `None` ends that.
    pub fn fail(&self, kind: Option<JournalErrorKind>) {
        self.page().failing = kind;
    }

    /// The process has been killed: nothing more is written, and nobody hears anything. What was written is read by the next one.
    #[must_use]
    pub fn crash(&self) -> Paper {
        let mut page = self.page();
        page.dead = true;
        Paper::with(&page.log)
    }
}

impl Page {
    fn flush(&mut self) {
        for (steps, committing) in std::mem::take(&mut self.waiting) {
            self.log.extend(steps);
            if let Some(committing) = committing {
                committing.finish(Ok(()));
            }
        }
    }
}

#[async_trait]
impl Journal for Paper {
    fn is_durable(&self) -> bool {
        true
    }

    async fn recover(&self) -> Result<Recovered, JournalError> {
        let recovered = self.read();
        // What is lost is set aside, and not found again.
        self.page().lost = 0;
        Ok(recovered)
    }

    fn record(&self, steps: Vec<Step>) -> Commit {
        let (committing, commit) = Commit::waiting();
        let mut page = self.page();
        if let Some(kind) = page.failing.or(page.closed.then_some(JournalErrorKind::Closed)).filter(|_| !page.dead) {
            return Commit::done(Err(JournalError::new(kind, "told so by the test")));
        }
        page.waiting.push((steps, Some(committing)));
        if !page.held && !page.dead {
            page.flush();
        }
        drop(page);
        self.0.changed.notify_waiters();
        commit
    }

    fn note(&self, steps: Vec<Step>) {
        let mut page = self.page();
        if !page.closed {
            page.waiting.push((steps, None));
        }
        drop(page);
        self.0.changed.notify_waiters();
    }

    fn failing(&self) -> Option<JournalError> {
        self.page().failing.map(|kind| JournalError::new(kind, "told so by the test"))
    }

    async fn close(&self) -> Result<(), JournalError> {
        let mut page = self.page();
        if !page.dead {
            page.flush();
        }
        page.closed = true;
        Ok(())
    }
}

/// An agent that writes down what it does, at a queue of its own.
pub async fn durable(world: &World, paper: &Paper) -> Agent {
    durable_with(world, paper, |builder| builder).await
}

/// One that is built with something special.
pub async fn durable_with(world: &World, paper: &Paper, special: impl FnOnce(Builder) -> Builder) -> Agent {
    let durable = |builder: Builder| special(builder.journal(paper.clone()).queue_of_its_own());
    world.agent_with("agent", durable).await
}

/// The process is killed: nothing that it does after this is seen by anybody.
#[must_use]
pub fn crash(agent: Agent, paper: &Paper) -> Paper {
    let left = paper.crash();
    agent.tap.hold(|_| true);
    drop(agent);
    left
}

/// The next outcome; statuses are passed over.
pub async fn outcome(replies: &mut Mailbox) -> Value {
    replies.conversation().await.pop().expect("its end")
}

/// What kind of an outcome it is, with the class of an exception or the code of a rejection.
#[must_use]
pub fn how(outcome: &Value) -> String {
    let said = match kind(outcome) {
        "exception" => &outcome["result"]["xclass"],
        "rejected" => &outcome["code"],
        kind => return kind.to_owned(),
    };
    format!("{} {}", kind(outcome), said.as_str().unwrap_or_default())
}

/// The next so many outcomes, by the serial numbers of their requests and in their order.
pub async fn outcomes(replies: &mut Mailbox, many: usize) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for _ in 0..many {
        let outcome = outcome(replies).await;
        told.push((outcome["sn"].as_str().unwrap_or_default().to_owned(), how(&outcome)));
    }
    told.sort();
    told
}

/// A request with one argument, which is its serial number as well.
pub fn request(world: &World, method: &str, name: &str) -> Raw {
    world.request(method, json!([name])).sn(name).reply_to("box").wants(&[])
}

/// A request was taken.
#[must_use]
pub fn accepted(step: &Step) -> bool {
    matches!(step, Step::Accepted { .. })
}

/// A method is to run.
#[must_use]
pub fn started(step: &Step) -> bool {
    matches!(step, Step::Started { .. })
}

/// A request has ended.
#[must_use]
pub fn concluded(step: &Step) -> bool {
    matches!(step, Step::Concluded { .. })
}

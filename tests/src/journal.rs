//! A journal that says what it was given, and can be told to hold, to fail and to crash.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use rmi_core::journal::{Assembler, Change, Commit, Committing, Journal, JournalError, JournalErrorKind, Recovered, Step};
use tokio::sync::Notify;

use crate::soon::soon;

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
        assembler.finish()
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
        Ok(self.read())
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

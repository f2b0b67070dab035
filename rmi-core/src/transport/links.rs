use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::text::Text;

/// Names a link of one transport. Ids are not used again, and links are reported in their order: a newer link has a greater one.
///
/// Where a transport has [`links`](crate::transport::Capabilities::links), each connection has an id of its own, also one that
/// takes the place of another: serial numbers that are good on one link, and the calls that took it, end with it. A broker's one
/// link keeps its id over reconnects and counts its generations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// A connection that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub id: LinkId,
    /// How often it, or the one whose place it takes, has come up: 1 the first time.
    pub generation: u64,
    /// Who the transport says is at its other end.
    pub peer: Option<Text>,
}

/// What became of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// It is up.
    Up(Link),
    /// It is down, and why.
    Down(LinkId, Text),
    /// It is up, and its other end takes nothing for now, and why: what is published waits. A broker says so when it is short of
    /// memory or disk.
    Blocked(LinkId, Text),
    /// Its other end takes something again. A link that goes down is not blocked any more, and does not say so.
    Unblocked(LinkId),
}

/// The changes of a transport's links, from those that were up when this was made, and whether they were blocked.
///
/// A watcher that falls more than a thousand changes behind is ended: it watches anew and starts with what is up then.
#[derive(Debug)]
pub struct Links {
    changes: mpsc::Receiver<LinkChange>,
}

impl Links {
    /// Whether the transport has ended, and nothing is left to be told.
    pub(crate) fn is_over(&self) -> bool {
        self.changes.is_closed() && self.changes.is_empty()
    }

    /// Waits for the next change; `None` when the transport has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<LinkChange> {
        self.changes.recv().await
    }

    /// The next change that has already happened.
    pub(crate) fn ready(&mut self) -> Option<LinkChange> {
        self.changes.try_recv().ok()
    }
}

/// The transport's side of [`Links`].
#[derive(Clone, Debug, Default)]
pub struct LinkReporter(Arc<Mutex<Reporter>>);

#[derive(Debug, Default)]
struct Reporter {
    up: Vec<Link>,
    /// Those of them that take nothing, and why.
    blocked: Vec<(LinkId, Text)>,
    watchers: Vec<mpsc::Sender<LinkChange>>,
    closed: bool,
}

/// How many changes a watcher may be behind. One that is further behind is dropped: its `next` ends.
const BEHIND: usize = 1024;

impl LinkReporter {
    /// A new watcher.
    #[must_use]
    pub fn watch(&self) -> Links {
        let mut reporter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, changes) = mpsc::channel(BEHIND + reporter.up.len() + reporter.blocked.len());
        for link in &reporter.up {
            let _ = sender.try_send(LinkChange::Up(link.clone()));
        }
        for (link, why) in &reporter.blocked {
            let _ = sender.try_send(LinkChange::Blocked(*link, why.clone()));
        }
        if !reporter.closed {
            reporter.watchers.push(sender);
        }
        Links { changes }
    }

    /// A link is up.
    pub fn up(&self, link: Link) {
        let mut reporter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reporter.forget(link.id);
        reporter.up.push(link.clone());
        reporter.report(&LinkChange::Up(link));
    }

    /// A link is down.
    pub fn down(&self, id: LinkId, why: impl Into<Text>) {
        let mut reporter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reporter.forget(id);
        reporter.report(&LinkChange::Down(id, why.into()));
    }

    /// A link that is up takes nothing for now, and why. Of one that is not up nothing is said.
    pub fn blocked(&self, id: LinkId, why: impl Into<Text>) {
        let mut reporter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reporter.up.iter().all(|link| link.id != id) {
            return;
        }
        let why = why.into();
        reporter.blocked.retain(|(link, _)| *link != id);
        reporter.blocked.push((id, why.clone()));
        reporter.report(&LinkChange::Blocked(id, why));
    }

    /// A link that was blocked takes something again. Of one that was not nothing is said.
    pub fn unblocked(&self, id: LinkId) {
        let mut reporter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = reporter.blocked.len();
        reporter.blocked.retain(|(link, _)| *link != id);
        if reporter.blocked.len() < before {
            reporter.report(&LinkChange::Unblocked(id));
        }
    }

    /// The transport has ended: every watcher's `next` ends.
    pub fn close(&self) {
        let mut reporter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reporter.closed = true;
        reporter.up.clear();
        reporter.blocked.clear();
        reporter.watchers.clear();
    }
}

impl Reporter {
    fn forget(&mut self, id: LinkId) {
        self.up.retain(|link| link.id != id);
        self.blocked.retain(|(link, _)| *link != id);
    }

    fn report(&mut self, change: &LinkChange) {
        self.watchers.retain(|watcher| watcher.try_send(change.clone()).is_ok());
    }
}

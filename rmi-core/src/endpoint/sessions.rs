//! Drives the sessions of a protocol that talks about its links: one for each link that is up.

use std::{
    collections::HashMap,
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    endpoint::binding::{Binding, Known},
    lock::lock,
    protocol::{Action, LinkEvent, Moment, Session},
    text::Text,
    transport::{Delivery, Frame, Link, LinkId},
};

/// How many actions of one link wait to be done. A link that asks for more is closed.
const ACTIONS: usize = 64;
/// How long what the sessions say when a link comes up, or when the endpoint leaves, may take.
const CEREMONY: Duration = Duration::from_secs(5);

/// The sessions of a binding.
#[derive(Default)]
pub(crate) struct Sessions {
    links: Mutex<Links>,
    /// A link came, or a session may want to be woken at another time.
    changed: Notify,
}

#[derive(Default)]
struct Links {
    open: HashMap<LinkId, Open>,
    /// The newest that was reported. They are numbered in their order: an older one that is not open has ended.
    newest: LinkId,
}

/// A link that is up. Its actions are done in their order by a task of its own, so that a slow link holds up no other.
struct Open {
    session: Box<dyn Session>,
    wanted: mpsc::Sender<Wanted>,
    /// How much of it is still to be done.
    undone: Arc<AtomicUsize>,
}

enum Wanted {
    Do(Box<Action>),
    /// Everything before this has been done.
    Say(oneshot::Sender<()>),
}

/// What a session made of an event.
enum Heard {
    Pass,
    Keep,
    Withhold,
    /// It asks for more than can be done.
    Overflow,
}

impl Open {
    fn on(&mut self, event: LinkEvent<'_>, binding: &Binding, link: LinkId) -> Heard {
        let mut heard = Heard::Keep;
        for action in self.session.on(event, Moment::new(now(), &*binding.clock)) {
            match action {
                Action::Pass => heard = Heard::Pass,
                Action::Withhold => heard = Heard::Withhold,
                // Known at once when nothing is to be sent before: what comes by the link next can be answered by a call.
                Action::Identify(name) if self.undone.load(Ordering::Acquire) == 0 => identify(binding, link, &name),
                action => {
                    self.undone.fetch_add(1, Ordering::AcqRel);
                    if self.wanted.try_send(Wanted::Do(Box::new(action))).is_err() {
                        return Heard::Overflow;
                    }
                }
            }
        }
        heard
    }

    /// Is told when everything that was wanted up to now has been done.
    fn done(&self) -> Option<oneshot::Receiver<()>> {
        let (say, said) = oneshot::channel();
        self.wanted.try_send(Wanted::Say(say)).ok().map(|()| said)
    }
}

impl Sessions {
    /// A link is up. What is returned is ready when everything that the session has to say about that has been said.
    pub(crate) fn up(&self, binding: &Arc<Binding>, link: &Link, session: Box<dyn Session>) -> impl Future<Output = ()> + use<> {
        let (wanted, actions) = mpsc::channel(ACTIONS);
        let mut open = Open { session, wanted, undone: Arc::default() };
        tokio::spawn(perform_all(Arc::clone(binding), link.id, actions, Arc::clone(&open.undone)));
        let heard = open.on(LinkEvent::Up(link), binding, link.id);
        let said = open.done();
        let mut links = lock(&self.links);
        links.newest = links.newest.max(link.id);
        links.open.insert(link.id, open);
        drop(links);
        self.settle(binding, link.id, &heard);
        async move {
            if let Some(said) = said {
                let _ = timeout(CEREMONY, said).await;
            }
        }
    }

    pub(crate) fn down(&self, link: LinkId) {
        lock(&self.links).open.remove(&link);
        self.changed.notify_waiters();
    }

    /// Lets every session say goodbye, and waits until they have.
    pub(crate) async fn leave(&self, binding: &Binding) {
        let said: Vec<_> = lock(&self.links)
            .open
            .iter_mut()
            .filter_map(|(link, open)| {
                open.on(LinkEvent::Leaving, binding, *link);
                open.done()
            })
            .collect();
        let all = async {
            for said in said {
                let _ = said.await;
            }
        };
        let _ = timeout(CEREMONY, all).await;
    }

    /// Ends every session, and with it the task that does what it wants.
    pub(crate) fn end(&self) {
        lock(&self.links).open.clear();
        self.changed.notify_waiters();
    }

    /// Shows a delivery to its link's session. True when it is to be handled.
    pub(crate) async fn received(&self, binding: &Binding, delivery: &Delivery) -> bool {
        /// How long a link may take to be reported that something already came by.
        const REPORTED: Duration = Duration::from_secs(1);
        let link = delivery.link;
        let mut heard = self.show(binding, link, LinkEvent::Received(delivery));
        if heard.is_none() && !self.is_reported(link) {
            let known = async {
                loop {
                    let mut changed = pin!(self.changed.notified());
                    changed.as_mut().enable();
                    if self.is_reported(link) {
                        return;
                    }
                    changed.await;
                }
            };
            let _ = timeout(REPORTED, known).await;
            heard = self.show(binding, link, LinkEvent::Received(delivery));
        }
        match heard {
            Some(heard) => matches!(heard, Heard::Pass),
            None => {
                tracing::debug!(link = link.0, "something came by a link that is not up");
                false
            }
        }
    }

    fn is_reported(&self, link: LinkId) -> bool {
        link <= lock(&self.links).newest
    }

    /// Shows a frame to its link's session before it is sent. False when it is not to be.
    pub(crate) fn sending(&self, binding: &Binding, link: LinkId, frame: &mut Frame) -> bool {
        !matches!(self.show(binding, link, LinkEvent::Sending(frame)), Some(Heard::Withhold))
    }

    pub(crate) fn sent(&self, binding: &Binding, link: LinkId, frame: &Frame) {
        self.show(binding, link, LinkEvent::Sent(frame));
    }

    /// Shows an event to a link's session. What it makes of it; `None` when the link is not up.
    fn show(&self, binding: &Binding, link: LinkId, event: LinkEvent<'_>) -> Option<Heard> {
        let heard = lock(&self.links).open.get_mut(&link)?.on(event, binding, link);
        self.settle(binding, link, &heard);
        Some(heard)
    }

    fn settle(&self, binding: &Binding, link: LinkId, heard: &Heard) {
        if let Heard::Overflow = heard {
            tracing::warn!(link = link.0, "a session asks for more than its link takes; the link is closed");
            self.down(link);
            let transport = Arc::clone(&binding.transport);
            tokio::spawn(async move { transport.disconnect(link).await });
        }
        self.changed.notify_waiters();
    }

    /// When the next session wants to be woken.
    fn next_wake(&self) -> Option<Instant> {
        lock(&self.links).open.values().filter_map(|open| open.session.wake()).min().map(Instant::from_std)
    }

    fn wake(&self, binding: &Binding) {
        let now = now();
        let mut heard = Vec::new();
        for (link, open) in &mut lock(&self.links).open {
            if open.session.wake().is_some_and(|at| at <= now) {
                heard.push((*link, open.on(LinkEvent::Wake, binding, *link)));
            }
        }
        for (link, heard) in heard {
            self.settle(binding, link, &heard);
        }
    }

    /// Wakes the sessions that want to be woken, until `stop`.
    pub(crate) async fn drive(&self, binding: &Binding, stop: impl Future<Output = ()> + Send) {
        /// How often the sessions are walked through at most.
        const REST: Duration = Duration::from_millis(1);
        enum Next {
            Stop,
            Look,
            Wake,
        }
        let mut stop = pin!(stop);
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let wake = self.next_wake();
            let mut asleep = pin!(sleep_until(wake.unwrap_or_else(Instant::now)));
            let next = poll_fn(|cx| {
                if stop.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Next::Stop);
                }
                if wake.is_some() && asleep.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Next::Wake);
                }
                changed.as_mut().poll(cx).map(|()| Next::Look)
            })
            .await;
            match next {
                Next::Stop => return,
                Next::Look => {}
                Next::Wake => {
                    self.wake(binding);
                    sleep(REST).await;
                }
            }
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("open", &lock(&self.links).open.len()).finish_non_exhaustive()
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Does what one link's session wants, one thing after the other, until the session ends.
async fn perform_all(binding: Arc<Binding>, link: LinkId, mut wanted: mpsc::Receiver<Wanted>, undone: Arc<AtomicUsize>) {
    while let Some(wanted) = wanted.recv().await {
        match wanted {
            Wanted::Do(action) => {
                perform(&binding, link, *action).await;
                undone.fetch_sub(1, Ordering::AcqRel);
            }
            Wanted::Say(done) => {
                let _ = done.send(());
            }
        }
    }
}

async fn perform(binding: &Binding, link: LinkId, action: Action) {
    let transport = &binding.transport;
    let done = match action {
        Action::Pass | Action::Withhold => Ok(()),
        Action::Send(mut frame) => {
            frame.link = Some(link);
            transport.publish(frame).await.map(drop)
        }
        Action::Identify(name) => {
            identify(binding, link, &name);
            Ok(())
        }
        Action::Will(frame) => transport.will(link, frame).await,
        Action::Pause(resume) => transport.pause(link, resume).await,
        Action::Close(why) => {
            tracing::info!(link = link.0, %why, "a session closes its link");
            transport.disconnect(link).await
        }
    };
    if let Err(error) = done {
        tracing::debug!(%error, link = link.0, "what a session wanted could not be done");
    }
}

fn identify(binding: &Binding, link: LinkId, name: &Text) {
    if lock(&binding.peers).call(link, name, Known::Proven) {
        binding.found();
    }
}

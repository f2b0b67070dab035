//! Drives the sessions of a protocol that talks about its links: one for each link that is up.

use std::{
    collections::{HashMap, VecDeque},
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    endpoint::binding::{Binding, KnownLink},
    lock::lock,
    protocol::{Action, LinkEvent, Session},
    text::Text,
    time::Clock,
    transport::{Delivery, Frame, Link, LinkId},
};

/// How many actions of all links wait to be done. A link that asks for more is closed.
const ACTIONS: usize = 1024;
/// How many links are remembered after they went down, to tell what still comes by them.
const ENDED: usize = 1024;

/// The sessions of a binding.
#[derive(Debug)]
pub(crate) struct Sessions {
    links: Mutex<Links>,
    /// A link came, or a session may want to be woken at another time.
    changed: Notify,
    actions: mpsc::Sender<(LinkId, Action)>,
}

#[derive(Debug, Default)]
struct Links {
    open: HashMap<LinkId, Box<dyn Session>>,
    ended: VecDeque<LinkId>,
}

impl Sessions {
    /// The sessions, and what they want done.
    pub(crate) fn new() -> (Self, mpsc::Receiver<(LinkId, Action)>) {
        let (actions, wanted) = mpsc::channel(ACTIONS);
        (Sessions { links: Mutex::default(), changed: Notify::new(), actions }, wanted)
    }

    pub(crate) fn up(&self, link: &Link, mut session: Box<dyn Session>, clock: &dyn Clock) {
        let id = Text::from(clock.id().to_string());
        let actions = session.on(LinkEvent::Up { link, id }, now());
        self.want(link.id, actions);
        lock(&self.links).open.insert(link.id, session);
        self.changed.notify_waiters();
    }

    pub(crate) fn down(&self, link: LinkId) {
        let mut links = lock(&self.links);
        links.open.remove(&link);
        if links.ended.len() == ENDED {
            links.ended.pop_front();
        }
        links.ended.push_back(link);
        drop(links);
        self.changed.notify_waiters();
    }

    /// Shows a delivery to its link's session. True when it is to be handled.
    pub(crate) async fn received(&self, delivery: &Delivery) -> bool {
        /// How long a link may take to be reported that something already came by.
        const REPORTED: Duration = Duration::from_secs(1);
        let link = delivery.link;
        let mut actions = self.show(link, LinkEvent::Received(delivery));
        if actions.is_none() && !self.is_reported(link) {
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
            actions = self.show(link, LinkEvent::Received(delivery));
        }
        match actions {
            Some(actions) => self.want(link, actions),
            None => {
                tracing::debug!(link = link.0, "something came by a link that is not up");
                false
            }
        }
    }

    fn is_reported(&self, link: LinkId) -> bool {
        let links = lock(&self.links);
        links.open.contains_key(&link) || links.ended.contains(&link)
    }

    pub(crate) fn sent(&self, link: LinkId, frame: &Frame) {
        if let Some(actions) = self.show(link, LinkEvent::Sent(frame)) {
            self.want(link, actions);
        }
    }

    fn show(&self, link: LinkId, event: LinkEvent<'_>) -> Option<Vec<Action>> {
        let actions = lock(&self.links).open.get_mut(&link).map(|session| session.on(event, now()));
        self.changed.notify_waiters();
        actions
    }

    fn want(&self, link: LinkId, actions: Vec<Action>) -> bool {
        let mut pass = false;
        for action in actions {
            match action {
                Action::Pass => pass = true,
                action => {
                    if self.actions.try_send((link, action)).is_err() {
                        tracing::warn!(link = link.0, "a session asks for more than can be done; its link is given up");
                        self.down(link);
                    }
                }
            }
        }
        pass
    }

    /// When the next session wants to be woken.
    fn next_wake(&self) -> Option<Instant> {
        lock(&self.links).open.values().filter_map(|session| session.wake()).min().map(Instant::from_std)
    }

    fn wake(&self, clock: &dyn Clock) {
        let now = now();
        let mut wanted = Vec::new();
        for (link, session) in &mut lock(&self.links).open {
            if session.wake().is_some_and(|at| at <= now) {
                let id = Text::from(clock.id().to_string());
                wanted.push((*link, session.on(LinkEvent::Wake { id }, now)));
            }
        }
        for (link, actions) in wanted {
            self.want(link, actions);
        }
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Does what the sessions want, one thing after the other, until `stop`.
pub(crate) async fn drive(
    binding: Arc<Binding>,
    mut wanted: mpsc::Receiver<(LinkId, Action)>,
    stop: impl Future<Output = ()> + Send,
) {
    let mut stop = pin!(stop);
    loop {
        let Some(sessions) = &binding.sessions else { return };
        let mut changed = pin!(sessions.changed.notified());
        changed.as_mut().enable();
        let wake = sessions.next_wake();
        let mut sleep = pin!(sleep_until(wake.unwrap_or_else(Instant::now)));
        let action = poll_fn(|cx| {
            if stop.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(action) = wanted.poll_recv(cx) {
                return Poll::Ready(Some(action));
            }
            if wake.is_some() && sleep.as_mut().poll(cx).is_ready() {
                sessions.wake(&*binding.clock);
                return Poll::Ready(Some(None));
            }
            changed.as_mut().poll(cx).map(|()| Some(None))
        })
        .await;
        match action {
            None => return,
            Some(None) => {}
            Some(Some((link, action))) => perform(&binding, link, action).await,
        }
    }
}

async fn perform(binding: &Binding, link: LinkId, action: Action) {
    let transport = &binding.transport;
    let done = match action {
        Action::Pass => Ok(()),
        Action::Send(mut frame) => {
            frame.link = Some(link);
            transport.publish(frame).await.map(drop)
        }
        Action::Identify(name) => {
            let mut links = lock(&binding.links);
            // The newest link of a name is the one that is alive.
            links.iter_mut().filter(|known| known.name.as_ref() == Some(&name)).for_each(|known| known.name = None);
            match links.iter_mut().find(|known| known.id == link) {
                Some(known) => known.name = Some(name),
                None => links.push(KnownLink { id: link, name: Some(name) }),
            }
            Ok(())
        }
        Action::Will(frame) => transport.will(link, frame).await,
        Action::Pause(resume) => transport.pause(link, resume).await,
        Action::Close(why) => {
            tracing::info!(link = link.0, %why, "a session closes its link");
            transport.pause(link, None).await
        }
    };
    if let Err(error) = done {
        tracing::debug!(%error, link = link.0, "what a session wanted could not be done");
    }
}

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    bus::{Bus, Routed, check_name, refused},
    inbox::{Inbox, Port, Standing},
    mailbox::{Granted, Mailbox, Ticket},
    queue::Stored,
    slots::Slots,
};
use crate::transport::{
    Destination, Frame, Link, LinkId, LinkReporter, Receipt, Subscription, TransportError, TransportErrorKind,
};

/// One endpoint's place on a bus.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) bus: Arc<Bus>,
    pub(super) link: LinkId,
    pub(super) reporter: LinkReporter,
    presence: watch::Sender<Presence>,
    /// The same for every publish, which takes no lock to look at it.
    is_up: AtomicBool,
    /// Taken before any lock of the bus; held while the seat comes and goes.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    generation: u64,
    /// How often the seat has left, so that an older timer does not bring it back.
    pauses: u64,
    members: Slots<Member>,
}

#[derive(Debug)]
struct Member {
    subscription: Subscription,
    port: Arc<Port>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Up,
    Paused,
    Closed,
}

/// What a wait for room ended with.
enum Waited {
    Granted(Granted),
    /// Nobody will take the frame from us any more: it is ours again.
    Withdrawn {
        late: bool,
    },
}

impl Seat {
    pub(super) fn new(bus: Arc<Bus>) -> Self {
        let link = bus.new_link();
        let reporter = LinkReporter::default();
        reporter.up(Link { id: link, generation: 1, peer: None });
        let state = State { generation: 1, pauses: 0, members: Slots::default() };
        Seat {
            bus,
            link,
            reporter,
            presence: watch::Sender::new(Presence::Up),
            is_up: AtomicBool::new(true),
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn presence(&self) -> Presence {
        *self.presence.borrow()
    }

    /// Says to those who look and those who wait where the seat is, and returns where it was.
    fn set_presence(&self, presence: Presence) -> Presence {
        self.is_up.store(presence == Presence::Up, Ordering::SeqCst);
        self.presence.send_replace(presence)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.presence() == Presence::Closed
    }

    /// Refuses what this transport cannot carry.
    pub(super) fn check(&self, frame: &Frame) -> Result<(), TransportError> {
        let (length, max) = (frame.payload.len(), self.bus.options.max_payload);
        if length > max {
            return Err(refused(format!("a payload of {length} bytes is too long: the bus carries at most {max}")));
        }
        match frame.link {
            Some(link) if link != self.link => {
                return Err(refused(format!("this seat has link {}, not link {}", self.link.0, link.0)));
            }
            _ => {}
        }
        match &frame.to {
            Destination::Address(address) => check_name(address.text()),
            Destination::Queue(name) => check_name(name),
            Destination::Topic { exchange, key } => check_name(exchange).and_then(|()| check_name(key)),
            Destination::Link => Err(refused("the in-memory bus has no links with peers: publish to an address or a topic")),
        }
    }

    /// Publishes without waiting. `None` if there is something to wait for; then the frame is still there.
    pub(super) fn publish_now(&self, frame: &mut Option<Box<Stored>>) -> Option<Result<Receipt, TransportError>> {
        if !self.is_up.load(Ordering::SeqCst) {
            return self.is_closed().then(|| Err(closed()));
        }
        match self.bus.route(frame) {
            Routed::Done(receipt) => Some(Ok(receipt)),
            Routed::Full(_) => None,
        }
    }

    /// Publishes, and waits as long as the options allow: for the seat to be on the bus, and for room.
    pub(super) async fn publish(&self, mut frame: Option<Box<Stored>>) -> Result<Receipt, TransportError> {
        let deadline = self.deadline();
        loop {
            self.up(deadline).await?;
            let mailboxes = match self.bus.route(&mut frame) {
                Routed::Done(receipt) => return Ok(receipt),
                Routed::Full(mailboxes) => mailboxes,
            };
            let withdrawn = match &mailboxes[..] {
                // Whoever makes room puts the frame in: in the order of those who wait, and whole or not at all.
                [mailbox] => {
                    let size = frame.as_ref().map_or(0, |stored| stored.size());
                    let ticket = mailbox.line_up(frame.take(), size);
                    match self.wait(ticket, &mut frame, deadline).await {
                        Waited::Granted(Granted::Gone) => return Ok(self.bus.unroutable()),
                        Waited::Granted(_) => return Ok(Receipt::Stored),
                        Waited::Withdrawn { late } => late,
                    }
                }
                mailboxes => match self.publish_to_all(mailboxes, &mut frame, deadline).await {
                    Ok(receipt) => return Ok(receipt),
                    Err(late) => late,
                },
            };
            if withdrawn {
                let wait = self.bus.options.wait;
                return Err(TransportError::new(
                    TransportErrorKind::Full,
                    format!("no room at {} for {wait:?}: its subscribers are too slow", name(frame.as_deref())),
                ));
            }
        }
    }

    /// Reserves room in every mailbox, the oldest first so that no two publishers wait for each other, then puts the frame into all.
    async fn publish_to_all(
        &self,
        mailboxes: &[Arc<Mailbox>],
        frame: &mut Option<Box<Stored>>,
        deadline: Instant,
    ) -> Result<Receipt, bool> {
        let size = frame.as_ref().map_or(0, |stored| stored.size());
        let mut permits = Vec::with_capacity(mailboxes.len());
        for mailbox in mailboxes {
            match self.wait(mailbox.line_up(None, size), &mut None, deadline).await {
                Waited::Granted(Granted::Reserved(permit)) => permits.push(permit),
                Waited::Granted(_) => {}
                Waited::Withdrawn { late } => return Err(late),
            }
        }
        Ok(self.bus.fill(permits, frame))
    }

    /// Waits for a ticket's turn, for the deadline, or until the seat leaves the bus.
    async fn wait(&self, mut ticket: Ticket, frame: &mut Option<Box<Stored>>, deadline: Instant) -> Waited {
        let mut presence = self.presence.subscribe();
        let mut left = pin!(presence.wait_for(|presence| *presence != Presence::Up));
        loop {
            // Frames that expire where nobody takes them make room as well.
            let until = ticket.mailbox().purge_at().map_or(deadline, |expiry| expiry.min(deadline));
            let late = {
                let mut timer = pin!(sleep_until(until));
                let mut granted = pin!(ticket.granted());
                let event = poll_fn(|cx| {
                    if let Poll::Ready(granted) = granted.as_mut().poll(cx) {
                        return Poll::Ready(Ok(granted));
                    }
                    if left.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Err(Some(false)));
                    }
                    timer.as_mut().poll(cx).map(|()| Err((until >= deadline).then_some(true)))
                })
                .await;
                match event {
                    Ok(granted) => return Waited::Granted(granted),
                    Err(late) => late,
                }
            };
            match late {
                None => ticket.mailbox().purge(),
                Some(late) if ticket.withdraw(frame) => return Waited::Withdrawn { late },
                Some(_) => return Waited::Granted(ticket.granted().await),
            }
        }
    }

    /// Waits until the seat is on the bus.
    async fn up(&self, deadline: Instant) -> Result<(), TransportError> {
        let mut presence = self.presence.subscribe();
        match timeout_at(deadline, presence.wait_for(|presence| *presence != Presence::Paused)).await {
            Ok(Ok(presence)) if *presence == Presence::Up => Ok(()),
            Ok(_) => Err(closed()),
            Err(_) => Err(TransportError::new(
                TransportErrorKind::Disconnected,
                format!("the seat was off the bus for {:?}", self.bus.options.wait),
            )),
        }
    }

    fn deadline(&self) -> Instant {
        after(self.bus.options.wait)
    }

    pub(super) async fn subscribe(self: &Arc<Self>, subscription: Subscription) -> Result<Inbox, TransportError> {
        let deadline = self.deadline();
        loop {
            if self.presence() != Presence::Up {
                self.up(deadline).await?;
            }
            let mut state = self.lock();
            if self.presence() == Presence::Up {
                let port = Arc::new(Port::new(self.bus.attach(&subscription, self.link)?));
                let member = state.members.insert(Member { subscription, port: Arc::clone(&port) });
                return Ok(Inbox::new(Arc::clone(self), member, port));
            }
        }
    }

    /// Ends a subscription.
    pub(super) fn leave(&self, member: u64) {
        let mut state = self.lock();
        if let Some(member) = state.members.remove(member)
            && let Some(at) = member.port.change(Standing::Ended(None))
        {
            self.bus.detach(&at);
        }
    }

    /// Takes the seat off the bus, and brings it back after a while.
    pub(super) fn pause(self: &Arc<Self>, resume: Duration) -> Result<(), TransportError> {
        let runtime =
            Handle::try_current().map_err(|error| refused("a pause needs a Tokio runtime to end it").caused_by(error))?;
        let mut state = self.lock();
        match self.presence() {
            Presence::Closed => return Err(closed()),
            Presence::Paused => {}
            Presence::Up => {
                self.set_presence(Presence::Paused);
                for member in state.members.iter() {
                    if let Some(at) = member.port.change(Standing::Away) {
                        self.bus.detach(&at);
                    }
                }
                self.reporter.down(self.link, "paused");
            }
        }
        state.pauses += 1;
        let (pause, seat, until) = (state.pauses, Arc::downgrade(self), after(resume));
        runtime.spawn(async move {
            sleep_until(until).await;
            if let Some(seat) = seat.upgrade() {
                seat.resume(pause);
            }
        });
        Ok(())
    }

    fn resume(&self, pause: u64) {
        let mut state = self.lock();
        if state.pauses != pause || self.presence() != Presence::Paused {
            return;
        }
        for member in state.members.iter() {
            let standing = match self.bus.attach(&member.subscription, self.link) {
                Ok(at) => Standing::At(at),
                Err(error) => Standing::Ended(Some(error)),
            };
            member.port.change(standing);
        }
        state.generation += 1;
        self.set_presence(Presence::Up);
        self.reporter.up(Link { id: self.link, generation: state.generation, peer: None });
    }

    /// Ends the seat, and nothing else on the bus.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        if self.set_presence(Presence::Closed) == Presence::Closed {
            return;
        }
        for member in std::mem::take(&mut state.members).into_values() {
            if let Some(at) = member.port.change(Standing::Ended(None)) {
                self.bus.detach(&at);
            }
        }
        self.reporter.down(self.link, "closed");
        self.reporter.close();
    }
}

pub(super) fn closed() -> TransportError {
    TransportError::new(TransportErrorKind::Closed, "this seat on the in-memory bus was closed")
}

/// The moment after a while. Where the clock does not reach that far, a year is as good.
fn after(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + Duration::from_secs(365 * 86_400))
}

/// What a frame's destination is called in a message.
fn name(stored: Option<&Stored>) -> String {
    match stored.map(|stored| &stored.frame.to) {
        Some(Destination::Address(address)) => format!("`{address}`"),
        Some(Destination::Queue(name)) => format!("`{name}`"),
        Some(Destination::Topic { exchange, key }) => format!("`{exchange}` under `{key}`"),
        Some(Destination::Link) | None => String::from("a link"),
    }
}

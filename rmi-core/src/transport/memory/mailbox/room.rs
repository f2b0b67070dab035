use std::sync::Arc;

use tokio::sync::oneshot;

use super::{After, Mailbox, Offer, State, Stored};

/// A publisher that waits for room.
#[derive(Debug)]
pub(super) struct Waiter {
    id: u64,
    size: usize,
    /// The frame, to be put into the mailbox by whoever makes room; none if the place is only to be reserved.
    pub(super) frame: Option<Box<Stored>>,
    /// Told `true` when there was room, `false` when the mailbox has gone.
    pub(super) granted: oneshot::Sender<bool>,
}

/// A publisher's place among those who wait. Dropped, it is given up: the frame was handed over by then, or never is.
#[derive(Debug)]
pub(in super::super) struct Ticket {
    mailbox: Arc<Mailbox>,
    id: u64,
    size: usize,
    carries: bool,
    granted: oneshot::Receiver<bool>,
    settled: bool,
}

/// What became of a [`Ticket`].
#[derive(Debug)]
pub(in super::super) enum Granted {
    /// The frame was put into the mailbox.
    Stored,
    /// The place is reserved.
    Reserved(Permit),
    /// The mailbox has gone.
    Gone,
}

/// A reserved place in a mailbox. Dropped, it is given back.
#[derive(Debug)]
pub(in super::super) struct Permit {
    mailbox: Arc<Mailbox>,
    size: usize,
    filled: bool,
}

/// The answer to a reservation.
#[derive(Debug)]
pub(in super::super) enum Reserved {
    /// The place is reserved.
    Now(Permit),
    /// There is no room.
    Full,
    /// The mailbox has gone.
    Gone,
}

impl Mailbox {
    /// Reserves a place, if there is room and nobody waits for it.
    pub(in super::super) fn reserve(self: &Arc<Self>, size: usize) -> Reserved {
        let mut after = After::default();
        let mut state = self.lock();
        match state.room_for(size, self, &mut after) {
            Offer::Stored => {
                state.reserved += 1;
                state.bytes += size;
                Reserved::Now(Permit { mailbox: Arc::clone(self), size, filled: false })
            }
            Offer::Full => Reserved::Full,
            Offer::Gone | Offer::Lapsed => Reserved::Gone,
        }
    }

    /// Waits in line for room: for `frame`, or for a place of `size` bytes if there is none. If there is room after all, the ticket
    /// is granted at once.
    pub(in super::super) fn line_up(self: &Arc<Self>, frame: Option<Box<Stored>>, size: usize) -> Ticket {
        let (grant, granted) = oneshot::channel();
        let carries = frame.is_some();
        let mut after = After::default();
        let mut state = self.lock();
        state.next_waiter += 1;
        let id = state.next_waiter;
        if state.gone || state.lapsed() {
            after.granted.push((grant, false));
            after.spent.extend(frame);
        } else {
            state.blocked.push_back(Waiter { id, size, frame, granted: grant });
            state.admit(self, &mut after);
        }
        Ticket { mailbox: Arc::clone(self), id, size, carries, granted, settled: false }
    }
}

impl Ticket {
    /// Waits for its turn.
    pub(in super::super) async fn granted(&mut self) -> Granted {
        let granted = (&mut self.granted).await.unwrap_or(false);
        self.settled = true;
        match (granted, self.carries) {
            (false, _) => Granted::Gone,
            (true, true) => Granted::Stored,
            (true, false) => Granted::Reserved(Permit { mailbox: Arc::clone(&self.mailbox), size: self.size, filled: false }),
        }
    }

    /// Gives up waiting. `false` if its turn had come already; then [`granted`](Self::granted) says at once what became of it.
    pub(in super::super) fn withdraw(&mut self, frame: &mut Option<Box<Stored>>) -> bool {
        let mut after = After::default();
        let mut state = self.mailbox.lock();
        let Some(at) = state.blocked.iter().position(|waiter| waiter.id == self.id) else { return false };
        *frame = state.blocked.remove(at).and_then(|waiter| waiter.frame);
        // A smaller frame behind it may have room.
        state.admit(&self.mailbox, &mut after);
        self.settled = true;
        true
    }

    pub(in super::super) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut frame = None;
        // A place that was granted meanwhile is given back; `false` says that there is none to give.
        if !self.settled && !self.withdraw(&mut frame) && !self.carries {
            drop(Permit { mailbox: Arc::clone(&self.mailbox), size: self.size, filled: false });
        }
    }
}

impl Permit {
    /// Puts a frame of the size that was asked for into the reserved place. `false` if the mailbox has gone meanwhile.
    pub(in super::super) fn fill(mut self, stored: Box<Stored>) -> bool {
        let mut after = After::default();
        let mut state = self.mailbox.lock();
        self.filled = true;
        if state.gone {
            after.spent.push(stored);
            return false;
        }
        state.reserved -= 1;
        state.store(stored, &mut after);
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.filled {
            return;
        }
        let mut after = After::default();
        let mut state = self.mailbox.lock();
        if !state.gone {
            state.reserved -= 1;
            state.bytes -= self.size;
            state.admit(&self.mailbox, &mut after);
        }
    }
}

impl State {
    /// Says whether a frame may be stored now, without overtaking those who wait.
    pub(super) fn room_for(&mut self, size: usize, mailbox: &Mailbox, after: &mut After) -> Offer {
        if self.gone {
            return Offer::Gone;
        }
        if self.abandoned.is_some() && self.lapsed() {
            return Offer::Lapsed;
        }
        if self.blocked.is_empty() && self.fits(size, mailbox) {
            return Offer::Stored;
        }
        self.purge(after);
        self.admit(mailbox, after);
        if self.drops && self.blocked.is_empty() {
            self.make_room(size, mailbox, after);
            return Offer::Stored;
        }
        if self.blocked.is_empty() && self.fits(size, mailbox) { Offer::Stored } else { Offer::Full }
    }

    /// Drops what has waited longest until there is room. What is delivered and not settled cannot be dropped; how much that is, the
    /// prefetch bounds.
    fn make_room(&mut self, size: usize, mailbox: &Mailbox, after: &mut After) {
        let before = after.expired.len();
        while !self.fits(size, mailbox)
            && let Some(oldest) = self.queue.pop(&mut None, &mut after.expired)
        {
            self.tally.dropped += 1;
            self.missed += 1;
            self.bytes -= oldest.size();
            after.spent.push(oldest);
        }
        self.expired(before, after);
    }

    /// Lets those who wait in, in their order, as far as there is room.
    pub(super) fn admit(&mut self, mailbox: &Mailbox, after: &mut After) {
        while let Some(first) = self.blocked.front()
            && self.fits(first.size, mailbox)
            && let Some(waiter) = self.blocked.pop_front()
        {
            self.bytes += waiter.size;
            match waiter.frame {
                Some(stored) => self.store(stored, after),
                None => self.reserved += 1,
            }
            after.granted.push((waiter.granted, true));
        }
    }

    /// A mailbox that holds nothing takes a frame of any length: what may be published can be delivered.
    fn fits(&self, size: usize, mailbox: &Mailbox) -> bool {
        let frames = self.queue.len() + self.unsettled + self.reserved;
        frames == 0 || (frames < mailbox.max_frames && self.bytes.saturating_add(size) <= mailbox.max_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{
        Destination, Frame,
        memory::{mailbox::Place, options::Options},
    };

    /// A publisher may have looked a mailbox up just before it was removed.
    #[tokio::test]
    async fn a_mailbox_that_has_gone_takes_nothing() {
        let mailbox = Arc::new(Mailbox::new(1, Place::Address("dog".into()), true, &Options::default()));
        let mut frame = Some(Stored::new(Frame::new(Destination::Address("dog".into()), "bark")));
        let Reserved::Now(permit) = mailbox.reserve(4) else { panic!("there was room") };
        mailbox.bury();
        assert_eq!(mailbox.offer(&mut frame), Offer::Gone);
        assert!(frame.is_some());
        assert!(matches!(mailbox.reserve(4), Reserved::Gone));
        assert!(matches!(mailbox.line_up(frame.clone(), 4).granted().await, Granted::Gone));
        assert!(!permit.fill(frame.take().unwrap()));
        let holding = mailbox.holding();
        assert_eq!((holding.waiting, holding.bytes, holding.blocked, holding.tally.published), (0, 0, 0, 0));
    }
}

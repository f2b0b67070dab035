//! What is on its way, and who of it has something to say.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::{
    handing::{self, Handing, Outcome, Publish},
    job::Job,
};
use futures_util::task::AtomicWaker;

/// So many places keep what they need for handing a frame over; more are needed in a burst.
const KEPT: usize = 64;

/// Which frame on its way. They are ordered as they were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    number: u64,
    place: usize,
}

/// The frames on their way, each at a place with a waker that stays when it has gone.
#[derive(Debug)]
pub(super) struct Flight {
    places: Vec<Place>,
    free: Vec<usize>,
    next: u64,
    ready: Arc<Ready>,
    taken: Vec<usize>,
}

struct Place {
    frame: Option<(u64, Job, State)>,
    handing: Option<Box<dyn Handing>>,
    signal: Arc<Signal>,
    waker: Waker,
}

impl Place {
    /// Takes the frame away. Nothing is heard of it any more.
    fn leave(&mut self, at: usize) -> Option<(u64, Job)> {
        let (number, job, state) = self.frame.take()?;
        match &mut self.handing {
            handing if at >= KEPT => *handing = None,
            Some(handing) if matches!(state, State::Publishing) => handing.end(),
            _ => {}
        }
        Some((number, job))
    }
}

enum State {
    Publishing,
    /// It ended when it was begun.
    Ended(Outcome),
    /// What came of it has been told.
    Told,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.frame.as_ref().map(|(number, job, _)| (number, job))).finish()
    }
}

impl Flight {
    pub(super) fn new(ready: Arc<Ready>) -> Self {
        Flight { places: Vec::new(), free: Vec::new(), next: 0, ready, taken: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hands a frame to the library, and watches it from then on.
    pub(super) fn begin(&mut self, job: Job, publish: Publish) {
        let at = self.place();
        let place = &mut self.places[at];
        let handing = place.handing.get_or_insert_with(handing::handing);
        let come = handing.begin(publish, &mut Context::from_waker(&place.waker));
        self.enter(at, job, come);
    }

    /// A frame is on its way that somebody else has handed over. Returns what has it asked.
    #[cfg(test)]
    pub(super) fn pretend_by(&mut self, job: Job, handing: Box<dyn Handing>) -> Waker {
        let at = self.place();
        self.places[at].handing = Some(handing);
        self.enter(at, job, Poll::Pending);
        self.places[at].waker.clone()
    }

    /// A place that is free.
    fn place(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            let signal =
                Arc::new(Signal { place: self.places.len(), raised: AtomicBool::new(false), ready: Arc::clone(&self.ready) });
            self.places.push(Place { frame: None, handing: None, waker: Waker::from(Arc::clone(&signal)), signal });
            self.places.len() - 1
        })
    }

    /// A frame is on its way, or what became of it is known already.
    fn enter(&mut self, at: usize, job: Job, come: Poll<Outcome>) {
        let place = &mut self.places[at];
        let state = match come {
            Poll::Pending => State::Publishing,
            Poll::Ready(outcome) => {
                place.waker.wake_by_ref();
                State::Ended(outcome)
            }
        };
        place.frame = Some((self.next, job, state));
        self.next += 1;
    }

    /// A frame is on its way that no library has.
    #[cfg(test)]
    pub(super) fn pretend(&mut self, job: Job, come: Poll<Outcome>) {
        let at = self.place();
        self.enter(at, job, come);
    }

    /// Hears all who have something to say, in the order in which they had it; `false` when nobody has.
    pub(super) fn hear(&mut self, told: &mut Vec<(Id, Outcome)>) -> bool {
        let mut taken = std::mem::take(&mut self.taken);
        std::mem::swap(&mut taken, &mut *self.ready.lock());
        let some = !taken.is_empty();
        for at in taken.drain(..) {
            let Some(Place { frame, handing, signal, waker }) = self.places.get_mut(at) else { continue };
            // Before it is asked: what it has to say after that raises it again.
            signal.raised.store(false, Ordering::SeqCst);
            let Some((number, _, state)) = frame else { continue };
            let outcome = match (std::mem::replace(state, State::Told), handing) {
                (State::Publishing, Some(handing)) => match handing.poll(&mut Context::from_waker(waker)) {
                    Poll::Ready(outcome) => outcome,
                    Poll::Pending => {
                        *state = State::Publishing;
                        continue;
                    }
                },
                (State::Ended(outcome), _) => outcome,
                (State::Publishing | State::Told, _) => continue,
            };
            told.push((Id { number: *number, place: at }, outcome));
        }
        self.taken = taken;
        some
    }

    pub(super) fn get(&self, id: Id) -> Option<&Job> {
        self.places.get(id.place)?.frame.as_ref().filter(|(number, ..)| *number == id.number).map(|(_, job, _)| job)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Job> {
        self.places.get_mut(id.place)?.frame.as_mut().filter(|(number, ..)| *number == id.number).map(|(_, job, _)| job)
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<Job> {
        self.get(id)?;
        let job = self.places.get_mut(id.place)?.leave(id.place)?;
        self.free.push(id.place);
        Some(job.1)
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &Job)> {
        let frames = self.places.iter().enumerate();
        frames.filter_map(|(place, at)| at.frame.as_ref().map(|(number, job, _)| (Id { number: *number, place }, job)))
    }

    pub(super) fn jobs_mut(&mut self) -> impl Iterator<Item = &mut Job> {
        self.places.iter_mut().filter_map(|place| place.frame.as_mut().map(|(_, job, _)| job))
    }

    /// Takes all of them, as they were sent. Nothing is heard of them any more.
    pub(super) fn end(&mut self) -> Vec<Job> {
        let mut all: Vec<_> = self.places.iter_mut().enumerate().filter_map(|(at, place)| place.leave(at)).collect();
        all.sort_unstable_by_key(|(number, _)| *number);
        self.free = (0..self.places.len()).collect();
        all.into_iter().map(|(_, job)| job).collect()
    }
}

/// The places of those who have something to say.
#[derive(Debug, Default)]
pub(super) struct Ready {
    places: Mutex<Vec<usize>>,
    task: AtomicWaker,
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, Vec<usize>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody has something to say; if nobody has, this task is woken when somebody does.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        self.task.register(cx.waker());
        if self.lock().is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// Wakes one place.
struct Signal {
    place: usize,
    raised: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.raised.swap(true, Ordering::SeqCst) {
            return;
        }
        let first = {
            let mut places = self.ready.lock();
            places.push(self.place);
            places.len() == 1
        };
        if first {
            self.ready.task.wake();
        }
    }
}

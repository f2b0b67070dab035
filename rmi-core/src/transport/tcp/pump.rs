//! Moves lines between one connection and its queues: one task, which reads what is there and writes all that waits.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncReadExt, AsyncWrite},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    end::{End, Joint, Place},
    inbox::Brought,
    lines::Lines,
    outbox::{Batch, Taken},
    stream::Stream,
};

/// How long a link is not read that would hold more than its share while there is no more room. Nobody wakes it: it looks again.
const CROWDED: Duration = Duration::from_millis(50);
/// For how many reads and writes of one line each a link is still taken for one by which several are under way at a time.
const BUSY: u8 = 16;
/// How many parts one write has at most.
const PARTS: usize = 16;

/// Why a link is down.
#[derive(Debug)]
pub(super) enum Why {
    /// The peer closed it.
    Peer,
    /// We did, and everything that waited was written.
    Ours,
    Io(io::Error),
    TooLong(usize),
    Unfinished(Duration),
    Stalled(Duration),
    /// Nothing has come in time that was let in.
    Unidentified(Duration),
    /// It had to make room for another connection.
    Evicted,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Why::Peer => f.write_str("the peer closed it"),
            Why::Ours => f.write_str("closed here"),
            Why::Io(error) => error.fmt(f),
            Why::TooLong(most) => write!(f, "the peer sent a line of more than {most} bytes"),
            Why::Unfinished(time) => write!(f, "the peer began a line, and did not end it in {time:?}"),
            Why::Stalled(time) => write!(f, "the peer took nothing of what it was sent for {time:?}"),
            Why::Unidentified(time) => write!(f, "the peer sent nothing in {time:?} that was let in"),
            Why::Evicted => f.write_str("it made room for another connection"),
        }
    }
}

/// One connection at work.
pub(super) struct Pump {
    end: Arc<End>,
    joint: Arc<Joint>,
    place: Arc<Place>,
    stream: Stream,
    lines: Lines,
    taken: Vec<Bytes>,
    batch: Batch,
    /// Several lines came or went at once, so many reads and writes ago that it counts down to none.
    busy: u8,
    /// Whoever was ready has had its chance to have more written.
    gathered: bool,
    /// Written, and perhaps not flushed.
    unflushed: bool,
    /// How much of the budget the line takes that is not finished.
    counted: usize,
    /// All links together hold as much as they may.
    crowded: bool,
    /// Since when nothing can be written, a line is not finished, or no more is sent.
    blocked: Option<Instant>,
    begun: Option<Instant>,
    leaving: Option<Instant>,
    /// Until when something has to have come that is let in.
    identified_by: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
    armed: bool,
}

impl Pump {
    pub(super) fn new(end: Arc<End>, joint: Arc<Joint>, stream: Stream, place: Arc<Place>) -> Self {
        let lines = Lines::new(end.options.max_line);
        let identified_by = end.options.identify.and_then(|time| Instant::now().checked_add(time));
        Pump {
            end,
            joint,
            place,
            stream,
            lines,
            taken: Vec::new(),
            batch: Batch::default(),
            busy: 0,
            gathered: false,
            unflushed: false,
            counted: 0,
            crowded: false,
            blocked: None,
            begun: None,
            leaving: None,
            identified_by,
            alarm: Box::pin(sleep_until(Instant::now())),
            armed: false,
        }
    }

    /// Works until the link is down, and says why it is.
    pub(super) async fn run(mut self) -> Why {
        let why = poll_fn(|cx| self.poll(cx)).await;
        if let Why::Ours = why {
            let _ = tokio::time::timeout(self.end.options.linger, self.say_goodbye()).await;
        }
        let counting = &self.end.counting;
        match &why {
            Why::TooLong(_) => counting.too_long.one(),
            Why::Unfinished(_) => counting.unfinished.one(),
            Why::Stalled(_) => counting.stalled.one(),
            Why::Unidentified(_) => counting.unidentified.one(),
            Why::Peer | Why::Ours | Why::Io(_) | Why::Evicted => {}
        }
        counting.lost.many(self.joint.outbox.clear() + self.batch.frames());
        why
    }

    /// Ends what is sent. A socket that is closed while there is something to read from it takes back what is still on its way to
    /// the peer (RFC 2525, 2.17): that is read first, until the peer has seen the end and closes as well.
    async fn say_goodbye(&mut self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await?;
        let mut unread = vec![0; 8 << 10];
        // What there is may be news to the runtime.
        tokio::task::yield_now().await;
        let stream = &mut self.stream;
        let first = poll_fn(|cx| Poll::Ready(pin!(stream.read(&mut unread)).poll(cx))).await;
        let mut read = match first {
            Poll::Ready(read) => read?,
            Poll::Pending => 0,
        };
        while read > 0 {
            read = self.stream.read(&mut unread).await?;
        }
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Why> {
        if self.joint.evicted.load(Ordering::SeqCst) {
            return Poll::Ready(Why::Evicted);
        }
        match self.poll_write(cx) {
            Poll::Ready(Ok(())) => return Poll::Ready(Why::Ours),
            Poll::Ready(Err(error)) => return Poll::Ready(Why::Io(error)),
            // Whoever waits for the socket alone would not hear that it is to leave.
            Poll::Pending if self.blocked.is_some() => self.joint.outbox.wake_at_end(cx),
            Poll::Pending => {}
        }
        if self.joint.outbox.is_finished() {
            self.leaving.get_or_insert_with(Instant::now);
            self.begun = None;
        } else if let Poll::Ready(why) = self.poll_read(cx) {
            return Poll::Ready(why);
        }
        self.poll_alarm(cx)
    }

    /// Writes all that waits; ready when that was the last.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.batch.chunks.is_empty() {
                if self.gathers(cx) {
                    return Poll::Pending;
                }
                match self.joint.outbox.take(&mut self.batch, cx) {
                    Taken::Some => {}
                    done => {
                        if self.unflushed {
                            // TLS keeps what the socket does not take.
                            let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx) else {
                                self.blocked.get_or_insert_with(Instant::now);
                                return Poll::Pending;
                            };
                            flushed?;
                            (self.unflushed, self.blocked) = (false, None);
                        }
                        return if done == Taken::Finished { Poll::Ready(Ok(())) } else { Poll::Pending };
                    }
                }
            }
            let mut parts = [IoSlice::new(&[]); PARTS];
            let mut used = 0;
            for (part, chunk) in parts.iter_mut().zip(&self.batch.chunks) {
                *part = IoSlice::new(chunk);
                used += 1;
            }
            let written = match Pin::new(&mut self.stream).poll_write_vectored(cx, &parts[..used]) {
                Poll::Ready(written) => written?,
                Poll::Pending => {
                    self.blocked.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.blocked = None;
            self.unflushed = true;
            let counting = &self.end.counting;
            counting.writes.one();
            counting.bytes_sent.many(written);
            advance(&mut self.batch.chunks, written);
            if self.batch.chunks.is_empty() {
                let frames = self.joint.outbox.written(&mut self.batch);
                self.end.counting.sent.many(frames);
                self.moved(frames);
            }
        }
    }

    /// So many lines have come or gone at once.
    fn moved(&mut self, lines: usize) {
        self.busy = if lines > 1 { BUSY } else { self.busy.saturating_sub(1) };
    }

    /// Whether to write a little later: once, when everybody else who is ready has run, and perhaps has more to send. Whoever wakes
    /// this task is followed by it at once, so that every frame would be a write of its own.
    fn gathers(&mut self, cx: &mut Context<'_>) -> bool {
        if self.busy == 0 || std::mem::take(&mut self.gathered) || !self.joint.outbox.has_some() {
            return false;
        }
        self.gathered = true;
        // Its first poll has the runtime wake this task when nobody else is ready.
        pin!(tokio::task::yield_now()).poll(cx).is_pending()
    }

    /// Reads what is there, as long as the link may bring more.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Why> {
        loop {
            // Whose turn it is not to be read has not begun a line too slowly.
            self.crowded = !self.end.budget.has_room(self.joint.id, self.joint.held.bytes() + self.counted);
            if self.crowded {
                self.begun = None;
                return Poll::Pending;
            }
            if !self.joint.held.has_room(cx) {
                self.begun = None;
                self.end.budget.pass(self.joint.id);
                return Poll::Pending;
            }
            let read = match self.poll_some(cx) {
                Poll::Ready(read) => read,
                Poll::Pending => {
                    self.lines.rest();
                    if self.counted > 0 {
                        // What was begun before the link was not read for a while has its time again.
                        self.begun.get_or_insert_with(Instant::now);
                    } else {
                        self.end.budget.pass(self.joint.id);
                    }
                    return Poll::Pending;
                }
            };
            let read = match read {
                Ok(0) => return Poll::Ready(Why::Peer),
                Ok(read) => read,
                Err(error) => return Poll::Ready(Why::Io(error)),
            };
            self.end.counting.bytes_received.many(read);
            self.lines.has_read(read);
            let took = self.lines.take(&mut self.taken);
            if !self.taken.is_empty() {
                self.begun = None;
                self.bring();
            }
            if took.is_err() {
                return Poll::Ready(Why::TooLong(self.end.options.max_line));
            }
            self.count(self.lines.unfinished());
            if self.counted > 0 {
                self.begun.get_or_insert_with(Instant::now);
            } else {
                self.begun = None;
            }
        }
    }

    /// Reads what there is, and takes room for it only then.
    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ready!(self.stream.poll_readable(cx));
        pin!(self.stream.read_buf(self.lines.room())).poll(cx)
    }

    /// Takes so much of the budget for the line that is not finished.
    fn count(&mut self, bytes: usize) {
        self.end.budget.sub(self.counted);
        self.end.budget.add(bytes);
        self.counted = bytes;
    }

    /// Hands on what was read, in one go.
    fn bring(&mut self) {
        let lines = std::mem::take(&mut self.taken);
        self.moved(lines.len());
        self.end.counting.received.many(lines.len());
        if !self.joint.spoken.load(Ordering::Relaxed) {
            self.joint.spoken.store(true, Ordering::Relaxed);
        }
        self.joint.held.add(lines.len(), lines.iter().map(Bytes::len).sum());
        self.end.inbox.put(Brought {
            link: self.joint.id,
            peer: self.joint.peer.clone(),
            held: Arc::clone(&self.joint.held),
            _place: Arc::clone(&self.place),
            lines: lines.into_iter(),
        });
    }

    /// Watches the clock while something takes its time: a peer that takes nothing or says nothing, or a line without an end.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Why> {
        if self.identified_by.is_some() && self.joint.held.is_known() {
            self.identified_by = None;
        }
        let options = &self.end.options;
        let stalled = self.blocked.map(|since| since + options.wait);
        let unfinished = self.begun.map(|since| since + options.line_time);
        let left = self.leaving.map(|since| since + options.linger);
        let again = self.crowded.then(|| Instant::now() + CROWDED);
        let identified_by = self.identified_by.filter(|_| left.is_none());
        let Some(due) = [stalled, unfinished, left, identified_by, again].into_iter().flatten().min() else {
            self.armed = false;
            return Poll::Pending;
        };
        if !self.armed || self.alarm.deadline() > due {
            self.alarm.as_mut().reset(due);
            self.armed = true;
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if stalled.is_some_and(|due| due <= now) {
                return Poll::Ready(Why::Stalled(options.wait));
            }
            if unfinished.is_some_and(|due| due <= now) {
                return Poll::Ready(Why::Unfinished(options.line_time));
            }
            if left.is_some_and(|due| due <= now) {
                return Poll::Ready(Why::Ours);
            }
            if let (Some(_), Some(time)) = (identified_by.filter(|due| *due <= now), options.identify) {
                if self.joint.held.is_empty() {
                    return Poll::Ready(Why::Unidentified(time));
                }
                // Something is being looked at: what becomes of it decides.
                self.identified_by = now.checked_add(time);
                self.armed = false;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if again.is_some() {
                self.armed = false;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.alarm.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.end.budget.sub(self.counted);
        self.end.budget.pass(self.joint.id);
    }
}

/// Takes off what has been written.
fn advance(chunks: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(chunk) = chunks.front_mut() {
        if chunk.len() > written {
            chunk.advance(written);
            return;
        }
        written -= chunk.len();
        chunks.pop_front();
    }
}

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
    end::{End, Joint},
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
        }
    }
}

/// One connection at work.
pub(super) struct Pump {
    end: Arc<End>,
    joint: Arc<Joint>,
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
    alarm: Pin<Box<Sleep>>,
    armed: bool,
}

impl Pump {
    pub(super) fn new(end: Arc<End>, joint: Arc<Joint>, stream: Stream) -> Self {
        let lines = Lines::new(end.options.max_line);
        Pump {
            end,
            joint,
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
            alarm: Box::pin(sleep_until(Instant::now())),
            armed: false,
        }
    }

    /// Works until the link is down, and says why it is.
    pub(super) async fn run(mut self) -> Why {
        let why = poll_fn(|cx| self.poll(cx)).await;
        if let Why::Ours = why {
            let linger = self.end.options.linger;
            let _ = tokio::time::timeout(linger, poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx))).await;
        }
        let counting = &self.end.counting;
        match &why {
            Why::TooLong(_) => counting.too_long.one(),
            Why::Unfinished(_) => counting.unfinished.one(),
            Why::Stalled(_) => counting.stalled.one(),
            Why::Peer | Why::Ours | Why::Io(_) => {}
        }
        counting.lost.many(self.joint.outbox.clear() + self.batch.frames());
        why
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Why> {
        match self.poll_write(cx) {
            Poll::Ready(Ok(())) => return Poll::Ready(Why::Ours),
            Poll::Ready(Err(error)) => return Poll::Ready(Why::Io(error)),
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
                            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
                            self.unflushed = false;
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
            if self.crowded || !self.joint.held.has_room(cx) {
                self.begun = None;
                return Poll::Pending;
            }
            if self.stream.poll_readable(cx).is_pending() {
                self.lines.rest();
                return Poll::Pending;
            }
            let read = {
                let room = self.lines.room();
                let Poll::Ready(read) = pin!(self.stream.read_buf(room)).poll(cx) else {
                    self.lines.rest();
                    return Poll::Pending;
                };
                read
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
            lines: lines.into_iter(),
        });
    }

    /// Watches the clock while something takes its time: a peer that takes nothing, or a line without an end.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Why> {
        let options = &self.end.options;
        let stalled = self.blocked.map(|since| since + options.wait);
        let unfinished = self.begun.map(|since| since + options.line_time);
        let left = self.leaving.map(|since| since + options.linger);
        let again = self.crowded.then(|| Instant::now() + CROWDED);
        let Some(due) = [stalled, unfinished, left, again].into_iter().flatten().min() else {
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

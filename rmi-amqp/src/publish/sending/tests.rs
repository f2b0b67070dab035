//! What becomes of frames when the link, or the channel, goes: without a broker, by what the library would say.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::FutureExt;
use lapin::message::Delivery;
use rmi_core::transport::{Destination, Frame, PendingReceipt, TransportErrorKind};
use tokio::sync::Semaphore;

use super::{super::handing::Handing, *};
use crate::{
    options::{Credentials, Options},
    socket::Target,
};

fn sending() -> Sending {
    let target = Target { hosts: Vec::new(), vhost: "/".to_owned(), credentials: Credentials::default(), tls: None };
    Sending::new(Link::new(target, Options::default()).0, Arc::default())
}

fn frame(payload: &'static str, repeatable: bool) -> Frame {
    let mut frame = Frame::new(Destination::Queue("dog".into()), payload);
    frame.repeatable = repeatable;
    frame
}

fn job(frame: Frame) -> (Job, PendingReceipt) {
    let room = || Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let mut job = Job::new(frame, &Options::default(), (room(), room()));
    let told = job.awaited();
    (job, told)
}

impl Sending {
    /// A frame is on its way, and this comes of it; nothing, as long as the link is there.
    fn sent(&mut self, frame: Frame, outcome: Option<Outcome>) -> PendingReceipt {
        let (job, told) = job(frame);
        self.flight.pretend(job, outcome.map_or(Poll::Pending, Poll::Ready));
        told
    }

    fn waits(&mut self, frame: Frame) -> PendingReceipt {
        let (job, told) = job(frame);
        self.give(job).unwrap();
        told
    }

    fn waiting(&self) -> Vec<&[u8]> {
        self.waiting.iter().map(|job| Bytes::as_ref(&job.frame.payload)).collect()
    }
}

#[tokio::test]
async fn who_does_not_wait_any_more_leaves_his_room() {
    let mut sending = sending();
    let places = Arc::new(Semaphore::new(2));
    let mut waits = Vec::new();
    for _ in 0..2 {
        let (mut job, told) = job(frame("x", false));
        job._room.0 = Arc::clone(&places).try_acquire_owned().unwrap();
        sending.give(job).unwrap();
        waits.push(told);
    }
    waits.pop();
    sending.expire();
    assert_eq!((sending.waiting.len(), places.available_permits()), (1, 1));
}

#[tokio::test]
async fn only_what_may_be_repeated_is_sent_again() {
    let mut sending = sending();
    let (mut again, mut once) = (sending.sent(frame("again", true), None), sending.sent(frame("once", false), None));
    sending.interrupted(false);
    assert_eq!(sending.waiting(), [b"again"]);
    assert!(sending.waiting[0].repeated && sending.waiting[0].late && sending.flight.is_empty());
    assert!((&mut again).now_or_never().is_none());
    let told = (&mut once).now_or_never().expect("it is told at once").unwrap_err();
    assert_eq!(told.kind, TransportErrorKind::Ambiguous, "{told}");
    let tally = sending.link.tally.read();
    assert_eq!((tally.repeated, tally.ambiguous), (1, 1));
}

#[tokio::test]
async fn what_is_sent_again_comes_before_what_waits() {
    let mut sending = sending();
    let mut kept = Vec::new();
    for payload in ["1", "2", "3"] {
        kept.push(sending.sent(frame(payload, true), None));
    }
    for payload in ["4", "5"] {
        kept.push(sending.waits(frame(payload, true)));
    }
    sending.interrupted(false);
    kept.push(sending.waits(frame("6", true)));
    assert_eq!(sending.waiting(), [b"1", b"2", b"3", b"4", b"5", b"6"]);
}

/// Frames that were given to a channel that had gone never left: they are sent in their order by the next one, whatever they are, and
/// nothing that becomes of them then is uncertain.
#[tokio::test]
async fn what_was_not_sent_is_sent_in_its_order_as_if_for_the_first_time() {
    let mut sending = sending();
    let mut on_its_way = sending.sent(frame("1", true), None);
    let mut unsent = Vec::new();
    for payload in ["2", "3", "4"] {
        unsent.push(sending.sent(frame(payload, false), Some(Outcome::NotSent)));
    }
    let mut waits = sending.waits(frame("5", false));
    sending.gather();
    assert!(sending.is_broken() && sending.wants_keeper(), "another channel is wanted");
    sending.interrupted(true);
    assert_eq!(sending.waiting(), [b"1", b"2", b"3", b"4", b"5"]);
    assert_eq!((sending.link.tally.read().repeated, sending.is_broken()), (1, false));
    let told = [&mut on_its_way, &mut waits].into_iter().chain(&mut unsent).map(|told| told.now_or_never());
    assert!(told.into_iter().all(|told| told.is_none()), "nothing is known of them yet");
    // A second loss finds them waiting, and takes none of them for sent.
    sending.interrupted(false);
    for (mut job, mut told) in sending.waiting.drain(1..4).zip(unsent) {
        job.answer(Ok(Receipt::NoRoute));
        assert_eq!((&mut told).now_or_never().unwrap().unwrap(), Receipt::NoRoute);
    }
}

#[tokio::test]
async fn what_was_sent_twice_is_not_said_never_to_have_arrived() {
    for (told, once) in [
        (Ok(Receipt::NoRoute), None),
        (Err(full("full")), Some(TransportErrorKind::Full)),
        (Err(disconnected("gone")), Some(TransportErrorKind::Disconnected)),
    ] {
        for repeated in [false, true] {
            let (mut job, mut answered) = job(frame("x", true));
            job.repeated = repeated;
            job.answer(told.clone());
            let expected = if repeated { Some(TransportErrorKind::Ambiguous) } else { once };
            assert_eq!(
                (&mut answered).now_or_never().unwrap().err().map(|error| error.kind),
                expected,
                "{told:?}, repeated: {repeated}"
            );
        }
    }
    let (mut job, mut answered) = job(frame("x", true));
    job.repeated = true;
    job.answer(Ok(Receipt::Stored));
    assert_eq!((&mut answered).now_or_never().unwrap().unwrap(), Receipt::Stored);
}

#[tokio::test(start_paused = true)]
async fn what_waited_has_less_time_to_live() {
    let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
    let mut frame = frame("x", true);
    frame.ttl = Some(hour);
    let (mut job, _told) = job(frame);
    tokio::time::advance(minute).await;
    // The turn that everybody takes is no waiting: the broker is not told another time for each frame.
    assert_eq!(job.ttl(), Ok(Some(hour)));
    job.late = true;
    assert_eq!(job.ttl(), Ok(Some(hour - minute)));
    tokio::time::advance(hour - minute).await;
    assert_eq!(job.ttl(), Err(hour));
    job.frame.ttl = None;
    assert_eq!(job.ttl(), Ok(None));
}

/// Whatever takes a frame back marks it as late: its time to live is not taken anew.
#[tokio::test]
async fn whatever_waits_for_another_link_is_late() {
    let mut sending = sending();
    let _kept = [
        sending.sent(frame("1", true), None),
        sending.sent(frame("2", false), Some(Outcome::NotSent)),
        sending.waits(frame("3", true)),
    ];
    sending.gather();
    sending.interrupted(false);
    let _late = sending.waits(frame("4", true));
    assert!(sending.waiting.len() == 4 && sending.waiting.iter().all(|job| job.late));
}

/// Its publisher was told that it is on its way: it is sent again where that does no harm, and otherwise nobody is left to be told.
#[tokio::test]
async fn what_was_handed_over_is_sent_again_as_well() {
    let mut sending = sending();
    for (payload, repeatable) in [("again", true), ("once", false)] {
        let (mut job, _) = job(frame(payload, repeatable));
        (job.confirmed, job.handed, job.answer) = (false, true, None);
        sending.flight.pretend(job, Poll::Pending);
    }
    sending.interrupted(false);
    assert_eq!(sending.waiting(), [b"again"]);
    sending.expire();
    assert_eq!((sending.waiting.len(), sending.link.tally.read().ambiguous), (1, 0), "it waits, though nobody waits for it");
}

/// Says what became of a frame, and before that has somebody else speak up.
struct Says(Option<Outcome>, Waker);

impl Handing for Says {
    fn begin(&mut self, _: Publish, _: &mut Context<'_>) -> Poll<Outcome> {
        Poll::Pending
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<Outcome> {
        self.1.wake_by_ref();
        self.0.take().map_or(Poll::Pending, Poll::Ready)
    }

    fn end(&mut self) {}
}

/// The library resolves the acknowledgements that come together one after the other, and hangs a return to the first of them. Who is asked
/// for another reason in the middle of that knows of his own before the one is heard that carries his return.
#[tokio::test]
async fn a_return_is_found_whoever_is_heard_first() {
    let mut sending = sending();
    let mandatory = |payload| {
        let mut frame = frame(payload, true);
        frame.mandatory = true;
        job(frame)
    };
    let (delivery, reply_text) = (Delivery::mock(0, "".into(), "dog".into(), false, b"nobody".to_vec()), "NO_ROUTE".into());
    let returned = Box::new(BasicReturnMessage { delivery, reply_code: 312, reply_text });
    let ((carries, mut stored), (nobody, mut not_there)) = (mandatory("somebody"), mandatory("nobody"));
    let first = sending.flight.pretend_by(carries, Box::new(Says(Some(Outcome::Ack(Some(returned))), Waker::noop().clone())));
    sending.flight.pretend_by(nobody, Box::new(Says(Some(Outcome::Ack(None)), first))).wake();
    sending.gather();
    assert_eq!((&mut stored).now_or_never().unwrap().unwrap(), Receipt::Stored);
    assert_eq!((&mut not_there).now_or_never().unwrap().unwrap(), Receipt::NoRoute);
}

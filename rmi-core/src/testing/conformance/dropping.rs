use std::{collections::HashMap, future::Future, pin::pin, task::Poll, time::Duration};

use super::{
    Harness, Verdict,
    lane::{Inbox, Lane, numbers, soon, text},
};
use crate::transport::{Disposition, Receipt, Sharing, TransportErrorKind};

/// Polls so many times, as often as it is woken, then drops the future.
async fn polled<F: Future>(future: F, mut times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        times -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if times == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

const PAUSE: Duration = Duration::from_millis(1);

/// `recv` dropped after each of its polls: what came is there for the next one, once.
pub(super) async fn a_receive_that_is_dropped_loses_nothing<H: Harness>(harness: &H) -> Verdict {
    const MANY: usize = 60;
    let lane = Lane::new(harness).await;
    let mut inbox = lane.inbox().await;
    let sending = lane.send_all(numbers(MANY));
    let mut taken = Vec::new();
    let receiving = async {
        let mut received = Vec::new();
        while received.len() < MANY {
            let times = 1 + received.len() % 3;
            // Woken or not: a future that nothing wakes is dropped as well.
            let polling = polled(inbox.deliveries.recv(&mut taken, 4), times);
            let count = tokio::time::timeout(PAUSE, polling).await.ok().flatten();
            if count.is_none() {
                assert!(taken.is_empty(), "a `recv` that was dropped had appended something");
                tokio::time::sleep(PAUSE).await;
            }
            for delivery in taken.drain(..) {
                received.push(text(&delivery));
                delivery.acker.settle(Disposition::Ack);
            }
        }
        received
    };
    assert_eq!(soon("everything arrives", receiving).await, numbers(MANY));
    sending.await.expect("all of them were published");
    inbox.nothing("all of it had come").await;
    Verdict::Held
}

/// `publish` dropped after each of its polls, also while it waits for room: the frame was handed over whole or not at all, and never
/// twice.
pub(super) async fn a_publish_that_is_dropped_is_whole_or_not_at_all<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let mut inbox = lane.inbox().await;
    // So many that some of them have to wait, where there is a bound.
    let many = H::ROOM.map_or(24, |room| (room + 8).min(2000));
    let mut taken = Vec::new();
    for number in 0..many {
        let frame = lane.frame(format!("{number} {}", "x".repeat(number % 50))).await;
        let told = tokio::time::timeout(PAUSE, polled(lane.sender.publish(frame), 1 + number % 4)).await.ok().flatten();
        taken.push(matches!(told, Some(Ok(Receipt::Stored))));
    }
    let mut arrived: HashMap<usize, usize> = HashMap::new();
    for text in inbox.rest().await {
        let (number, rest) = text.split_once(' ').expect("a whole payload");
        let number: usize = number.parse().expect("a whole payload");
        assert_eq!(rest.len(), number % 50, "a payload was cut");
        *arrived.entry(number).or_default() += 1;
    }
    for (number, stored) in taken.into_iter().enumerate() {
        let times = arrived.remove(&number).unwrap_or(0);
        assert!(times <= 1, "a frame whose publish was dropped came {times} times");
        assert!(times == 1 || !stored, "a frame that was stored did not come");
    }
    // The transport is none the worse for it.
    lane.send("after").await;
    assert_eq!(inbox.text().await, "after");
    Verdict::Held
}

/// `subscribe` dropped after each of its polls: nobody is left behind who takes an exclusive address, or others' frames.
pub(super) async fn a_subscribe_that_is_dropped_leaves_nothing<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    if lane.has_links() {
        return Verdict::NotApplicable("what comes by links has one receiver, once");
    }
    let exclusive = lane.subscription().sharing(Sharing::Exclusive);
    for times in 1..6 {
        let subscribing = polled(lane.receiver.subscribe(exclusive.clone()), times);
        drop(tokio::time::timeout(PAUSE, subscribing).await);
    }
    let alone = async {
        loop {
            match lane.receiver.subscribe(exclusive.clone()).await {
                Ok(deliveries) => return deliveries,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    drop(soon("who gave up subscribing lets others in", alone).await);
    let mut inbox = Inbox::open(&lane.receiver, lane.subscription(), H::QUIET).await;
    let sending = lane.send_all(numbers(6));
    assert_eq!(inbox.texts(6).await, numbers(6), "somebody else took a frame");
    sending.await.expect("all of them were published");
    Verdict::Held
}

/// `pause` dropped after each of its polls: the link stays, or is back after its time.
pub(super) async fn a_pause_that_is_dropped_comes_back<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let mut inbox = lane.inbox().await;
    for times in 1..4 {
        // The harness knows which end it is that comes back.
        let cutting = polled(harness.cut(&lane.sender, PAUSE), times);
        if let Ok(Some(false)) = tokio::time::timeout(PAUSE, cutting).await
            && times == 1
        {
            return Verdict::NotApplicable("its harness cannot cut a link");
        }
    }
    let back = async {
        loop {
            // What is handed to a link that is about to leave may go with it.
            let _ = lane.sender.publish(lane.frame("after").await).await;
            if let Ok(text) = tokio::time::timeout(H::QUIET, inbox.text()).await {
                return text;
            }
        }
    };
    assert_eq!(soon("a link that was paused is back", back).await, "after");
    Verdict::Held
}

/// `close` dropped after each of its polls: the transport can still be closed, and then is.
pub(super) async fn a_close_that_is_dropped_can_be_made_again<H: Harness>(_: &H) -> Verdict {
    for times in 1..4 {
        let harness = H::start().await;
        let lane = Lane::new(&harness).await;
        let mut inbox = lane.inbox().await;
        for seat in [&lane.receiver, &lane.sender] {
            drop(tokio::time::timeout(PAUSE, polled(seat.close(), times)).await);
            drop(soon("a close ends after one that was dropped", seat.close()).await);
        }
        let mut none = Vec::new();
        let count = soon("a `recv` ends with its transport", inbox.deliveries.recv(&mut none, 4)).await;
        assert_eq!(count.expect("an end is no error"), 0);
        let frame = lane.frame("late").await;
        let error = soon("a publish ends", lane.sender.publish(frame)).await.expect_err("it is closed");
        assert_eq!(error.kind, TransportErrorKind::Closed, "{error}");
    }
    Verdict::Held
}

use std::time::Duration;

use super::{
    Harness, Verdict,
    lane::{Inbox, Lane, soon, text},
};
use crate::transport::{Disposition, TransportErrorKind};

/// Every subscription of a transport that is closed ends: the `recv` that waits, and each one after it.
pub(super) async fn closing_ends_the_deliveries<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let mut waiting = lane.inbox().await;
    let wait = tokio::spawn(async move {
        let mut none = Vec::new();
        let count = waiting.deliveries.recv(&mut none, 4).await;
        (count, waiting)
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    soon("a close ends", lane.receiver.close()).await.expect("there is nothing to flush");
    let (count, mut inbox) = soon("a `recv` that waits ends with its transport", wait).await.expect("it does not panic");
    assert_eq!(count.expect("an end is no error"), 0);
    let mut none = Vec::new();
    let again = soon("a `recv` after the end ends", inbox.deliveries.recv(&mut none, 4)).await;
    assert_eq!((again.expect("an end is no error"), none.len()), (0, 0));
    Verdict::Held
}

/// A transport that is closed publishes and subscribes no more, says why, and reports no more links. Closing it again is harmless.
pub(super) async fn a_closed_transport_says_so<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let _inbox = lane.inbox().await;
    let frame = lane.frame("late").await;
    let mut links = lane.sender.links();
    soon("a close ends", lane.sender.close()).await.expect("there is nothing to flush");
    let error = soon("a publish ends", lane.sender.publish(frame)).await.expect_err("it is closed");
    assert_eq!(error.kind, TransportErrorKind::Closed, "{error}");
    let error = soon("a subscribe ends", lane.sender.subscribe(lane.subscription())).await.expect_err("it is closed");
    assert_eq!(error.kind, TransportErrorKind::Closed, "{error}");
    soon("who watches the links is told the end", async { while links.next().await.is_some() {} }).await;
    soon("who asks for the links is told the end", async { while lane.sender.links().next().await.is_some() {} }).await;
    soon("a second close ends", lane.sender.close()).await.expect("closing twice is harmless");
    Verdict::Held
}

/// Others on the bus go on.
pub(super) async fn closing_leaves_others_alone<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    if lane.has_links() {
        return Verdict::NotApplicable("a link has two ends, and ends with either");
    }
    let (mut inbox, other) = (lane.inbox().await, harness.seat().await);
    soon("a close ends", other.close()).await.expect("there is nothing to flush");
    lane.send("still here").await;
    assert_eq!(inbox.text().await, "still here");
    Verdict::Held
}

/// What a transport had not settled when it was closed goes to another subscriber.
pub(super) async fn what_a_closed_transport_had_comes_again<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let can = lane.receiver.capabilities();
    if !can.redelivery || !can.competing {
        return Verdict::NotApplicable("it denies `redelivery` or `competing`");
    }
    let mut first = lane.inbox_with(lane.subscription().prefetch(1)).await;
    lane.send("handed on").await;
    let held = first.next().await;
    let mut second = Inbox::open(&harness.seat().await, lane.subscription(), H::QUIET).await;
    second.nothing("another one has it").await;
    soon("a close ends", lane.receiver.close()).await.expect("there is nothing to flush");
    let again = second.next().await;
    assert_eq!((text(&again).as_str(), again.redelivered), ("handed on", true));
    again.acker.settle(Disposition::Ack);
    held.acker.settle(Disposition::Requeue);
    second.nothing("it was acknowledged by who has it now").await;
    Verdict::Held
}

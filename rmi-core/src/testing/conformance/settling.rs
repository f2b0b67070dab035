use super::{
    Harness, Verdict,
    lane::{Inbox, Lane, numbers, text},
};
use crate::transport::Disposition;

const DENIED: Verdict = Verdict::NotApplicable("it denies `redelivery`");

async fn redelivering<H: Harness>(harness: &H) -> Option<Lane> {
    let lane = Lane::new(harness).await;
    lane.receiver.capabilities().redelivery.then_some(lane)
}

async fn comes_again<H: Harness>(harness: &H, back: impl FnOnce(crate::transport::Acker), marked: bool) -> Verdict {
    let Some(lane) = redelivering(harness).await else { return DENIED };
    let mut inbox = lane.inbox().await;
    lane.send("again").await;
    back(inbox.next().await.acker);
    let second = inbox.next().await;
    assert_eq!(text(&second), "again");
    assert!(second.redelivered || !marked, "the second delivery of a frame is marked as redelivered");
    second.acker.settle(Disposition::Ack);
    inbox.nothing("it was acknowledged").await;
    Verdict::Held
}

/// `Requeue`: delivered again, marked.
pub(super) async fn what_is_requeued_comes_again<H: Harness>(harness: &H) -> Verdict {
    comes_again(harness, |acker| acker.settle(Disposition::Requeue), true).await
}

/// A delivery that is dropped without a word is delivered again, marked.
pub(super) async fn what_is_dropped_comes_again<H: Harness>(harness: &H) -> Verdict {
    comes_again(harness, drop, true).await
}

/// `Release`: delivered again; without the mark where the bus can do that.
pub(super) async fn what_is_released_comes_again<H: Harness>(harness: &H) -> Verdict {
    comes_again(harness, |acker| acker.settle(Disposition::Release), false).await
}

/// What is unsettled when its subscription is dropped goes to the next subscriber, and settling it then is without effect.
pub(super) async fn what_a_subscriber_left_comes_again<H: Harness>(harness: &H) -> Verdict {
    let Some(lane) = redelivering(harness).await else { return DENIED };
    let can = lane.receiver.capabilities();
    if !can.competing && !can.durable {
        return Verdict::NotApplicable("it denies `competing` and `durable`: nothing is left for a next subscriber");
    }
    // Something has to keep the address while one subscriber goes: another one, or that it is durable.
    let kept = lane.subscription().prefetch(4).durable(can.durable);
    let mut first = lane.inbox_with(kept.clone()).await;
    lane.send_all(numbers(4)).await.expect("all of them were published");
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(first.next().await);
    }
    held.remove(0).acker.settle(Disposition::Ack);
    let late = if can.durable { None } else { Some(Inbox::open(&harness.seat().await, kept.clone(), H::QUIET).await) };
    drop(first);
    let mut second = match late {
        Some(second) => second,
        None => Inbox::open(&harness.seat().await, kept, H::QUIET).await,
    };
    // It is too late for these.
    held.remove(0).acker.settle(Disposition::Ack);
    let mut again = Vec::new();
    for _ in 0..3 {
        let delivery = second.next().await;
        assert!(delivery.redelivered, "`{}` was delivered before", text(&delivery));
        again.push(text(&delivery));
        delivery.acker.settle(Disposition::Ack);
    }
    again.sort_unstable();
    assert_eq!(again, ["1", "2", "3"]);
    drop(held);
    second.nothing("everything was acknowledged").await;
    Verdict::Held
}

/// `Ack`: never again, also when the subscriber goes.
pub(super) async fn what_is_acknowledged_is_gone<H: Harness>(harness: &H) -> Verdict {
    is_gone(harness, Disposition::Ack).await
}

/// `Discard`: never again, also when the subscriber goes.
pub(super) async fn what_is_discarded_is_gone<H: Harness>(harness: &H) -> Verdict {
    is_gone(harness, Disposition::Discard).await
}

async fn is_gone<H: Harness>(harness: &H, disposition: Disposition) -> Verdict {
    let Some(lane) = redelivering(harness).await else { return DENIED };
    let kept = lane.subscription().durable(lane.receiver.capabilities().durable);
    let mut inbox = lane.inbox_with(kept.clone()).await;
    lane.send_all(numbers(3)).await.expect("all of them were published");
    for number in numbers(3) {
        let delivery = inbox.next().await;
        assert_eq!(text(&delivery), number);
        delivery.acker.settle(disposition);
    }
    inbox.nothing("all of it was settled").await;
    drop(inbox);
    let mut next = lane.inbox_with(kept).await;
    next.nothing("all of it was settled before its subscriber went").await;
    Verdict::Held
}

/// No more than `prefetch` deliveries are unsettled at a time; each that is settled lets one come.
pub(super) async fn prefetch_is_held<H: Harness>(harness: &H) -> Verdict {
    let Some(lane) = redelivering(harness).await else { return DENIED };
    let mut inbox = lane.inbox_with(lane.subscription().prefetch(2)).await;
    let sending = lane.send_all(numbers(4));
    let (first, second) = (inbox.next().await, inbox.next().await);
    inbox.nothing("two are unsettled, and `prefetch` is two").await;
    second.acker.settle(Disposition::Ack);
    let third = inbox.next().await;
    assert_eq!((text(&first), text(&third)), ("0".to_owned(), "2".to_owned()));
    inbox.nothing("two are unsettled, and `prefetch` is two").await;
    first.acker.settle(Disposition::Ack);
    third.acker.settle(Disposition::Ack);
    assert_eq!(inbox.text().await, "3");
    sending.await.expect("all of them were published");
    Verdict::Held
}

/// A subscription that does not acknowledge: what was delivered is done with, whatever becomes of its acker.
pub(super) async fn without_acknowledgement_a_delivery_is_final<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let mut inbox = lane.inbox_with(lane.subscription().acknowledged(false).prefetch(1)).await;
    let sending = lane.send_all(numbers(4));
    let mut held = Vec::new();
    for number in numbers(4) {
        let delivery = inbox.next().await;
        assert_eq!(text(&delivery), number);
        held.push(delivery);
    }
    held.remove(0).acker.settle(Disposition::Requeue);
    drop(held);
    inbox.nothing("it was settled when it was delivered").await;
    sending.await.expect("all of them were published");
    Verdict::Held
}

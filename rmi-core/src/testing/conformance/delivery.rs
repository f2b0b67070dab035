use std::{collections::HashSet, time::Duration};

use super::{
    Harness, Verdict,
    lane::{Inbox, Lane, numbers, soon, text},
};
use crate::transport::{Destination, Disposition, Frame, Properties};

/// Payload, place and purpose are what they should be, and what travels beside the payload is carried as it is or not at all.
pub(super) async fn a_frame_arrives_whole<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let (subscription, mut inbox) = (lane.subscription(), lane.inbox().await);
    let properties = Properties {
        content_type: Some("application/json".into()),
        content_encoding: Some("utf-8".into()),
        kind: Some("greeting".into()),
        reply_to: Some("conformance.replies".into()),
        correlation_id: Some("7".into()),
        headers: false,
        retain: false,
    };
    let mut frame = lane.frame("hello").await;
    frame.properties = properties.clone().into();
    soon("a publish ends", lane.sender.publish(frame)).await.expect("it is published");
    let delivery = inbox.next().await;
    assert_eq!(text(&delivery), "hello");
    assert_eq!(delivery.purpose, subscription.purpose, "the purpose is the subscription's");
    assert!(!delivery.redelivered, "the first delivery of a frame is not marked as redelivered");
    assert!(delivery.answering.is_none(), "`answering` is the endpoint's to fill");
    if !lane.has_links() {
        assert_eq!(delivery.key.as_str(), lane.address, "`key` is the address that it came by");
    }
    let pairs = [
        ("content_type", &delivery.properties.content_type, &properties.content_type),
        ("content_encoding", &delivery.properties.content_encoding, &properties.content_encoding),
        ("kind", &delivery.properties.kind, &properties.kind),
        ("reply_to", &delivery.properties.reply_to, &properties.reply_to),
        ("correlation_id", &delivery.properties.correlation_id, &properties.correlation_id),
    ];
    for (name, arrived, sent) in pairs {
        assert!(arrived.is_none() || arrived == sent, "`{name}` arrived as {arrived:?}, and was {sent:?}");
    }
    delivery.acker.settle(Disposition::Ack);
    inbox.nothing("there was one frame").await;
    Verdict::Held
}

/// What one sender publishes, one after the other, arrives in that order.
pub(super) async fn one_sender_keeps_its_order<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let mut inbox = lane.inbox().await;
    let sending = lane.send_all(numbers(300));
    assert_eq!(inbox.texts(300).await, numbers(300));
    sending.await.expect("all of them were published");
    Verdict::Held
}

/// Many senders at once: each frame arrives, once, and those of each sender in their order.
pub(super) async fn nothing_is_lost_or_doubled<H: Harness>(harness: &H) -> Verdict {
    const EACH: usize = 100;
    let lane = Lane::new(harness).await;
    let mut inbox = lane.inbox().await;
    let sending: Vec<_> = ["a", "b", "c", "d"]
        .map(|sender| lane.send_all((0..EACH).map(|number| format!("{sender} {number:03}")).collect()))
        .into();
    let texts = inbox.texts(4 * EACH).await;
    for sender in sending {
        sender.await.expect("all of them were published");
    }
    inbox.nothing("all frames had come").await;
    assert_eq!(texts.iter().collect::<HashSet<_>>().len(), 4 * EACH, "a frame came twice in place of another");
    for sender in ["a", "b", "c", "d"] {
        let own: Vec<_> = texts.iter().filter(|text| text.starts_with(sender)).collect();
        assert!(own.is_sorted(), "the frames of `{sender}` came out of order: {own:?}");
    }
    Verdict::Held
}

/// `recv` appends what there is, at most `max`, and leaves what was there before.
pub(super) async fn no_more_is_received_than_was_asked_for<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let mut inbox = lane.inbox().await;
    let sending = lane.send_all(numbers(8));
    let mut taken = Vec::new();
    while taken.len() < 8 {
        let before = taken.len();
        let count = soon("a frame arrives", inbox.deliveries.recv(&mut taken, 3)).await.expect("the subscription is kept up");
        assert!((1..=3).contains(&count), "3 were asked for, and `recv` says {count}");
        assert_eq!(taken.len(), before + count, "`recv` appends, and says how many");
    }
    assert_eq!(taken.iter().map(text).collect::<Vec<_>>(), numbers(8));
    taken.into_iter().for_each(|delivery| delivery.acker.settle(Disposition::Ack));
    sending.await.expect("all of them were published");
    Verdict::Held
}

/// A hundred addresses beside each other: each subscriber gets what is for it, and nothing else.
pub(super) async fn many_subscribers_get_their_own<H: Harness>(harness: &H) -> Verdict {
    const MANY: usize = 100;
    let lane = Lane::new(harness).await;
    if lane.has_links() {
        return Verdict::NotApplicable("what comes by links has one receiver");
    }
    let addresses: Vec<String> = (0..MANY).map(|number| format!("{}.{number}", lane.address)).collect();
    let mut inboxes = Vec::new();
    for address in &addresses {
        let acknowledged = lane.receiver.capabilities().redelivery;
        inboxes.push(Inbox::open(&lane.receiver, lane.at(address).acknowledged(acknowledged), H::QUIET).await);
    }
    for round in 0..3 {
        for address in &addresses {
            let frame = Frame::new(Destination::Address(address.as_str().into()), format!("{round} for {address}"));
            soon("a publish ends", lane.sender.publish(frame)).await.expect("it is published");
        }
    }
    for (inbox, address) in inboxes.iter_mut().zip(&addresses) {
        let expected: Vec<_> = (0..3).map(|round| format!("{round} for {address}")).collect();
        assert_eq!(inbox.texts(3).await, expected);
    }
    inboxes[0].nothing("it has had its own").await;
    Verdict::Held
}

/// What arrives while nobody calls `recv` waits for the next call.
pub(super) async fn what_arrives_while_nobody_looks_waits<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let mut inbox = lane.inbox().await;
    lane.send_all(numbers(4)).await.expect("all of them were published");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(inbox.texts(4).await, numbers(4));
    Verdict::Held
}

use std::time::Duration;

use super::{
    Harness, Verdict,
    lane::{Inbox, Lane, soon, text},
};
use crate::transport::{
    Destination, Disposition, Frame, LinkId, Purpose, Receipt, Sharing, Source, Subscription, Transport, TransportErrorKind,
};

/// `NoRoute` is said of every mandatory frame that nobody is there for, where `unroutable` is claimed, and of no other; where it is denied, of
/// none.
pub(super) async fn nobody_there_is_told<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    if lane.has_links() {
        let _inbox = lane.inbox().await;
        let mut frame = Frame::new(Destination::Link, "x");
        frame.link = Some(LinkId(u64::MAX));
        let told = soon("a publish ends", lane.sender.publish(frame)).await;
        let nowhere = match &told {
            Ok(receipt) => *receipt == Receipt::NoRoute,
            Err(error) => matches!(error.kind, TransportErrorKind::Disconnected | TransportErrorKind::Refused),
        };
        assert!(nowhere, "there is no such link, and a publish to it was told {told:?}");
        return Verdict::Held;
    }
    let can = lane.sender.capabilities();
    let mut frame = lane.frame("x").await;
    frame.mandatory = true;
    let told = soon("a publish ends", lane.sender.publish(frame.clone())).await.expect("an absent address is no error");
    assert_eq!(told == Receipt::NoRoute, can.unroutable, "nobody subscribed, `unroutable` is {}: {told:?}", can.unroutable);
    let mut inbox = lane.inbox().await;
    frame.payload = "y".into();
    let told = soon("a publish ends", lane.sender.publish(frame)).await.expect("it is published");
    assert_ne!(told, Receipt::NoRoute, "somebody is there");
    let arrived = inbox.text().await;
    assert_eq!(arrived, "y", "what is told as `NoRoute` is not kept");
    Verdict::Held
}

/// A frame whose `ttl` has passed while it waited is not delivered, and does not stop what is behind it.
pub(super) async fn a_frame_expires<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let can = lane.sender.capabilities();
    if !can.expiry {
        return Verdict::NotApplicable("it denies `expiry`: a frame may be delivered however late");
    }
    if !can.redelivery {
        return Verdict::NotApplicable("it denies `redelivery`: nothing can be made to wait on the bus");
    }
    let mut inbox = lane.inbox_with(lane.subscription().prefetch(1)).await;
    lane.send("in front").await;
    let front = inbox.next().await;
    for (payload, ttl) in [("expired", Some(100)), ("in time", Some(60_000)), ("for ever", None)] {
        let mut frame = lane.frame(payload).await;
        frame.ttl = ttl.map(Duration::from_millis);
        soon("a publish ends", lane.sender.publish(frame)).await.expect("it is published");
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    front.acker.settle(Disposition::Ack);
    assert_eq!(inbox.texts(2).await, ["in time", "for ever"]);
    inbox.nothing("one had expired").await;
    Verdict::Held
}

/// A durable address keeps what comes while nobody subscribes; one that is not durable is as if it had never been.
pub(super) async fn a_durable_address_outlives_its_subscriber<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let can = lane.receiver.capabilities();
    if !can.durable {
        return Verdict::NotApplicable("it denies `durable`");
    }
    let expiring = lane.subscription().durable(true).expires(Duration::from_secs(60));
    drop(lane.inbox_with(expiring.clone()).await);
    for payload in ["kept", "too"] {
        soon("a publish ends", lane.sender.publish(lane.frame(payload).await)).await.expect("it is published");
    }
    let mut inbox = lane.inbox_with(expiring).await;
    let first = inbox.next().await;
    // It may have been on its way to the one that has gone.
    assert_eq!(text(&first), "kept");
    first.acker.settle(Disposition::Ack);
    assert_eq!(inbox.text().await, "too");

    let passing = format!("{}.passing", lane.address);
    drop(Inbox::open(&lane.receiver, lane.at(&passing), H::QUIET).await);
    let gone = async {
        loop {
            let to = Destination::Address(passing.as_str().into());
            let mut frame = Frame::new(to, "lost");
            frame.mandatory = true;
            let told = lane.sender.publish(frame).await.expect("an absent address is no error");
            if told == Receipt::NoRoute || !can.unroutable {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("an address that is not durable goes with its subscriber", gone).await;
    let mut next = Inbox::open(&lane.receiver, lane.at(&passing), H::QUIET).await;
    next.nothing("the address had gone").await;
    Verdict::Held
}

/// What a transport says that it cannot do it refuses when it is asked for, by name.
pub(super) async fn what_it_denies_it_refuses<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let (can, seat) = (lane.receiver.capabilities(), &lane.receiver);
    let address = || Source::Address(format!("{}.denied", lane.address).into());
    let topic = || Source::topic(H::EXCHANGE, lane.address.as_str());
    let usual = |source| Subscription::new(source, Purpose::Events).acknowledged(can.redelivery);
    if !can.topics {
        refuses(seat, "topics", usual(topic())).await;
        refuses(seat, "topics, to everybody", usual(topic()).sharing(Sharing::Broadcast)).await;
        let to = Destination::Topic { exchange: H::EXCHANGE.into(), key: lane.address.as_str().into() };
        refuses_frame(seat, "topics", Frame::new(to, "x")).await;
    }
    if !can.links {
        refuses(seat, "links", usual(Source::Links)).await;
        refuses_frame(seat, "links", Frame::new(Destination::Link, "x")).await;
    }
    if !can.redelivery {
        let redelivering = lane.subscription().acknowledged(true);
        refuses(seat, "redelivery", redelivering).await;
    }
    if !can.durable {
        refuses(seat, "durable addresses", lane.subscription().durable(true)).await;
    }
    // What neither an address nor a link is there for.
    if can.links && !can.competing {
        refuses(seat, "addresses", usual(address())).await;
        refuses_frame(seat, "addresses", Frame::new(Destination::Address("x".into()), "x")).await;
    } else if !can.competing {
        let _first = Inbox::open(seat, usual(address()), H::QUIET).await;
        refuses(&lane.sender, "a second subscriber", usual(address())).await;
    }
    if !can.links {
        refuses(seat, "broadcast from an address, which is one mailbox", usual(address()).sharing(Sharing::Broadcast)).await;
    }
    Verdict::Held
}

async fn refuses(seat: &std::sync::Arc<dyn Transport>, what: &str, subscription: Subscription) {
    match soon("a subscribe ends", seat.subscribe(subscription)).await {
        Ok(_) => panic!("it denies {what}, and did not refuse a subscription to it"),
        Err(error) => {
            assert_eq!(error.kind, TransportErrorKind::Refused, "{what}: {error}");
            assert!(!error.message.is_empty(), "it refuses {what}, and does not say why");
        }
    }
}

async fn refuses_frame(seat: &std::sync::Arc<dyn Transport>, what: &str, frame: Frame) {
    match soon("a publish ends", seat.publish(frame)).await {
        Ok(told) => panic!("it denies {what}, and a publish to it was told {told:?}"),
        Err(error) => assert_eq!(error.kind, TransportErrorKind::Refused, "{what}: {error}"),
    }
}

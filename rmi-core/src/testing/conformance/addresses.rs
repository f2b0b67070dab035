use super::{
    Harness, Verdict,
    lane::{Inbox, Lane, soon},
};
use crate::transport::{Destination, Frame, TransportErrorKind};

/// An address of 256 bytes, one with `/`, with NUL, with a pattern's characters: it is an address of its own, or it is refused. It is
/// never somebody else's.
pub(super) async fn a_strange_address_is_its_own_or_refused<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    if lane.has_links() {
        return Verdict::NotApplicable("it has no addresses");
    }
    let base = &lane.address;
    let long = format!("{base}.{}", "x".repeat(256));
    let mut strange = vec![base.clone(), format!("{base}/x"), format!("{base}/y"), format!("{base}/x/y"), long[..256].to_owned()];
    for odd in ["\0", "\0x", " ", "\n", "*", "#", "+", ".*", ".#", "/#", "/+", "$", "é", "..", "/..", "%2F", "\u{1F415}"] {
        strange.push(format!("{base}{odd}"));
    }
    strange.push(base.to_uppercase());
    let mut inboxes = Vec::new();
    for address in &strange {
        let subscription = lane.at(address).acknowledged(lane.receiver.capabilities().redelivery);
        match soon("a subscribe ends", lane.receiver.subscribe(subscription.clone())).await {
            Ok(deliveries) => {
                drop(deliveries);
                inboxes.push((address, Some(Inbox::open(&lane.receiver, subscription, H::QUIET).await)));
            }
            Err(error) => {
                assert_eq!(error.kind, TransportErrorKind::Refused, "{address:?}: {error}");
                inboxes.push((address, None));
            }
        }
    }
    for (address, inbox) in &mut inboxes {
        let frame = Frame::new(Destination::Address(address.as_str().into()), format!("for {address:?}"));
        match (soon("a publish ends", lane.sender.publish(frame)).await, inbox) {
            (Ok(_), _) => {}
            (Err(error), None) => assert_eq!(error.kind, TransportErrorKind::Refused, "{address:?}: {error}"),
            (Err(error), Some(_)) => panic!("{address:?} can be subscribed to, and not published to: {error}"),
        }
    }
    // Backwards: subscribers that share a mailbox by mistake must not get their own by their turn.
    for (address, inbox) in inboxes.iter_mut().rev() {
        if let Some(inbox) = inbox {
            assert_eq!(inbox.text().await, format!("for {address:?}"));
        }
    }
    // Each has had its own; one look at them all finds what came astray.
    for (address, inbox) in inboxes.iter_mut().rev().take(4) {
        if let Some(inbox) = inbox {
            inbox.nothing(&format!("{address:?} has had its own")).await;
        }
    }
    Verdict::Held
}

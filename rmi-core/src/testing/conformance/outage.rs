use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::{
    Harness, Verdict,
    lane::{Lane, soon, text},
    link,
};
use crate::transport::{Disposition, LinkChange, LinkId, Receipt, TransportErrorKind};

const UNCUT: Verdict = Verdict::NotApplicable("its harness cannot cut a link");
const SHORT: Duration = Duration::from_millis(300);

/// Publishes until the bus takes it: while a link is away that may be refused.
async fn send_after_all(lane: &Lane, payload: &str) -> Receipt {
    send_until_taken(lane, payload, &[TransportErrorKind::Disconnected]).await
}

/// Publishes until the bus takes it, whatever of this is said before.
async fn send_until_taken(lane: &Lane, payload: &str, before: &[TransportErrorKind]) -> Receipt {
    let sent = async {
        loop {
            let mut frame = lane.frame(payload.to_owned()).await;
            // The subscriber's link may have been cut as well, and not be back.
            frame.mandatory = !lane.has_links();
            match soon("a publish ends", lane.sender.publish(frame)).await {
                Ok(Receipt::NoRoute) => {}
                Ok(receipt) => return receipt,
                Err(error) if before.contains(&error.kind) => {}
                Err(error) => panic!("after an outage a publish failed: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("a publish is taken again after an outage", sent).await
}

/// What was subscribed is there again when the link is, without the help of its user.
pub(super) async fn a_subscription_survives_a_cut<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let mut inbox = lane.inbox().await;
    for round in ["one", "two"] {
        send_after_all(&lane, round).await;
        assert_eq!(inbox.text().await, round);
        if !harness.cut(&lane.receiver, SHORT).await {
            return UNCUT;
        }
        inbox_is_back(&lane, &mut inbox).await;
    }
    Verdict::Held
}

async fn inbox_is_back(lane: &Lane, inbox: &mut super::lane::Inbox) {
    let back = async {
        loop {
            // The sender's link may have been cut as well, and not be known to be: of what goes into it nobody knows what became.
            send_until_taken(lane, "back?", &[TransportErrorKind::Disconnected, TransportErrorKind::Ambiguous]).await;
            if let Some(delivery) = inbox.maybe().await {
                delivery.acker.settle(Disposition::Ack);
                inbox.rest().await;
                return;
            }
        }
    };
    soon("a subscription receives again after a cut", back).await;
}

/// A sender whose link was cut publishes again as if nothing had been.
pub(super) async fn publishing_survives_a_cut<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let mut inbox = lane.inbox().await;
    send_after_all(&lane, "before").await;
    assert_eq!(inbox.text().await, "before");
    if !harness.cut(&lane.sender, SHORT).await {
        return UNCUT;
    }
    if send_after_all(&lane, "after").await == Receipt::Stored {
        assert_eq!(inbox.text().await, "after");
        inbox.nothing("it was published once").await;
    } else {
        // What was only handed over may have gone with the link, which need not have been known to be down.
        inbox_is_back(&lane, &mut inbox).await;
    }
    Verdict::Held
}

/// What is published while the link is down comes to what its receipt says: taken is once, not sent is never, ambiguous is at most
/// once, and nothing is there twice.
pub(super) async fn what_is_published_during_an_outage_is_told<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let mut inbox = lane.inbox().await;
    send_after_all(&lane, "before").await;
    assert_eq!(inbox.text().await, "before");
    if !harness.cut(&lane.sender, SHORT).await {
        return UNCUT;
    }
    let mut publishing = Vec::new();
    for number in 0..6 {
        let (sender, mut frame) = (lane.sender.clone(), lane_frame(&lane, number).await);
        frame.repeatable = false;
        publishing.push(tokio::spawn(async move { sender.publish(frame).await }));
    }
    let mut told = Vec::new();
    for publish in publishing {
        told.push(soon("a publish ends", publish).await.expect("a publish does not panic"));
    }
    let after = send_after_all(&lane, "after").await;
    let mut arrived: HashMap<String, usize> = HashMap::new();
    for text in inbox.rest().await {
        *arrived.entry(text).or_default() += 1;
    }
    let came = arrived.get("after").copied().unwrap_or(0);
    assert!(came == 1 || (came == 0 && after == Receipt::Handed), "what was published after the outage came {came} times");
    for (number, told) in told.iter().enumerate() {
        let times = arrived.get(&format!("during {number}")).copied().unwrap_or(0);
        let fits = match told {
            Ok(Receipt::Stored) => times == 1,
            Ok(Receipt::Handed) => times <= 1,
            Ok(Receipt::NoRoute) => times == 0,
            Err(error) if error.kind == TransportErrorKind::Ambiguous => times <= 1,
            Err(error) => {
                let sayable = matches!(error.kind, TransportErrorKind::Disconnected | TransportErrorKind::Full);
                assert!(sayable, "an outage is `Disconnected`, `Full` or `Ambiguous`, and not: {error}");
                times == 0
            }
        };
        assert!(fits, "a publish during an outage was told {told:?}, and its frame came {times} times");
    }
    Verdict::Held
}

async fn lane_frame(lane: &Lane, number: usize) -> crate::transport::Frame {
    let payload = format!("during {number}");
    if lane.has_links() {
        // The link that is down: it is known by the name that it had.
        let mut frame = crate::transport::Frame::new(crate::transport::Destination::Link, payload);
        frame.link = Some(LinkId(u64::MAX));
        return frame;
    }
    lane.frame(payload).await
}

/// A publish ends when it has waited for its link as long as it may, and says that the frame was not sent.
pub(super) async fn a_publish_waits_no_longer_than_it_may<H: Harness>(harness: &H) -> Verdict {
    let Some(wait) = H::PUBLISH_WAITS else {
        return Verdict::NotApplicable("its harness does not say how long a publish waits for a link");
    };
    let lane = Lane::new(harness).await;
    let mut inbox = lane.inbox().await;
    send_after_all(&lane, "before").await;
    assert_eq!(inbox.text().await, "before");
    // Not a multiple of it: the link would come back just when a publish has waited long enough, and nobody would know what became of it.
    if !harness.cut(&lane.sender, wait * 5 / 2).await {
        return UNCUT;
    }
    let began = Instant::now();
    let error = lane.publish("never").await.expect_err("there is no link");
    assert_eq!(error.kind, TransportErrorKind::Disconnected, "{error}");
    assert!(began.elapsed() >= wait, "a publish gave up after {:?}, and may wait {wait:?}", began.elapsed());
    send_after_all(&lane, "after").await;
    assert_eq!(inbox.text().await, "after");
    inbox.nothing("it was not sent").await;
    Verdict::Held
}

/// What a subscriber had not settled when its link was cut is delivered again, marked.
pub(super) async fn what_was_unsettled_at_a_cut_comes_again<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let can = lane.receiver.capabilities();
    if !can.redelivery || !can.durable {
        return Verdict::NotApplicable("it denies `redelivery` or `durable`: nothing outlives the link");
    }
    let mut inbox = lane.inbox_with(lane.subscription().durable(true)).await;
    lane.send("again").await;
    let first = inbox.next().await;
    if !harness.cut(&lane.receiver, SHORT).await {
        return UNCUT;
    }
    let second = inbox.next().await;
    assert_eq!(text(&second), "again");
    assert!(second.redelivered, "it was delivered before the cut");
    second.acker.settle(Disposition::Ack);
    drop(first);
    inbox.nothing("it was acknowledged after the cut, and what was dropped is of the link before").await;
    Verdict::Held
}

/// To settle what was delivered by a link that is gone does nothing to what was delivered by the next.
pub(super) async fn an_acknowledgement_from_before_a_cut_is_ignored<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let can = lane.receiver.capabilities();
    if !can.redelivery || !can.durable {
        return Verdict::NotApplicable("it denies `redelivery` or `durable`: nothing outlives the link");
    }
    let mut inbox = lane.inbox_with(lane.subscription().durable(true).prefetch(1)).await;
    lane.send("again").await;
    let first = inbox.next().await;
    if !harness.cut(&lane.receiver, SHORT).await {
        return UNCUT;
    }
    let second = inbox.next().await;
    assert_eq!(text(&second), "again");
    first.acker.settle(Disposition::Ack);
    inbox.nothing("one is unsettled, and `prefetch` is one").await;
    second.acker.settle(Disposition::Requeue);
    let third = inbox.next().await;
    assert_eq!(text(&third), "again", "the acknowledgement of an older link took the frame away");
    third.acker.settle(Disposition::Ack);
    inbox.nothing("it was acknowledged").await;
    Verdict::Held
}

/// The loss and the return of a link are reported. A broker's link keeps its name and counts; where there are links with peers each
/// has a name of its own.
pub(super) async fn a_cut_is_reported<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let _inbox = lane.inbox().await;
    let mut links = lane.sender.links();
    let next =
        async |links: &mut crate::transport::Links| soon("a change is reported", links.next()).await.expect("it is not closed");
    let LinkChange::Up(first) = next(&mut links).await else { panic!("`links` starts with what is up") };
    if !harness.cut(&lane.sender, SHORT).await {
        return UNCUT;
    }
    match next(&mut links).await {
        LinkChange::Down(id, why) => {
            assert_eq!(id, first.id);
            assert!(!why.is_empty(), "a link that goes down says why");
        }
        other => panic!("the link was cut, and what is reported is {other:?}"),
    }
    let LinkChange::Up(second) = next(&mut links).await else { panic!("the link came back") };
    if lane.has_links() {
        assert_ne!(second.id, first.id, "a link that takes the place of another has a name of its own");
    } else {
        assert_eq!(second.id, first.id, "a bus has one link, which keeps its name");
        assert!(
            second.generation > first.generation,
            "a link that came back is of a later generation: {first:?}, then {second:?}"
        );
    }
    Verdict::Held
}

/// Whoever asks for the links is told first of those that are up, however late.
pub(super) async fn links_start_with_what_is_up<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let _inbox = lane.inbox().await;
    for seat in [&lane.receiver, &lane.sender] {
        let (first, second) = (link(seat).await, link(seat).await);
        assert!(first.is_some(), "a transport that was not closed has a link");
        assert_eq!(first, second, "two watchers are told the same");
    }
    Verdict::Held
}

/// There is no such link, and it says so.
pub(super) async fn an_unknown_link_cannot_be_paused<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let mut inbox = lane.inbox().await;
    let refused = lane.sender.pause(LinkId(u64::MAX), Some(Duration::ZERO)).await;
    assert!(refused.is_err(), "a link that there is not was paused");
    send_after_all(&lane, "still here").await;
    assert_eq!(inbox.text().await, "still here");
    Verdict::Held
}

use std::collections::HashSet;

use super::{
    Harness, Verdict,
    lane::{Inbox, Lane, numbers, soon, text},
};
use crate::transport::{Disposition, Sharing, TransportErrorKind};

/// Of several subscribers to one address each frame reaches one, and who holds what he may is passed over.
pub(super) async fn competing_subscribers_share<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    let can = lane.receiver.capabilities();
    if !can.competing {
        return Verdict::NotApplicable("it denies `competing`");
    }
    let other = harness.seat().await;
    let one = lane.subscription().prefetch(1);
    let mut first = lane.inbox_with(one.clone()).await;
    let mut second = Inbox::open(&other, one, H::QUIET).await;
    if can.redelivery {
        // One of them holds a frame: the other gets the next one.
        lane.send("held by one").await;
        lane.send("for the other").await;
        let held = async { tokio::join!(first.maybe(), second.maybe()) }.await;
        let (Some(a), Some(b)) = held else { panic!("one of two competing subscribers got nothing: {held:?}") };
        let both: HashSet<_> = [text(&a), text(&b)].into();
        assert_eq!(both, ["held by one".to_owned(), "for the other".to_owned()].into());
        a.acker.settle(Disposition::Ack);
        b.acker.settle(Disposition::Ack);
    }
    let sending = lane.send_all(numbers(100));
    let (a, b) = tokio::join!(first.rest(), second.rest());
    sending.await.expect("all of them were published");
    let all: HashSet<_> = a.iter().chain(&b).cloned().collect();
    assert_eq!(
        a.len() + b.len(),
        100,
        "each of 100 frames goes to exactly one: {} went to the first, {} to the second",
        a.len(),
        b.len()
    );
    assert_eq!(all, numbers(100).into_iter().collect());
    for own in [a, b] {
        let own: Vec<usize> = own.iter().filter_map(|text| text.parse().ok()).collect();
        assert!(own.is_sorted(), "one subscriber gets its share in order: {own:?}");
    }
    Verdict::Held
}

/// Who subscribes exclusively is alone, whoever came first.
pub(super) async fn an_exclusive_subscriber_is_alone<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    if lane.has_links() {
        return Verdict::NotApplicable("what comes by links has one receiver anyway");
    }
    let other = harness.seat().await;
    let (exclusive, shared) = (lane.subscription().sharing(Sharing::Exclusive), lane.subscription());
    let mut alone = lane.inbox_with(exclusive.clone()).await;
    for second in [&exclusive, &shared] {
        let refused = soon("a subscribe ends", other.subscribe(second.clone())).await;
        let error = refused.err().unwrap_or_else(|| panic!("{:?} was let in beside an exclusive subscriber", second.sharing));
        assert_eq!(error.kind, TransportErrorKind::Refused, "{error}");
    }
    lane.send("mine").await;
    assert_eq!(alone.text().await, "mine");
    Verdict::Held
}

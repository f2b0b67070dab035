use tokio::time::timeout;

use super::{Harness, Verdict, lane::Lane};
use crate::transport::{Receipt, TransportErrorKind};

/// Where nobody receives, publishing waits or fails before long; when somebody does, everything that was taken comes, in order.
pub(super) async fn what_nobody_receives_is_bounded<H: Harness>(harness: &H) -> Verdict {
    let Some(room) = H::ROOM else {
        return Verdict::NotApplicable("its harness does not say how much room there is: the bus is bounded elsewhere");
    };
    let lane = Lane::new(harness).await;
    let mut inbox = lane.inbox().await;
    let mut taken = Vec::new();
    loop {
        let payload = format!("{:06}", taken.len());
        match timeout(H::QUIET, lane.publish(payload.clone())).await {
            Ok(Ok(Receipt::NoRoute)) => panic!("somebody is there"),
            Ok(Ok(_)) => taken.push(payload),
            Ok(Err(error)) => {
                assert_eq!(error.kind, TransportErrorKind::Full, "{error}");
                break;
            }
            // It waits.
            Err(_) => break,
        }
        assert!(taken.len() <= room, "{} frames were taken that nobody receives; there is room for {room}", taken.len());
    }
    let arrived = inbox.rest().await;
    let known: Vec<_> = arrived.iter().take(taken.len()).cloned().collect();
    assert_eq!(known, taken, "everything that was taken comes, in order");
    assert!(arrived.len() <= taken.len() + 1, "only the frame whose publish was given up may come besides");
    lane.send("there is room again").await;
    assert_eq!(inbox.text().await, "there is room again");
    Verdict::Held
}

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{
    Harness, Verdict,
    lane::{Lane, soon},
};
use crate::transport::{Disposition, Receipt, TransportError, TransportErrorKind};

async fn arrives<H: Harness>(harness: &H, payloads: Vec<Bytes>) -> Verdict {
    let lane = Lane::new(harness).await;
    let mut inbox = lane.inbox().await;
    for payload in payloads {
        let frame = lane.frame(payload.clone()).await;
        let sender = lane.sender.clone();
        let mut sending = tokio::spawn(async move { sender.publish(frame).await });
        let delivery = tokio::select! {
            biased;
            Some(refused) = refusal(&mut sending) => {
                assert!(!refused.message.is_empty(), "it refuses a payload, and does not say why");
                inbox.nothing("it was refused").await;
                return Verdict::NotApplicable("it has no room for such a payload, and says so when it is published");
            }
            delivery = inbox.next() => delivery,
        };
        assert!(delivery.payload == payload, "{} bytes were sent, and {} others came", payload.len(), delivery.payload.len());
        delivery.acker.settle(Disposition::Ack);
        if !sending.is_finished() {
            soon("a publish ends", &mut sending).await.expect("a publish does not panic").expect("it is published");
        }
    }
    inbox.nothing("all of it had come").await;
    Verdict::Held
}

/// Waits for a publish; `None` when it was not refused.
async fn refusal(sending: &mut JoinHandle<Result<Receipt, TransportError>>) -> Option<TransportError> {
    let told = sending.await.expect("a publish does not panic");
    told.err().filter(|error| error.kind == TransportErrorKind::Refused)
}

/// A payload of no bytes is a payload.
pub(super) async fn an_empty_payload_arrives<H: Harness>(harness: &H) -> Verdict {
    arrives(harness, vec![Bytes::new(), Bytes::from_static(b"x"), Bytes::new()]).await
}

/// A payload of 1 MiB. Not of every byte: some transports have frames that are lines.
pub(super) async fn a_mebibyte_arrives<H: Harness>(harness: &H) -> Verdict {
    let lane = Lane::new(harness).await;
    if lane.sender.capabilities().max_payload < 1 << 20 {
        return Verdict::NotApplicable("`max_payload` is less than 1 MiB");
    }
    let byte = |at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8;
    let payload: Vec<u8> = (0..1_u32 << 20).map(|at| if byte(at) == b'\n' { b' ' } else { byte(at) }).collect();
    arrives(harness, vec![payload.into()]).await
}

/// Line ends, NULs and what is not UTF-8 are bytes like others.
pub(super) async fn any_bytes_arrive<H: Harness>(harness: &H) -> Verdict {
    let all: Vec<u8> = (0..=255).collect();
    arrives(
        harness,
        vec![all.into(), Bytes::from_static(b"\n"), Bytes::from_static(b"\r\n\r\n\0"), Bytes::from_static(b"\xff\xfe")],
    )
    .await
}

/// `max_payload` is the longest payload that is carried; one byte more is refused, and nothing else is touched by it.
pub(super) async fn what_is_too_long_is_refused<H: Harness>(harness: &H) -> Verdict {
    const TRIED: usize = 64 << 20;
    let lane = Lane::new(harness).await;
    let max = lane.sender.capabilities().max_payload;
    if max > TRIED {
        return Verdict::NotApplicable("`max_payload` is more than is tried here: 64 MiB");
    }
    let mut inbox = lane.inbox().await;
    let error = soon("a publish ends", lane.sender.publish(lane.frame(vec![b'x'; max + 1]).await)).await;
    let error = error.expect_err("a payload of more than `max_payload` was published");
    assert_eq!(error.kind, TransportErrorKind::Refused, "{error}");
    let (sender, frame) = (lane.sender.clone(), lane.frame(vec![b'y'; max]).await);
    let sending = tokio::spawn(async move { sender.publish(frame).await });
    let delivery = inbox.next().await;
    assert_eq!((delivery.payload.len(), delivery.payload.first()), (max, Some(&b'y')));
    delivery.acker.settle(Disposition::Ack);
    sending.await.expect("a publish does not panic").expect("it is published");
    Verdict::Held
}

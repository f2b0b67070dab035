//! The way in: size, wrapper, form, cheap checks, signature. Nothing is recorded or answered in full before it is verified.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use tokio::task::{JoinHandle, yield_now};

use crate::{
    address::Address,
    endpoint::binding::Binding,
    journal::Received,
    message::{Message, Rejection, RejectionCode},
    protocol::{Refused, Replies, within_depth},
    seal::{AuthError, Principal, Sealed, Signature, Wrapped, peel},
    service::BoxFuture,
    text::Text,
    transport::{Acker, Deliveries, Delivery, Disposition, LinkId, Purpose},
};

/// How many deliveries are taken at a time.
const BATCH: usize = 64;
/// How many of them are verified in one go.
const CHUNK: usize = 16;
/// After how many that are handled here others have their turn.
const TURN: usize = 16;

/// A delivery that has been read.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) content: Result<Verified, Box<Unreadable>>,
    pub(crate) origin: Origin,
    pub(crate) acker: Acker,
}

/// A message, and who it is from.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) message: Box<Message>,
    pub(crate) principal: Principal,
    /// Of a request's exact text.
    pub(crate) digest: u64,
}

/// A delivery that is no message, or not by whom it says.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) refused: Refused,
    /// Whether the sender is known all the same: on an unsealed binding nobody is, so everybody counts.
    pub(crate) verified: bool,
}

/// Where a delivery came by.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) address: Address,
    pub(crate) link: LinkId,
    pub(crate) redelivered: bool,
    /// How many deliveries before this one the bus has dropped, as far as it says.
    pub(crate) missed: u64,
    /// How many bytes it has, all of which what was read of it may keep alive.
    pub(crate) size: usize,
    /// It as it came, where that is written down.
    pub(crate) received: Option<Box<Received>>,
}

/// Who takes what was opened, in the order in which it arrived.
pub(crate) trait Receiver: Send + Sync + 'static {
    /// Handles it there and then, or says what there is to wait for.
    fn take(&self, opened: Opened) -> Option<BoxFuture<'_, ()>>;
}

enum Next {
    Batch,
    /// Whether what had arrived has been handled.
    Asked,
    Verified(Vec<Opened>),
    End,
    Lost,
}

/// Receives from one subscription until it ends or `stop` says so, keeping its order. Gives the subscription back: what was
/// taken from it can be settled as long as it is kept; and says whether the transport ended it.
pub(crate) async fn receive(
    binding: Arc<Binding>,
    mut deliveries: Box<dyn Deliveries>,
    at: Option<Address>,
    receiver: impl Receiver,
    stop: impl Future<Output = ()> + Send,
) -> (Box<dyn Deliveries>, bool) {
    let mut stop = pin!(stop);
    let mut batch = Vec::with_capacity(BATCH);
    let mut verifying: VecDeque<JoinHandle<Vec<Opened>>> = VecDeque::new();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut asked = binding.has_links.then(|| binding.inflow.asked());
    let lost = loop {
        let next = {
            // Before it is looked for more: what had arrived when it was asked is then found.
            let ask = asked.as_mut().map(|asked| *asked.borrow_and_update());
            let mut asking = pin!(async {
                match &mut asked {
                    Some(asked) => asked.changed().await,
                    None => std::future::pending().await,
                }
            });
            let room = verifying.len() < 2 * cores;
            let mut recv = room.then(|| deliveries.recv(&mut batch, BATCH));
            poll_fn(|cx| {
                if stop.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Next::End);
                }
                if let Some(front) = verifying.front_mut()
                    && let Poll::Ready(opened) = Pin::new(front).poll(cx)
                {
                    return Poll::Ready(Next::Verified(opened.unwrap_or_default()));
                }
                match recv.as_mut().map(|recv| recv.as_mut().poll(cx)) {
                    // Without a word: whoever is not told to stop has lost it all the same.
                    Some(Poll::Ready(Ok(0))) => Poll::Ready(Next::Lost),
                    Some(Poll::Ready(Ok(_))) => Poll::Ready(Next::Batch),
                    Some(Poll::Ready(Err(error))) => {
                        tracing::error!(%error, address = ?at, "a subscription has ended");
                        Poll::Ready(Next::Lost)
                    }
                    Some(Poll::Pending) if verifying.is_empty() => {
                        if let Some(ask) = ask {
                            binding.inflow.handled(ask);
                        }
                        asking.as_mut().poll(cx).map(|_| Next::Asked)
                    }
                    Some(Poll::Pending) | None => Poll::Pending,
                }
            })
            .await
        };
        if let (Next::Batch, Some(sessions)) = (&next, &binding.sessions) {
            for delivery in std::mem::take(&mut batch) {
                // What is too long is refused before anybody looks into it.
                if delivery.payload.len() > binding.limits.payload || sessions.received(&binding, &delivery).await {
                    batch.push(delivery);
                } else {
                    delivery.acker.settle(Disposition::Ack);
                }
            }
        }
        match next {
            Next::Verified(opened) => {
                verifying.pop_front();
                for opened in opened {
                    if let Some(waiting) = receiver.take(opened) {
                        waiting.await;
                    }
                }
            }
            // One message alone is opened here: a task for it would cost more than it gains.
            Next::Batch if binding.authenticator().is_some() && (batch.len() > 1 || !verifying.is_empty()) => {
                let chunk = batch.len().div_ceil(cores).clamp(1, CHUNK);
                let mut rest = batch.drain(..);
                loop {
                    let deliveries: Vec<_> = rest.by_ref().take(chunk).collect();
                    if deliveries.is_empty() {
                        break;
                    }
                    let (binding, at) = (Arc::clone(&binding), at.clone());
                    verifying.push_back(tokio::spawn(async move { open(&binding, at.as_ref(), deliveries) }));
                }
            }
            Next::Batch if binding.authenticator().is_some() => {
                // One at most, and the batch keeps its room.
                let deliveries = batch.pop().into_iter().collect();
                for opened in open(&binding, at.as_ref(), deliveries) {
                    if let Some(waiting) = receiver.take(opened) {
                        waiting.await;
                    }
                }
            }
            Next::Batch => {
                for (done, delivery) in batch.drain(..).enumerate() {
                    // What has been answered is on its way while the rest is read: the peer works at the same time as we do.
                    if done > 0 && done % TURN == 0 {
                        yield_now().await;
                    }
                    if let Some(waiting) = receiver.take(open_plain(&binding, at.as_ref(), delivery)) {
                        waiting.await;
                    }
                }
            }
            Next::Asked => {}
            Next::End => break false,
            Next::Lost => break true,
        }
    };
    for chunk in verifying {
        for opened in chunk.await.unwrap_or_default() {
            opened.acker.settle(Disposition::Release);
        }
    }
    for delivery in batch {
        delivery.acker.settle(Disposition::Release);
    }
    (deliveries, lost)
}

/// What was read: boxed once, because it goes from hand to hand.
type Content = (Box<Message>, Text, Option<Signature>);

/// A delivery that has been read, and whose signature is still to be checked.
struct Read {
    content: Result<Content, Box<Unreadable>>,
    origin: Origin,
    acker: Acker,
    peer: Option<Text>,
}

fn open_plain(binding: &Binding, at: Option<&Address>, delivery: Delivery) -> Opened {
    let Read { content, origin, acker, peer } = read(binding, at, delivery);
    let content = content.map(|(message, text, _)| {
        let principal = peer.map_or(Principal::Anonymous, Principal::Transport);
        Verified { digest: binding.digest(&message, &text), message, principal }
    });
    Opened { content, origin, acker }
}

/// Reads deliveries and verifies their signatures together.
pub(crate) fn open(binding: &Binding, at: Option<&Address>, deliveries: Vec<Delivery>) -> Vec<Opened> {
    let Some(authenticator) = binding.authenticator() else {
        return deliveries.into_iter().map(|delivery| open_plain(binding, at, delivery)).collect();
    };
    let read: Vec<Read> = deliveries.into_iter().map(|delivery| read(binding, at, delivery)).collect();
    let sealed: Vec<Sealed<'_>> = read
        .iter()
        .filter_map(|read| read.content.as_ref().ok())
        .filter_map(|(message, text, signature)| {
            let sender = message.head.from.as_ref().map(Address::as_str);
            Some(Sealed { text: text.as_bytes(), signature: signature.as_ref()?, sender })
        })
        .collect();
    let expected = sealed.len();
    let mut verdicts = catch_unwind(AssertUnwindSafe(|| authenticator.verify(&sealed))).unwrap_or_default();
    if verdicts.len() != expected {
        tracing::error!(expected, got = verdicts.len(), "the authenticator failed; nothing it was given is let in");
        let failed = Err(AuthError::Failed(Text::from_static("the authenticator gave no verdict")));
        verdicts = vec![failed; expected];
    }
    let mut verdicts = verdicts.into_iter();
    let demands = authenticator.demands();
    read.into_iter()
        .map(|Read { content, origin, acker, .. }| {
            let content = content.and_then(|(message, text, signature)| {
                let verdict = match signature {
                    Some(_) => verdicts.next().unwrap_or(Err(AuthError::Unsigned)),
                    None => Err(AuthError::Unsigned),
                };
                let verdict = match verdict {
                    Ok(_) if demands.sender && message.head.from.is_none() => Err(AuthError::NoSender),
                    verdict => verdict,
                };
                match verdict {
                    Ok(principal) => Ok(Verified { digest: binding.digest(&message, &text), message, principal }),
                    Err(error) => {
                        binding.counters.unverified.add();
                        tracing::debug!(%error, at = %origin.address, "a message was not let in");
                        let rejection = Rejection::new(RejectionCode::Authentication, error.to_string());
                        Err(Box::new(Unreadable { refused: Refused::answering(message.head, rejection), verified: false }))
                    }
                }
            });
            Opened { content, origin, acker }
        })
        .collect()
}

fn read(binding: &Binding, at: Option<&Address>, mut delivery: Delivery) -> Read {
    // Of what travelled: what is read may be without its wrapper.
    let size = delivery.payload.len();
    let received = binding.records.is_some().then(|| Box::new(Received::of(&delivery)));
    let acker = std::mem::replace(&mut delivery.acker, Acker::settled());
    let peer = delivery.peer.take();
    let content = read_message(binding, at, &mut delivery);
    let Delivery { key, link, redelivered, missed, .. } = delivery;
    let origin = Origin { address: Address::from(key), link, redelivered, missed, size, received };
    let content = content.map_err(|refused| {
        binding.counters.malformed.add();
        tracing::debug!(rejection = %refused.rejection, at = %origin.address, "a delivery was refused");
        Box::new(Unreadable { refused, verified: binding.authenticator().is_none() })
    });
    Read { content, origin, acker, peer }
}

fn read_message(binding: &Binding, at: Option<&Address>, delivery: &mut Delivery) -> Result<Content, Refused> {
    let refuse = |code, details: String| Refused::silently(Rejection::new(code, details));
    let limits = &binding.limits;
    if delivery.payload.len() > limits.payload {
        let details = format!("{} bytes, at most {} are allowed", delivery.payload.len(), limits.payload);
        return Err(refuse(RejectionCode::Limit, details));
    }
    // Not shared with what it is read from: the text takes its place.
    let payload = std::mem::take(&mut delivery.payload);
    let wrapped = if binding.features.sealable {
        peel(payload).map_err(|e| refuse(RejectionCode::Malformed, e.to_string()))?
    } else {
        let kept = binding.features.lossy.then(|| payload.clone());
        Wrapped::Plain(match (Text::from_utf8(payload), kept) {
            (Ok(text), _) => text,
            (Err(_), Some(payload)) => Text::from(String::from_utf8_lossy(&payload).into_owned()),
            (Err(e), None) => return Err(refuse(RejectionCode::Malformed, format!("the payload is not UTF-8: {e}"))),
        })
    };
    let (text, signature) = match wrapped {
        Wrapped::Plain(text) => (text, None),
        Wrapped::Sealed { text, signature } => (text, Some(signature)),
    };
    if !within_depth(text.as_bytes(), limits.depth) {
        return Err(refuse(RejectionCode::Limit, format!("nested deeper than {} levels", limits.depth)));
    }
    delivery.set_text(&text);
    if binding.features.replies == Replies::PerCall && delivery.purpose == Purpose::Replies {
        delivery.answering = binding.pending.answering(&delivery.address()).map(Box::new);
    }
    let message = Box::new(binding.protocol.decode(delivery)?);
    // What was made for another address and is played here is not for us, whoever signed it.
    if binding.authenticator().is_some()
        && let Some(at) = at
        && message.head.to.key() != at.key()
    {
        binding.counters.misdirected.add();
        let details = format!("it is addressed to `{}`", message.head.to);
        return Err(refuse(RejectionCode::Authentication, details));
    }
    Ok((message, text, signature))
}

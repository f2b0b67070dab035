//! What a subscription is told of its link, and of itself.

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    task::Poll,
};

use super::{
    queue::{Loss, Queue},
    stream::Figuring,
};
use crate::{
    endpoint::binding::Binding,
    transport::{Interruptions, LinkChange, Links},
};

/// Where events may be missing.
pub(super) struct Gaps {
    pub(super) links: Links,
    pub(super) interruptions: Option<Interruptions>,
}

/// Marks each loss of the link and of the subscription among what comes, while `receiving` goes on. What comes afterwards comes after
/// the mark.
pub(super) async fn marked<T>(
    binding: &Binding,
    queue: &Queue,
    figures: &Figuring,
    gaps: Gaps,
    receiving: impl Future<Output = T>,
) -> T {
    let Gaps { links, interruptions } = gaps;
    let mut receiving = pin!(receiving);
    let (mut lost, mut interrupted) =
        (pin!(mark_losses(binding, queue, figures, links)), pin!(mark_interruptions(queue, figures, interruptions)));
    poll_fn(|cx| {
        for marking in [lost.as_mut().poll(cx), interrupted.as_mut().poll(cx)] {
            match marking {
                Poll::Ready(never) => match never {},
                Poll::Pending => {}
            }
        }
        receiving.as_mut().poll(cx)
    })
    .await
}

async fn mark_losses(binding: &Binding, queue: &Queue, figures: &Figuring, mut links: Links) -> std::convert::Infallible {
    loop {
        match links.next().await {
            Some(LinkChange::Up(_) | LinkChange::Blocked(..) | LinkChange::Unblocked(_)) => continue,
            Some(LinkChange::Down(..)) => {}
            None => {
                links = binding.transport.links();
                if links.is_over() {
                    return pending().await;
                }
                // Too much has happened to hear of all of it.
            }
        }
        figures.links_lost.add();
        queue.lost(Loss::Link);
    }
}

async fn mark_interruptions(queue: &Queue, figures: &Figuring, interruptions: Option<Interruptions>) -> std::convert::Infallible {
    let Some(mut interruptions) = interruptions else { return pending().await };
    while let Some(times) = interruptions.next().await {
        figures.interrupted.add_many(times);
        queue.lost(Loss::Subscription);
    }
    pending().await
}

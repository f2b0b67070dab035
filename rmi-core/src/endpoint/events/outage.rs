//! What a subscription is told of its link.

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    task::Poll,
};

use super::{queue::Queue, stream::Figuring};
use crate::{
    endpoint::binding::Binding,
    transport::{LinkChange, Links},
};

/// Marks each loss of the link among what comes, while `receiving` goes on. What comes by the next link comes after the mark.
pub(super) async fn marked<T>(
    binding: &Binding,
    queue: &Queue,
    figures: &Figuring,
    links: Links,
    receiving: impl Future<Output = T>,
) -> T {
    let (mut receiving, mut marking) = (pin!(receiving), pin!(mark(binding, queue, figures, links)));
    poll_fn(|cx| match marking.as_mut().poll(cx) {
        Poll::Ready(never) => match never {},
        Poll::Pending => receiving.as_mut().poll(cx),
    })
    .await
}

async fn mark(binding: &Binding, queue: &Queue, figures: &Figuring, mut links: Links) -> std::convert::Infallible {
    loop {
        match links.next().await {
            Some(LinkChange::Up(_)) => continue,
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
        queue.link_lost();
    }
}

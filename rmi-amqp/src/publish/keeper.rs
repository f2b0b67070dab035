//! The task that has the channels, and ends every wait.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    Shared,
    channels::{Channels, confirming},
};
use crate::link::{Generation, jittered, left, up};

/// How soon the channel is made anew by which the broker refuses frames. Where the leader of a quorum queue is lost, a channel that was
/// opened before another one was found goes on asking the lost one, and refuses everything for as long as it lives.
const RENEWAL: Duration = Duration::from_millis(500);

/// How long it takes until channels are asked for again that the broker, or the library, did not give.
const RETRIAL: Duration = Duration::from_secs(1);

type Look = std::pin::Pin<Box<Sleep>>;

/// Keeps channels as long as there is a link, until nothing more is given and nothing is left, or the time for that is over. Says whether
/// nothing is left.
pub(super) async fn keep(shared: &Shared) -> bool {
    let until = &mut shared.until.subscribe();
    let mut state = shared.link.watch();
    // When those are looked at that have waited for long.
    let mut look = Box::pin(sleep_until(Instant::now()));
    loop {
        let generation = tokio::select! {
            biased;
            generation = up(&mut state) => generation,
            more = without_link(shared, &mut look, until) => {
                if more { continue }
                None
            }
        };
        let Some(generation) = generation else { break };
        let went_on = tokio::select! {
            biased;
            went_on = over(shared, &generation, &mut look, until) => went_on,
            () = left(&mut state, generation.number) => true,
        };
        shared.lock().interrupted(generation.is_connected());
        if !went_on {
            break;
        }
    }
    shared.lock().give_up()
}

/// Waits while there is no link; `false` when there is nothing more to wait for.
async fn without_link(shared: &Shared, look: &mut Look, until: &mut watch::Receiver<Option<Instant>>) -> bool {
    let ends = *until.borrow_and_update();
    let busy = {
        let mut sending = shared.lock();
        if sending.closed && sending.is_empty() {
            return false;
        }
        sending.rests = sending.is_empty();
        !sending.rests
    };
    tokio::select! {
        biased;
        () = reached(ends) => false,
        _ = until.changed() => true,
        () = shared.keeper.notified() => true,
        () = &mut *look, if busy => {
            look.as_mut().reset(shared.lock().expire());
            true
        }
    }
}

/// Keeps channels of one connection, until it or a channel has gone; `false` when there is nothing more to come.
async fn over(
    shared: &Shared,
    generation: &Arc<Generation>,
    look: &mut Look,
    until: &mut watch::Receiver<Option<Instant>>,
) -> bool {
    let within = shared.link.options.connect_timeout;
    let mut opening = Some(Box::pin(Channels::open(generation, within, Duration::ZERO)));
    let mut blocked = generation.blocked.subscribe();
    let (mut another, mut renewed) = (None, Instant::now());
    loop {
        let busy = {
            let mut sending = shared.lock();
            sending.gather();
            if sending.is_broken() {
                return true;
            }
            sending.blocked = blocked.borrow_and_update().is_some();
            sending.send();
            if sending.closed && sending.is_empty() {
                return false;
            }
            if sending.nacked && another.is_none() && renewed.elapsed() >= RENEWAL {
                sending.nacked = false;
                another = Some(Box::pin(confirming(generation, within)));
            }
            sending.rests = sending.is_empty();
            !sending.rests
        };
        let ends = *until.borrow_and_update();
        tokio::select! {
            biased;
            () = shared.keeper.notified() => {}
            opened = some(&mut opening), if opening.is_some() => {
                opening = None;
                match opened {
                    Ok(channels) => {
                        let mut sending = shared.lock();
                        (sending.channels, sending.trouble) = (Some(channels), None);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "nothing can be published; it is tried again");
                        let pause = jittered(shared.link.options.max_pause.min(RETRIAL));
                        opening = Some(Box::pin(Channels::open(generation, within, pause)));
                        shared.lock().trouble = Some(error.message);
                    }
                }
            }
            // What is on its way by the old one keeps it until it has its answer.
            made = some(&mut another), if another.is_some() => {
                (another, renewed) = (None, Instant::now());
                match made {
                    Ok(channel) => if let Some(channels) = &mut shared.lock().channels { channels.confirmed = channel },
                    Err(error) => tracing::warn!(%error, "the channel that is published by cannot be made anew"),
                }
            }
            _ = blocked.changed() => {}
            () = reached(ends) => return false,
            _ = until.changed() => {}
            () = &mut *look, if busy => look.as_mut().reset(shared.lock().expire()),
        }
    }
}

/// What something that is there comes to.
async fn some<F: Future + Unpin>(something: &mut Option<F>) -> F::Output {
    match something {
        Some(something) => something.await,
        None => std::future::pending().await,
    }
}

async fn reached(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

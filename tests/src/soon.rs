//! Waiting for what has to happen.

use std::{future::Future, time::Duration};

use tokio::time::timeout;

/// Longer than anything takes that happens at all. Where time is paused it is over as soon as nothing happens any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what has to happen, and fails when it does not.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("it did not happen: {what}"),
    }
}

/// Shorter, for what takes no time where nothing is the matter: so that what does not happen is told soon.
const MOMENT: Duration = Duration::from_secs(10);

/// Waits for what happens at once, also on a busy machine.
pub async fn shortly<F: Future>(what: &str, future: F) -> F::Output {
    match timeout(MOMENT, future).await {
        Ok(output) => output,
        Err(_) => panic!("it did not happen: {what}"),
    }
}

//! Answers that wait for their reply addresses: so many for each, so that one that takes nothing holds up nobody else.

use std::{future::Future, sync::Mutex, time::Duration};

use crate::{address::Address, lock::lock, table::Table};

/// How many answers may wait for one address.
const SHARE: usize = 64;

/// How long one more waits, if none of those before it gets through meanwhile.
const PATIENCE: Duration = Duration::from_millis(250);

/// The addresses that answers wait for.
#[derive(Debug, Default)]
pub(crate) struct Crowd(Mutex<Table<Address, Waits>>);

#[derive(Debug, Default)]
struct Waits {
    count: usize,
    /// One more has waited in vain, and none has got through since.
    stuck: bool,
}

impl Crowd {
    /// Waits for an answer to be taken by its address; `None` where that is given up, because too many wait there.
    pub(crate) async fn wait<T>(&self, to: &Address, answering: impl Future<Output = T>) -> Option<T> {
        let Some(_place) = self.enter(to)? else {
            let taken = tokio::time::timeout(PATIENCE, answering).await;
            if let (Err(_), Some(waits)) = (&taken, lock(&self.0).get_mut(to)) {
                waits.stuck = true;
            }
            return taken.ok();
        };
        Some(answering.await)
    }

    /// A place among those that wait for an address, if there is one; `None` where there is not likely to be.
    fn enter<'a>(&'a self, to: &'a Address) -> Option<Option<Place<'a>>> {
        let mut table = lock(&self.0);
        let waits = table.entry(to.clone()).or_default();
        if waits.count < SHARE {
            waits.count += 1;
            return Some(Some(Place { crowd: self, to }));
        }
        (!waits.stuck).then_some(None)
    }
}

/// One that waits.
struct Place<'a> {
    crowd: &'a Crowd,
    to: &'a Address,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut table = lock(&self.crowd.0);
        if let Some(waits) = table.get_mut(self.to) {
            (waits.count, waits.stuck) = (waits.count - 1, false);
            if waits.count == 0 {
                table.remove(self.to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        task::Poll,
    };

    use tokio::{sync::Notify, time::sleep};

    use super::*;

    /// Each is tried as long as none has waited in vain; after that one more is not, until one gets through.
    #[tokio::test(start_paused = true)]
    async fn each_is_tried_until_one_has_waited_in_vain() {
        const MANY: usize = SHARE + 36;
        let (crowd, tried, taken) = (Arc::new(Crowd::default()), Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let to = Address::from("full");
        let wait = || {
            let (crowd, tried, taken, to) = (Arc::clone(&crowd), Arc::clone(&tried), Arc::clone(&taken), to.clone());
            tokio::spawn(async move {
                let answering = async {
                    tried.fetch_add(1, SeqCst);
                    taken.notified().await;
                };
                crowd.wait(&to, answering).await
            })
        };
        let first: Vec<_> = (0..SHARE).map(|_| wait()).collect();
        sleep(Duration::ZERO).await;
        let more: Vec<_> = (SHARE..MANY).map(|_| wait()).collect();
        sleep(PATIENCE / 2).await;
        assert_eq!(tried.load(SeqCst), MANY, "each was tried");
        for waiting in more {
            assert!(waiting.await.unwrap().is_none(), "given up");
        }
        assert!(wait().await.unwrap().is_none());
        assert_eq!(tried.load(SeqCst), MANY, "one has waited in vain");
        // Another address is not that one.
        let elsewhere = crowd.wait(&Address::from("other"), poll_fn(|_| Poll::Ready(()))).await;
        assert!(elsewhere.is_some());
        taken.notify_one();
        sleep(PATIENCE / 2).await;
        assert_eq!(first.iter().filter(|waiting| waiting.is_finished()).count(), 1);
        let again = wait();
        sleep(PATIENCE / 2).await;
        assert_eq!(tried.load(SeqCst), MANY + 1, "one has got through");
        taken.notify_waiters();
        assert!(again.await.unwrap().is_some());
    }
}

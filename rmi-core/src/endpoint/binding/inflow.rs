//! When what had arrived has been handled: the loss of a link must not overtake what the link had brought.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

/// Lets somebody wait until the receiver of a binding has handled everything that had arrived.
#[derive(Debug)]
pub(crate) struct Inflow {
    /// How often it was asked for.
    asked: watch::Sender<u64>,
    /// Up to which of these everything has been handled.
    handled: watch::Sender<u64>,
}

impl Default for Inflow {
    fn default() -> Self {
        Inflow { asked: watch::Sender::new(0), handled: watch::Sender::new(0) }
    }
}

impl Inflow {
    /// How long a receiver is waited for that is held up by what it handles, or is no more.
    const MOST: Duration = Duration::from_secs(2);

    /// Waits until what has arrived by now has been handled, but not for ever.
    pub(crate) async fn settled(&self) {
        let mut mine = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            mine = *asked;
        });
        let mut handled = self.handled.subscribe();
        // Neither end of the channel goes before this does; and who is too slow is not waited for.
        let _ = timeout(Self::MOST, handled.wait_for(|handled| *handled >= mine)).await;
    }

    /// What the receiver looks at before it looks for more, and waits for together with it.
    pub(crate) fn asked(&self) -> watch::Receiver<u64> {
        self.asked.subscribe()
    }

    /// There was nothing more when so often had been asked.
    pub(crate) fn handled(&self, asked: u64) {
        self.handled.send_if_modified(|handled| {
            let new = *handled < asked;
            *handled = asked.max(*handled);
            new
        });
    }
}

use tokio::sync::{mpsc, oneshot};

use crate::{Error, load::Echo};

/// The least that a call between two tasks can be: a queue there, a slot back, and a task for each request. Nothing is written,
/// nobody is addressed, nothing ends a wait.
#[derive(Clone, Debug)]
pub struct Bare(mpsc::Sender<(String, oneshot::Sender<String>)>);

impl Bare {
    /// Starts the server. Needs a runtime.
    #[must_use]
    pub fn start() -> Self {
        let (requests, mut inbox) = mpsc::channel::<(String, oneshot::Sender<String>)>(1024);
        tokio::spawn(async move {
            while let Some((text, back)) = inbox.recv().await {
                tokio::spawn(async move {
                    // Nobody waits any more: that is the caller's affair.
                    let _ = back.send(text);
                });
            }
        });
        Bare(requests)
    }
}

impl Echo for Bare {
    async fn echo(&self, text: String) -> Result<String, Error> {
        let (back, answer) = oneshot::channel();
        self.0.send((text, back)).await.map_err(|_| "the server has ended")?;
        Ok(answer.await?)
    }
}

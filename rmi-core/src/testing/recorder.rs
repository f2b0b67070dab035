use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{
    layer::{Layer, Next},
    lock::lock,
    message::{Arguments, Outcome},
    service::Invocation,
};

/// How many invocations are remembered: the youngest.
const KEPT: usize = 10_000;

/// A layer that remembers what was invoked, and how it ended. Clones share what they remember: the last 10,000 that have ended.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    seen: Mutex<(u64, VecDeque<Recorded>)>,
    more: Notify,
}

/// One invocation that has ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recorded {
    /// The class: a contract's wire name.
    pub class: &'static str,
    /// The method's wire name.
    pub method: &'static str,
    /// Its arguments.
    pub args: Arguments,
    /// How it ended.
    pub outcome: Outcome,
}

impl Recorder {
    /// A layer that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Recorder::default()
    }

    /// What was invoked and has ended, in the order of the ends.
    #[must_use]
    pub fn seen(&self) -> Vec<Recorded> {
        lock(&self.0.seen).1.iter().cloned().collect()
    }

    /// The same, as `class.method`.
    #[must_use]
    pub fn methods(&self) -> Vec<String> {
        lock(&self.0.seen).1.iter().map(|seen| format!("{}.{}", seen.class, seen.method)).collect()
    }

    /// Waits until so many invocations have ended in all. Cancel safe.
    pub async fn until(&self, many: u64) {
        loop {
            let more = self.0.more.notified();
            if lock(&self.0.seen).0 >= many {
                return;
            }
            more.await;
        }
    }
}

#[async_trait]
impl Layer for Recorder {
    async fn call(&self, call: Invocation, next: Next<'_>) -> Outcome {
        let (class, method, args) = (call.contract().name, call.method().name, call.args.clone());
        let outcome = next.run(call).await;
        let recorded = Recorded { class, method, args, outcome: outcome.clone() };
        {
            let mut seen = lock(&self.0.seen);
            seen.0 += 1;
            if seen.1.len() == KEPT {
                seen.1.pop_front();
            }
            seen.1.push_back(recorded);
        }
        self.0.more.notify_waiters();
        outcome
    }
}

//! A contract whose service says what it does, and does it when it is told to.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Semaphore, mpsc};

use crate::{Context, RemoteError, message::Exception, remote, testing::conformance::soon};

/// What a probe may raise.
#[derive(Debug, PartialEq, Eq, thiserror::Error, RemoteError)]
#[remote(crate = "crate")]
pub enum ProbeError {
    /// An error of the contract's own.
    #[error("broken: {code}")]
    Broken {
        /// Which.
        code: u32,
    },
    /// Python's.
    #[error("{0}")]
    #[remote(class = "ValueError", module = "builtins")]
    Value(String),
}

/// A probe. `name`s are what its [`Watch`] is told.
#[remote(name = "probe", version = "1.4", crate = "crate")]
pub trait Probe {
    /// Returns the text.
    #[remote(idempotent)]
    async fn echo(&self, text: &str) -> Result<String, Infallible>;

    /// Waits for the gate, whatever else happens.
    async fn hold(&self, name: &str) -> Result<String, Infallible>;

    /// As `hold`, and may run twice.
    #[remote(idempotent)]
    async fn hold_again(&self, name: &str) -> Result<String, Infallible>;

    /// Waits for the gate or for being cancelled.
    async fn listen(&self, #[remote(context)] cx: &Context, name: &str) -> Result<String, Infallible>;

    /// Fails with the contract's own error.
    async fn fail(&self, code: u32) -> Result<(), ProbeError>;

    /// Fails with an error of Python's.
    async fn fail_as_python(&self, message: &str) -> Result<(), ProbeError>;

    /// Raises whatever it is told to.
    async fn raise(&self, module: &str, class: &str, message: &str) -> Result<(), Exception>;

    /// Panics.
    async fn explode(&self, secret: &str) -> Result<(), Infallible>;

    /// Panics in the receiver's task.
    #[remote(inline)]
    async fn explode_inline(&self, secret: &str) -> Result<(), Infallible>;

    /// Reports steps as fast as it can: 1 to `n`, of `n`.
    async fn steps(&self, #[remote(context)] cx: &Context<String>, n: u64) -> Result<u64, Infallible>;

    /// Says in which task it runs.
    async fn task(&self) -> Result<String, Infallible>;

    /// Says in which task it runs, which is the receiver's.
    #[remote(inline)]
    async fn task_inline(&self) -> Result<String, Infallible>;

    /// Waits for the gate, in the receiver's task as far as that goes.
    #[remote(inline)]
    async fn hold_inline(&self, name: &str) -> Result<String, Infallible>;

    /// Says who asks, as far as that is verified.
    #[remote(idempotent)]
    async fn who(&self, #[remote(context)] cx: &Context) -> Result<String, Infallible>;

    /// How many milliseconds of the request's ttl are left.
    #[remote(idempotent)]
    async fn remaining(&self, #[remote(context)] cx: &Context) -> Result<Option<u64>, Infallible>;

    /// The traceparent that the request came with; with a next address, followed by what is found there.
    async fn traces(&self, #[remote(context)] cx: &Context, next: Option<String>) -> Result<Vec<String>, Infallible>;

    /// Takes so many milliseconds.
    async fn doze(&self, name: &str, millis: u64) -> Result<String, Infallible>;

    /// Returns so many characters.
    #[remote(idempotent)]
    async fn big(&self, n: usize) -> Result<String, Infallible>;

    /// Nobody waits for it.
    #[remote(oneway)]
    async fn note(&self, name: &str);
}

/// What a probe has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A handler has begun.
    Began(String),
    /// It noticed that it was cancelled.
    Cancelled(String),
    /// It came to its end.
    Ended(String),
    /// It was dropped before its end.
    Dropped(String),
}

/// The service, and what it does: see [`Watch`].
#[derive(Clone, Debug)]
pub struct Probing {
    seen: mpsc::UnboundedSender<Seen>,
    gate: Arc<Semaphore>,
    ran: Arc<AtomicUsize>,
}

/// Sees what a probe does, and opens its gate.
#[derive(Debug)]
pub struct Watch {
    seen: mpsc::UnboundedReceiver<Seen>,
    gate: Arc<Semaphore>,
    ran: Arc<AtomicUsize>,
}

impl Watch {
    /// A probe, and its watch.
    #[must_use]
    pub fn new() -> (Probing, Watch) {
        let (sender, seen) = mpsc::unbounded_channel();
        let (gate, ran) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let probing = Probing { seen: sender, gate: Arc::clone(&gate), ran: Arc::clone(&ran) };
        (probing, Watch { seen, gate, ran })
    }

    /// What happens next.
    pub async fn next(&mut self) -> Seen {
        soon("the probe does something", self.seen.recv()).await.expect("the probe is there")
    }

    /// The name of the next handler, which begins.
    pub async fn began(&mut self) -> String {
        match self.next().await {
            Seen::Began(name) => name,
            other => panic!("{other:?}, and nothing began"),
        }
    }

    /// These begin next, in any order.
    pub async fn began_all<const N: usize>(&mut self, mut names: [&str; N]) {
        let mut began = Vec::new();
        for _ in 0..N {
            began.push(self.began().await);
        }
        names.sort_unstable();
        began.sort_unstable();
        assert_eq!(began, names);
    }

    /// Waits until a handler has come to its end, whatever is seen before.
    pub async fn ended(&mut self, name: &str) {
        let end = Seen::Ended(name.to_owned());
        while self.next().await != end {}
    }

    /// What has happened and was not looked at yet.
    pub fn seen(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.seen.try_recv().ok()).collect()
    }

    /// How many handlers have begun in all.
    #[must_use]
    pub fn ran(&self) -> usize {
        self.ran.load(Ordering::SeqCst)
    }

    /// Lets so many handlers through the gate.
    pub fn open(&self, handlers: usize) {
        self.gate.add_permits(handlers);
    }
}

/// A handler at work.
struct Run<'a> {
    probe: &'a Probing,
    name: String,
    ended: bool,
}

impl Probing {
    fn begin(&self, name: &str) -> Run<'_> {
        self.ran.fetch_add(1, Ordering::SeqCst);
        self.say(Seen::Began(name.to_owned()));
        Run { probe: self, name: name.to_owned(), ended: false }
    }

    /// A test that has ended looks no more.
    fn say(&self, seen: Seen) {
        let _ = self.seen.send(seen);
    }

    async fn pass(&self) {
        self.gate.acquire().await.expect("the gate stays").forget();
    }

    async fn held(&self, name: &str) -> String {
        let run = self.begin(name);
        self.pass().await;
        run.end()
    }
}

impl Run<'_> {
    fn end(mut self) -> String {
        self.ended = true;
        self.probe.say(Seen::Ended(self.name.clone()));
        std::mem::take(&mut self.name)
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.probe.say(Seen::Dropped(std::mem::take(&mut self.name)));
        }
    }
}

impl Probe for Probing {
    async fn echo(&self, text: &str) -> Result<String, Infallible> {
        Ok(self.begin(text).end())
    }

    async fn hold(&self, name: &str) -> Result<String, Infallible> {
        Ok(self.held(name).await)
    }

    async fn hold_again(&self, name: &str) -> Result<String, Infallible> {
        Ok(self.held(name).await)
    }

    async fn listen(&self, cx: &Context, name: &str) -> Result<String, Infallible> {
        let run = self.begin(name);
        tokio::select! {
            () = self.pass() => {}
            () = cx.cancelled() => {
                self.say(Seen::Cancelled(name.to_owned()));
                return Ok(format!("{} was cancelled", run.end()));
            }
        }
        Ok(run.end())
    }

    async fn fail(&self, code: u32) -> Result<(), ProbeError> {
        self.begin("fail").end();
        Err(ProbeError::Broken { code })
    }

    async fn fail_as_python(&self, message: &str) -> Result<(), ProbeError> {
        self.begin("fail_as_python").end();
        Err(ProbeError::Value(message.to_owned()))
    }

    async fn raise(&self, module: &str, class: &str, message: &str) -> Result<(), Exception> {
        self.begin("raise").end();
        Err(Exception::new(module, class, message))
    }

    async fn explode(&self, secret: &str) -> Result<(), Infallible> {
        self.begin("explode").end();
        panic!("{secret}");
    }

    async fn explode_inline(&self, secret: &str) -> Result<(), Infallible> {
        self.begin("explode_inline").end();
        panic!("{secret}");
    }

    async fn steps(&self, cx: &Context<String>, n: u64) -> Result<u64, Infallible> {
        let run = self.begin("steps");
        for step in 1..=n {
            cx.progress(n, step, format!("step {step}"));
        }
        run.end();
        Ok(n)
    }

    async fn task(&self) -> Result<String, Infallible> {
        Ok(task())
    }

    async fn task_inline(&self) -> Result<String, Infallible> {
        Ok(task())
    }

    async fn hold_inline(&self, name: &str) -> Result<String, Infallible> {
        Ok(self.held(name).await)
    }

    async fn who(&self, cx: &Context) -> Result<String, Infallible> {
        Ok(cx.principal().to_string())
    }

    async fn remaining(&self, cx: &Context) -> Result<Option<u64>, Infallible> {
        Ok(cx.remaining().map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)))
    }

    async fn traces(&self, cx: &Context, next: Option<String>) -> Result<Vec<String>, Infallible> {
        let mut traces = vec![cx.trace().unwrap_or_default().to_owned()];
        if let Some(next) = next {
            let probe: ProbeClient = cx.endpoint().expect("it serves this request").client(next);
            traces.extend(probe.traces(None).await.expect("the next probe answers"));
        }
        Ok(traces)
    }

    async fn doze(&self, name: &str, millis: u64) -> Result<String, Infallible> {
        let run = self.begin(name);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Ok(run.end())
    }

    async fn big(&self, n: usize) -> Result<String, Infallible> {
        self.begin("big").end();
        Ok("x".repeat(n))
    }

    async fn note(&self, name: &str) {
        self.begin(name).end();
    }
}

fn task() -> String {
    tokio::task::try_id().map_or_else(|| "none".to_owned(), |id| id.to_string())
}

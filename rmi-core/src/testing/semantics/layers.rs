//! Layers: what decides about requests before they are accepted, and what stands around their execution.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{Setting, agent_with, caller};
use crate::{
    CallError, Json,
    call::Retry,
    error::Fate,
    layer::{Concluded, Incoming, Layer, Next},
    message::{Outcome, Rejection, RejectionCode},
    service::Invocation,
};

/// What layers did, in its order.
type Log = Arc<Mutex<Vec<String>>>;

fn told(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock().unwrap())
}

/// Says what it is asked, and how that ended.
struct Says(&'static str, Log);

impl Says {
    fn say(&self, what: &str) {
        self.1.lock().unwrap().push(format!("{} {what}", self.0));
    }
}

#[async_trait]
impl Layer for Says {
    async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
        self.say(&format!("admits {}", request.method().name));
        Ok(())
    }

    async fn call(&self, call: Invocation, next: Next<'_>) -> Outcome {
        self.say("before");
        let outcome = next.run(call).await;
        self.say("after");
        outcome
    }
}

/// Rejects while it is closed, and counts what of a probe's it is asked about.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) closed: AtomicBool,
    pub(super) asked: AtomicUsize,
}

#[async_trait]
impl Layer for Gate {
    async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
        if request.contract().name == "probe" {
            self.asked.fetch_add(1, Ordering::SeqCst);
        }
        if self.closed.load(Ordering::SeqCst) { Err(Rejection::new(RejectionCode::Busy, "the gate is closed")) } else { Ok(()) }
    }
}

pub(super) async fn layers_stand_in_the_order_in_which_they_are_added<S: Setting>(setting: &S) {
    let log = Log::default();
    let (one, two) = (Says("one", Arc::clone(&log)), Says("two", Arc::clone(&log)));
    let _agent = agent_with(setting, |builder| builder.layer(one).layer(two)).await;
    let (_caller, probe) = caller(setting, "caller").await;
    assert_eq!(probe.echo("x").await.unwrap(), "x");
    assert_eq!(told(&log), ["one admits echo", "two admits echo", "one before", "two before", "two after", "one after"]);
}

pub(super) async fn a_layer_may_answer_in_the_place_of_the_method<S: Setting>(setting: &S) {
    struct Answers;
    #[async_trait]
    impl Layer for Answers {
        async fn call(&self, call: Invocation, next: Next<'_>) -> Outcome {
            match call.method().name {
                "big" => Outcome::Result(Json::encode("from the layer").expect("it is a text")),
                _ => next.run(call).await,
            }
        }
    }
    let agent = agent_with(setting, |builder| builder.layer(Answers)).await;
    let (_caller, probe) = caller(setting, "caller").await;
    assert_eq!(probe.big(1).await.unwrap(), "from the layer");
    assert_eq!(agent.watch.ran(), 0);
    assert_eq!(probe.echo("x").await.unwrap(), "x");
    assert_eq!(agent.watch.ran(), 1);
}

pub(super) async fn what_a_layer_rejects_is_neither_accepted_nor_run<S: Setting>(setting: &S) {
    let gate = Arc::new(Gate::default());
    gate.closed.store(true, Ordering::SeqCst);
    let agent = agent_with(setting, |builder| builder.layer(Arc::clone(&gate))).await;
    let (_caller, probe) = caller(setting, "caller").await;
    let mut call = probe.hold("x").send().await.unwrap();
    // The first that is heard, and the last.
    match call.next().await {
        Some(Err(error @ CallError::Rejected(_))) => {
            assert_eq!(error.fate(), Fate::NeverRan);
            assert!(error.to_string().ends_with("the gate is closed"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!((agent.watch.ran(), agent.endpoint.running()), (0, 0));
    gate.closed.store(false, Ordering::SeqCst);
    assert_eq!(probe.echo("x").await.unwrap(), "x");
}

pub(super) async fn layers_are_asked_once_for_each_request<S: Setting>(setting: &S) {
    let gate = Arc::new(Gate::default());
    let mut agent = agent_with(setting, |builder| builder.layer(Arc::clone(&gate))).await;
    let (_caller, probe) = caller(setting, "caller").await;
    // What has no outcome in time is sent again as it was: it comes more than once, and is one request.
    let each = Duration::from_millis(200);
    let call = tokio::spawn(probe.hold_again("x").retry(Retry::default().each(each).attempts(9)).into_future());
    assert_eq!(agent.watch.began().await, "x");
    tokio::time::sleep(each * 4).await;
    agent.watch.open(1);
    assert_eq!(call.await.unwrap().unwrap(), "x");
    assert_eq!((agent.watch.ran(), gate.asked.load(Ordering::SeqCst)), (1, 1));
    assert!(agent.endpoint.figures()[0].attached >= 1);
}

pub(super) async fn a_layer_that_waits_holds_up_nobody<S: Setting>(setting: &S) {
    /// Decides about methods whose name begins with `hold` when it is told to, and about others at once.
    struct Slow(Semaphore);
    #[async_trait]
    impl Layer for Slow {
        async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
            if request.method().name.starts_with("hold") {
                self.0.acquire().await.expect("it stays").forget();
            }
            Ok(())
        }
    }
    let slow = Arc::new(Slow(Semaphore::new(0)));
    let mut agent = agent_with(setting, |builder| builder.concurrency(1).layer(Arc::clone(&slow))).await;
    let (_caller, probe) = caller(setting, "caller").await;
    let waits = probe.hold("waits").send().await.unwrap();
    let inline = probe.hold_inline("inline").send().await.unwrap();
    // It takes no place among those that run, either.
    assert_eq!(probe.echo("x").await.unwrap(), "x");
    assert_eq!(agent.watch.began().await, "x");
    slow.0.add_permits(2);
    agent.watch.open(2);
    assert_eq!((waits.await.unwrap(), inline.await.unwrap()), ("waits".to_owned(), "inline".to_owned()));
}

pub(super) async fn a_layer_that_panics_lets_nothing_in<S: Setting>(setting: &S) {
    struct Broken;
    #[async_trait]
    impl Layer for Broken {
        async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
            assert_ne!(request.method().name, "echo", "a secret");
            Ok(())
        }
    }
    let agent = agent_with(setting, |builder| builder.layer(Broken)).await;
    let (_caller, probe) = caller(setting, "caller").await;
    let error = probe.echo("x").await.unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(agent.watch.ran(), 0);
    assert_eq!(probe.big(1).await.unwrap(), "x");
}

pub(super) async fn layers_are_told_how_every_request_ended<S: Setting>(setting: &S) {
    struct Told(Log);
    #[async_trait]
    impl Layer for Told {
        fn concluded(&self, request: &Concluded<'_>) {
            let how = match request.outcome() {
                Outcome::Result(_) => "result",
                Outcome::Exception(_) => "exception",
                Outcome::Rejected(_) => "rejected",
                Outcome::Aborted(_) => "aborted",
            };
            self.0.lock().unwrap().push(format!("{} {how}", request.method().name));
        }
    }
    let (log, gate) = (Log::default(), Arc::new(Gate::default()));
    let (told_of, asked) = (Told(Arc::clone(&log)), Arc::clone(&gate));
    let _agent = agent_with(setting, |builder| builder.layer(told_of).layer(asked)).await;
    let (_caller, probe) = caller(setting, "caller").await;
    probe.echo("x").await.unwrap();
    probe.fail(1).await.unwrap_err();
    probe.explode("x").await.unwrap_err();
    gate.closed.store(true, Ordering::SeqCst);
    probe.echo("x").await.unwrap_err();
    gate.closed.store(false, Ordering::SeqCst);
    assert_eq!(told(&log), ["echo result", "fail exception", "explode aborted", "echo rejected"]);
}

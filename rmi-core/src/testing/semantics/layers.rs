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

use super::{Setting, agent_with, caller, calling, needs::Powers, tap::numbered};
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
    // In the receiver's task as well.
    probe.task_inline().await.unwrap();
    assert_eq!(log.lock().unwrap().len(), 6);
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
    agent.at_most(0).await;
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
    let slow = Arc::new(Patient(Semaphore::new(0)));
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

        async fn call(&self, call: Invocation, next: Next<'_>) -> Outcome {
            assert_ne!(call.method().name, "fail", "a secret");
            next.run(call).await
        }
    }
    let agent = agent_with(setting, |builder| builder.layer(Broken)).await;
    let (_caller, probe) = caller(setting, "caller").await;
    let error = probe.echo("x").await.unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    let error = probe.fail(1).await.unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!((agent.watch.ran(), agent.endpoint.figures()[0].panics), (0, 1));
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
            assert_ne!(request.method().name, "big", "a layer that panics costs nobody an outcome");
        }
    }
    let (log, gate) = (Log::default(), Arc::new(Gate::default()));
    let (told_of, asked) = (Told(Arc::clone(&log)), Arc::clone(&gate));
    let agent = agent_with(setting, |builder| builder.layer(told_of).layer(asked).concurrency(1)).await;
    let (_caller, probe) = caller(setting, "caller").await;
    probe.big(1).await.unwrap();
    probe.echo("x").await.unwrap();
    probe.fail(1).await.unwrap_err();
    probe.explode("x").await.unwrap_err();
    gate.closed.store(true, Ordering::SeqCst);
    probe.echo("x").await.unwrap_err();
    gate.closed.store(false, Ordering::SeqCst);
    // What runs, and what expires behind it.
    let runs = probe.hold("runs").send().await.unwrap();
    probe.hold("expires").ttl(Duration::from_millis(100)).await.unwrap_err();
    agent.watch.open(1);
    runs.await.unwrap();
    let expected =
        ["big result", "echo result", "fail exception", "explode aborted", "echo rejected", "hold rejected", "hold result"];
    assert_eq!(told(&log), expected);
}

pub(super) async fn a_rejection_by_a_layer_is_the_requests_outcome<S: Setting>(setting: &S) {
    let gate = Arc::new(Gate::default());
    gate.closed.store(true, Ordering::SeqCst);
    let agent = agent_with(setting, |builder| builder.layer(Arc::clone(&gate))).await;
    let caller = calling(setting, "caller").await;
    let call = caller.probe.echo("x").send().await.unwrap();
    let (_, request) = caller.tap.last(numbered(call.sn()));
    // The layer says that it is busy; the agent, when to try again.
    let busy = |outcome: &Outcome| matches!(outcome, Outcome::Rejected(no) if no.code == RejectionCode::Busy && no.retry_after.is_some());
    assert!(call.await.is_err());
    let sn = agent.tap.arrived_as(&request).head.sn.clone();
    // The same request again, when it would be let in: its caller has been told that it never runs.
    gate.closed.store(false, Ordering::SeqCst);
    caller.tap.replay(&request).await;
    assert!(agent.tap.until_outcomes(2, sn.as_ref()).await.iter().all(busy));
    assert_eq!(agent.watch.ran(), 0);
    // Under another number it is another request.
    assert_eq!(caller.probe.echo("x").await.unwrap(), "x");
    assert_eq!((agent.watch.ran(), gate.asked.load(Ordering::SeqCst)), (1, 2));
}

/// Decides about methods whose name begins with `hold` when it is told to, and about others at once.
struct Patient(Semaphore);

#[async_trait]
impl Layer for Patient {
    async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
        if request.method().name.starts_with("hold") {
            self.0.acquire().await.expect("it stays").forget();
        }
        Ok(())
    }
}

fn code<T: std::fmt::Debug, E: std::fmt::Debug>(answer: Result<T, CallError<E>>) -> RejectionCode {
    match answer {
        Err(CallError::Rejected(rejection)) => rejection.code,
        other => panic!("{other:?}"),
    }
}

/// Remembers the data of what runs.
struct Order(Log);

#[async_trait]
impl Layer for Order {
    async fn call(&self, call: Invocation, next: Next<'_>) -> Outcome {
        self.0.lock().unwrap().extend(call.context().data().map(|data| data.as_str().to_owned()));
        next.run(call).await
    }
}

pub(super) async fn what_layers_decide_at_once_keeps_its_order<S: Setting>(setting: &S) {
    let (layer, log) = (Patient(Semaphore::new(0)), Log::default());
    let order = Order(Arc::clone(&log));
    let _agent = agent_with(setting, |builder| builder.layer(layer).layer(Gate::default()).layer(order)).await;
    let (_caller, probe) = caller(setting, "caller").await;
    let _waits = probe.hold("waits").send().await.unwrap();
    // Inline handlers run in the receiver's task, in the order of arrival.
    let first = probe.task_inline().await.unwrap();
    for _ in 0..3 {
        assert_eq!(probe.task_inline().await.unwrap(), first);
    }
    for number in 0..20 {
        probe.task_inline().data(number).notify().await.unwrap();
    }
    probe.task_inline().await.unwrap();
    assert_eq!(told(&log), (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
}

pub(super) async fn what_no_layer_decides_in_time_is_rejected<S: Setting>(setting: &S) {
    let (layer, patience) = (Arc::new(Patient(Semaphore::new(0))), Duration::from_secs(2));
    let special = |builder: crate::endpoint::Builder| builder.layer(Arc::clone(&layer)).admission(2, patience);
    let (agent, caller) = (agent_with(setting, special).await, calling(setting, "caller").await);
    // As many as may wait, and one more.
    let one = caller.probe.hold("one").send().await.unwrap();
    let two = caller.probe.hold("two").ttl(patience / 4).send().await.unwrap();
    let Err(CallError::Rejected(crowded)) = caller.probe.hold("three").await else { panic!("there was room for it") };
    assert_eq!(crowded.code, RejectionCode::Busy);
    assert!(crowded.retry_after.is_some(), "it is not told how long to wait");
    assert_eq!(agent.endpoint.figures()[0].crowded, 1);
    // Its time to live goes on, and the time that a layer has.
    assert_eq!(code(two.await), RejectionCode::Expired);
    assert_eq!(code(one.await), RejectionCode::Undecided);
    assert_eq!(agent.endpoint.figures()[0].undecided, 1);
    // Their places are free again.
    let four = caller.probe.hold("four").send().await.unwrap();
    caller.probe.who().await.unwrap();
    assert!(four.cancel().await.unwrap());
    assert!(matches!(four.await, Err(CallError::Cancelled)));
    let five = caller.probe.hold("five").send().await.unwrap();
    caller.probe.who().await.unwrap();
    let _ = agent.endpoint.shutdown(Duration::from_secs(1)).await.unwrap();
    assert_eq!(code(five.await), RejectionCode::Closing);
    assert_eq!(agent.watch.ran(), 0);
}

/// Decides about `Admin` after a while, and about others never.
struct Never;

#[async_trait]
impl Layer for Never {
    async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
        match request.contract().name {
            "Admin" => tokio::time::sleep(Duration::from_millis(50)).await,
            _ => std::future::pending().await,
        }
        Ok(())
    }
}

pub(super) async fn admin_waits_for_layers_in_places_of_its_own<S: Setting>(setting: &S) {
    let special = |builder: crate::endpoint::Builder| builder.layer(Never).admission(1, Duration::from_secs(10));
    let (agent, caller) = (agent_with(setting, special).await, calling(setting, "caller").await);
    let waits = caller.probe.hold("it").send().await.unwrap();
    assert_eq!(code(caller.probe.echo("x").await), RejectionCode::Busy);
    assert!(waits.cancel().await.unwrap());
    assert_eq!(agent.watch.ran(), 0);
}

/// What a request says of itself.
struct Knows(Log);

#[async_trait]
impl Layer for Knows {
    async fn admit(&self, r: &Incoming) -> Result<(), Rejection> {
        let said = format!(
            "{} {} {}.{} {:?} {:?} {:?} {}",
            r.principal(),
            r.binding(),
            r.contract().name,
            r.method().name,
            r.from().map(|from| from.as_str()),
            r.data().map(|data| data.as_str()),
            r.ttl(),
            r.redelivered(),
        );
        assert!(r.sn().is_some() && r.sent().is_some() && r.size() > 0);
        self.0.lock().unwrap().push(said);
        Ok(())
    }
}

pub(super) async fn a_layer_knows_what_a_request_says_of_itself<S: Setting>(setting: &S) {
    let (log, sealed) = (Log::default(), Powers::of(setting).await.is_sealed());
    let _agent = agent_with(setting, |builder| builder.layer(Knows(Arc::clone(&log)))).await;
    let caller = calling(setting, "caller").await;
    caller.probe.who().data(7).ttl(Duration::from_secs(60)).await.unwrap();
    let who = if sealed { "key:caller".to_owned() } else { caller.probe.who().await.unwrap() };
    let expected = format!("{who} 0 probe.who Some(\"caller\") Some(\"7\") Some(60s) false");
    assert_eq!(told(&log)[0], expected);
}

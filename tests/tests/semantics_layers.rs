//! Layers: what decides about requests before they are accepted, and what stands around their execution.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rmi_core::{
    CallError,
    error::Fate,
    layer::{Concluded, Incoming, Layer, Next, async_trait},
    message::{Outcome, Rejection, RejectionCode},
    service::Invocation,
};
use rmi_tests::world::World;
use serde_json::json;
use tokio::sync::Semaphore;

const SECOND: Duration = Duration::from_secs(1);

/// What layers did, in its order.
type Log = Arc<Mutex<Vec<String>>>;

/// Says what it is asked, and that it let it in.
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

/// Rejects what it is told to, and counts what it is asked.
#[derive(Default)]
struct Gate {
    closed: AtomicBool,
    asked: AtomicUsize,
}

#[async_trait]
impl Layer for Gate {
    async fn admit(&self, _: &Incoming) -> Result<(), Rejection> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.closed.load(Ordering::SeqCst) { Err(Rejection::new(RejectionCode::Busy, "the gate is closed")) } else { Ok(()) }
    }
}

/// Decides about methods whose name begins with `hold` when it is told to, and about others at once.
struct Slow(Semaphore);

impl Default for Slow {
    fn default() -> Self {
        Slow(Semaphore::new(0))
    }
}

#[async_trait]
impl Layer for Slow {
    async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
        if request.method().name.starts_with("hold") {
            self.0.acquire().await.unwrap().forget();
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

#[tokio::test(start_paused = true)]
async fn layers_stand_in_the_order_in_which_they_are_added() {
    for world in World::both() {
        let log = Log::default();
        let (one, two) = (Says("one", Arc::clone(&log)), Says("two", Arc::clone(&log)));
        let _agent = world.agent_with("agent", |b| b.layer(one).layer(two)).await;
        let caller = world.caller("caller").await;
        assert_eq!(caller.probe().echo("x").await.unwrap(), "x");
        let said = std::mem::take(&mut *log.lock().unwrap());
        assert_eq!(said, ["one admits echo", "two admits echo", "one before", "two before", "two after", "one after"]);
        // In the receiver's task as well.
        caller.probe().task_inline().await.unwrap();
        assert_eq!(log.lock().unwrap().len(), 6);
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_may_answer_in_the_place_of_the_method() {
    struct Cached;
    #[async_trait]
    impl Layer for Cached {
        async fn call(&self, call: Invocation, next: Next<'_>) -> Outcome {
            match call.context().data() {
                Some(_) => Outcome::Result(rmi_core::Json::encode("from the layer").unwrap()),
                None => next.run(call).await,
            }
        }
    }
    for world in World::both() {
        let agent = world.agent_with("agent", |b| b.layer(Cached)).await;
        let caller = world.caller("caller").await;
        assert_eq!(caller.probe().echo("x").data(1).await.unwrap(), "from the layer");
        assert_eq!(agent.watch.ran(), 0);
        assert_eq!(caller.probe().echo("x").await.unwrap(), "x");
        assert_eq!(agent.watch.ran(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_layer_rejects_is_neither_accepted_nor_run() {
    for world in World::both() {
        let gate = Arc::new(Gate::default());
        gate.closed.store(true, Ordering::SeqCst);
        let agent = world.agent_with("agent", |b| b.layer(Arc::clone(&gate))).await;
        let caller = world.caller("caller").await;
        let mut call = caller.probe().hold("x").send().await.unwrap();
        // The first that is heard, and the last.
        match call.next().await {
            Some(Err(error @ CallError::Rejected(_))) => {
                assert_eq!(error.fate(), Fate::NeverRan);
                assert_eq!(
                    error.to_string(),
                    "the request was rejected: agent.busy: the agent has no room for another request: the gate is closed"
                );
            }
            other => panic!("{other:?}"),
        }
        assert_eq!((agent.watch.ran(), agent.endpoint.figures()[0].rejected, agent.endpoint.running()), (0, 1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejection_by_a_layer_is_the_requests_outcome() {
    for world in World::both() {
        let gate = Arc::new(Gate::default());
        gate.closed.store(true, Ordering::SeqCst);
        let agent = world.agent_with("agent", |b| b.layer(Arc::clone(&gate))).await;
        let mut mailbox = world.mailbox("caller").await;
        let request = world.request("echo", json!(["x"])).sn("1").reply_to("caller").wants(&[]);
        world.post(&request).await;
        assert_eq!(mailbox.next().await["code"], "agent.busy");
        // The same request again, when it would be let in: its caller has been told that it never runs.
        gate.closed.store(false, Ordering::SeqCst);
        world.post(&request).await;
        assert_eq!(mailbox.next().await["code"], "agent.busy");
        assert_eq!(agent.watch.ran(), 0);
        // Under another number it is another request.
        world.post(&world.request("echo", json!(["x"])).sn("2").reply_to("caller").wants(&[])).await;
        assert_eq!(mailbox.next().await["result"]["retval"], "x");
        assert_eq!((agent.watch.ran(), gate.asked.load(Ordering::SeqCst)), (1, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn layers_are_asked_once_for_each_request() {
    for world in World::both() {
        let gate = Arc::new(Gate::default());
        let mut agent = world.agent_with("agent", |b| b.layer(Arc::clone(&gate))).await;
        let mut mailbox = world.mailbox("caller").await;
        let request = world.request("hold", json!(["x"])).sn("1").reply_to("caller").wants(&[]);
        world.post(&request).await;
        assert_eq!(agent.watch.began().await, "x");
        // While it runs, and when it has run.
        world.post(&request).await;
        world.settle().await;
        agent.watch.open(1);
        mailbox.next().await;
        world.post(&request).await;
        mailbox.next().await;
        // The one besides is the `Admin.hello` that the test waited with.
        assert_eq!((agent.watch.ran(), gate.asked.load(Ordering::SeqCst)), (1, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_waits_holds_up_nobody() {
    for world in World::both() {
        let slow = Arc::new(Slow::default());
        let mut agent = world.agent_with("agent", |b| b.concurrency(1).layer(Arc::clone(&slow))).await;
        let caller = world.caller("caller").await;
        let waits = caller.probe().hold("waits").send().await.unwrap();
        let inline = caller.probe().hold_inline("inline").send().await.unwrap();
        // It takes no place among those that run, either.
        assert_eq!(caller.probe().echo("x").await.unwrap(), "x");
        assert_eq!(agent.watch.began().await, "x");
        slow.0.add_permits(2);
        agent.watch.open(2);
        assert_eq!((waits.await.unwrap(), inline.await.unwrap()), ("waits".to_owned(), "inline".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_layers_decide_at_once_keeps_its_order() {
    for world in World::both() {
        let gate = Arc::new(Gate::default());
        let mut agent = world.agent_with("agent", |b| b.layer(Slow::default()).layer(gate)).await;
        let caller = world.caller("caller").await;
        let _waits = caller.probe().hold("waits").send().await.unwrap();
        // Inline handlers run in the receiver's task, in the order of arrival.
        let first = caller.probe().task_inline().await.unwrap();
        for _ in 0..3 {
            assert_eq!(caller.probe().task_inline().await.unwrap(), first);
        }
        for name in ["a", "b", "c"] {
            caller.probe().note(name).await.unwrap();
        }
        for name in ["a", "b", "c"] {
            assert_eq!(agent.watch.began().await, name);
            agent.watch.ended(name).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_layer_decides_in_time_is_rejected() {
    for world in World::both() {
        let slow = Arc::new(Slow::default());
        let agent = world.agent_with("agent", |b| b.layer(Arc::clone(&slow)).admission(2, SECOND * 3)).await;
        let caller = world.caller("caller").await;
        // As many as may wait, and one more.
        let one = caller.probe().hold("one").send().await.unwrap();
        let two = caller.probe().hold("two").ttl(SECOND).send().await.unwrap();
        assert_eq!(code(caller.probe().hold("three").await), RejectionCode::Busy);
        assert_eq!(agent.endpoint.figures()[0].crowded, 1);
        // Its time to live goes on, and the time that a layer has.
        assert_eq!(code(two.await), RejectionCode::Expired);
        assert_eq!(code(one.await), RejectionCode::Undecided);
        assert_eq!(agent.endpoint.figures()[0].undecided, 1);
        // Their places are free again.
        let four = caller.probe().hold("four").send().await.unwrap();
        world.settle().await;
        assert!(four.cancel().await.unwrap());
        assert!(matches!(four.await, Err(CallError::Cancelled)));
        let five = caller.probe().hold("five").send().await.unwrap();
        world.settle().await;
        let _ = agent.endpoint.shutdown(SECOND).await.unwrap();
        assert_eq!(code(five.await), RejectionCode::Closing);
        assert_eq!(agent.watch.ran(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_panics_lets_nothing_in() {
    struct Broken;
    #[async_trait]
    impl Layer for Broken {
        async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
            assert_ne!(request.method().name, "echo", "a secret");
            Ok(())
        }

        async fn call(&self, call: Invocation, next: Next<'_>) -> Outcome {
            assert_ne!(call.method().name, "big", "a secret");
            next.run(call).await
        }
    }
    for world in World::both() {
        let agent = world.agent_with("agent", |b| b.layer(Broken)).await;
        let caller = world.caller("caller").await;
        match caller.probe().echo("x").await {
            Err(CallError::Rejected(rejection)) => {
                assert_eq!(rejection.code, RejectionCode::Undecided);
                assert!(!rejection.to_string().contains("secret"), "{rejection}");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(caller.probe().big(1).await, Err(CallError::Panicked(_))));
        assert_eq!(agent.watch.ran(), 0);
        assert_ne!(caller.probe().task().await.unwrap(), "none");
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_knows_what_a_request_says_of_itself() {
    struct Knows(Log);
    #[async_trait]
    impl Layer for Knows {
        async fn admit(&self, r: &Incoming) -> Result<(), Rejection> {
            let said = format!(
                "{} {} {}.{} {} {:?} {:?} {:?} {}",
                r.principal(),
                r.binding(),
                r.contract().name,
                r.method().name,
                r.size(),
                r.from().map(|from| from.as_str()),
                r.data().map(|data| data.as_str()),
                r.ttl(),
                r.redelivered(),
            );
            assert!(r.sn().is_some() && r.sent().is_some());
            self.0.lock().unwrap().push(said);
            Ok(())
        }
    }
    for world in World::both() {
        let log = Log::default();
        let _agent = world.agent_with("agent", |b| b.layer(Knows(Arc::clone(&log)))).await;
        let caller = world.caller("caller").await;
        caller.probe().echo("x").data(7).ttl(SECOND * 60).await.unwrap();
        let who = if world.is_sealed() { "key:caller" } else { "anonymous" };
        let expected = format!("{who} 0 probe.echo 7 Some(\"caller\") Some(\"7\") Some(60s) false");
        assert_eq!(*log.lock().unwrap(), [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn layers_are_told_how_every_request_ended() {
    struct Told(Log);
    #[async_trait]
    impl Layer for Told {
        fn concluded(&self, request: &Concluded<'_>) {
            let how = match request.outcome() {
                Outcome::Result(result) => result.as_str().to_owned(),
                Outcome::Exception(exception) => exception.class().to_string(),
                Outcome::Rejected(rejection) => rejection.code.to_string(),
                Outcome::Aborted(abort) => abort.reason.as_str().to_owned(),
            };
            let said = format!("{} {} {how}", request.principal(), request.method().name);
            self.0.lock().unwrap().push(said);
            assert_ne!(request.method().name, "task", "a layer that panics costs nobody an outcome");
        }
    }
    for world in World::both() {
        let (log, gate) = (Log::default(), Arc::new(Gate::default()));
        let agent = world.agent_with("agent", |b| b.layer(Told(Arc::clone(&log))).layer(Arc::clone(&gate)).concurrency(1)).await;
        let caller = world.caller("caller").await;
        caller.probe().echo("x").await.unwrap();
        caller.probe().fail(1).await.unwrap_err();
        caller.probe().explode("x").await.unwrap_err();
        caller.probe().task().await.unwrap();
        gate.closed.store(true, Ordering::SeqCst);
        caller.probe().echo("x").await.unwrap_err();
        gate.closed.store(false, Ordering::SeqCst);
        let runs = caller.probe().hold("runs").send().await.unwrap();
        let waits = caller.probe().hold("waits").ttl(SECOND).send().await.unwrap();
        assert_eq!(code(waits.await), RejectionCode::Expired);
        agent.watch.open(1);
        runs.await.unwrap();
        let who = if world.is_sealed() { "key:caller" } else { "anonymous" };
        let log = log.lock().unwrap();
        let told: Vec<_> = log.iter().map(|said| said.strip_prefix(who).unwrap().trim()).collect();
        assert_eq!(told[..3], ["echo \"x\"", "fail ProbeError.Broken", "explode Panicked"]);
        assert!(told[3].starts_with("task "));
        assert_eq!(told[4..], ["echo agent.busy", "hold request.expired", "hold \"runs\""]);
    }
}

#[tokio::test(start_paused = true)]
async fn admin_waits_for_layers_in_places_of_its_own() {
    /// Decides about `Admin` after a while, and about others never.
    struct Never;
    #[async_trait]
    impl Layer for Never {
        async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
            match request.contract().name {
                "Admin" => tokio::time::sleep(SECOND).await,
                _ => std::future::pending().await,
            }
            Ok(())
        }
    }
    for world in World::both() {
        let agent = world.agent_with("agent", |b| b.layer(Never).admission(1, SECOND * 5)).await;
        let caller = world.caller("caller").await;
        let waits = caller.probe().hold("it").send().await.unwrap();
        assert_eq!(code(caller.probe().echo("x").await), RejectionCode::Busy);
        assert!(waits.cancel().await.unwrap());
        assert_eq!(agent.watch.ran(), 0);
    }
}

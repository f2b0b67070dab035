//! Contracts whose requests run one after the other.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Setting, agent_with, caller, calling,
    probe::{Probe, ProbeServer, Probing, Seen, Watch},
};
use crate::{
    CallError, Client as _, Endpoint, Update, endpoint::Builder, error::Fate, message::RejectionCode, remote,
    testing::conformance::soon,
};

/// One thing at a time.
#[remote(name = "press", sequential, crate = "crate")]
pub(super) trait Press {
    /// Waits for the gate.
    async fn hold(&self, name: &str) -> Result<String, Infallible>;

    /// Waits for the gate, in the receiver's task as far as that goes.
    #[remote(inline)]
    async fn hold_inline(&self, name: &str) -> Result<String, Infallible>;

    /// Panics.
    async fn explode(&self) -> Result<(), Infallible>;
}

pub(super) struct Pressing(Probing);

impl Press for Pressing {
    async fn hold(&self, name: &str) -> Result<String, Infallible> {
        self.0.hold(name).await
    }

    async fn hold_inline(&self, name: &str) -> Result<String, Infallible> {
        self.0.hold(name).await
    }

    async fn explode(&self) -> Result<(), Infallible> {
        self.0.explode("").await
    }
}

/// A press, and its watch.
pub(super) fn press() -> (PressServer<Pressing>, Watch) {
    let (probing, watch) = Watch::new();
    (PressServer::new(Pressing(probing)), watch)
}

/// An agent with a press beside its probe, the watch of the press, and who calls it.
struct Shop {
    agent: super::Agent,
    watch: Watch,
    caller: Endpoint,
    probe: super::ProbeClient,
    press: PressClient,
}

async fn shop<S: Setting>(setting: &S, special: impl FnOnce(Builder) -> Builder) -> Shop {
    let (server, watch) = press();
    let agent = agent_with(setting, |builder| special(builder.serve(server))).await;
    let (caller, probe) = caller(setting, "caller").await;
    let press = caller.client("agent");
    Shop { agent, watch, caller, probe, press }
}

fn ended(name: &str) -> Seen {
    Seen::Ended(name.to_owned())
}

pub(super) async fn sequential_requests_run_one_after_the_other<S: Setting>(setting: &S) {
    // As many as may run at a time wait for their turn, and take no place from others.
    let mut shop = shop(setting, |builder| builder.concurrency(2)).await;
    let mut calls = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        calls.push((name, shop.press.hold(name).send().await.unwrap()));
    }
    for (name, call) in calls {
        assert_eq!(shop.watch.began().await, name);
        assert_eq!(shop.probe.echo("meanwhile").await.unwrap(), "meanwhile");
        assert_eq!(shop.watch.seen(), []);
        shop.watch.open(1);
        assert_eq!(call.await.unwrap(), name);
        assert_eq!(shop.watch.next().await, ended(name));
    }
    assert_eq!((shop.watch.ran(), shop.agent.watch.ran()), (5, 5));
    assert_eq!(shop.caller.figures()[0].calls_waiting, 0);
}

pub(super) async fn an_agent_may_serve_any_contract_one_after_the_other<S: Setting>(setting: &S) {
    let (probing, mut watch) = Watch::new();
    let builder = setting.endpoint("agent").await.serve_sequential(ProbeServer::new(probing));
    let (_agent, (_caller, probe)) = (builder.start().await.unwrap(), caller(setting, "caller").await);
    let mut calls = Vec::new();
    // Long enough for the next one to begin, if it might.
    for name in ["a", "b", "c"] {
        calls.push((name, probe.doze(name, 50).send().await.unwrap()));
    }
    for (name, call) in calls {
        assert_eq!(watch.began().await, name);
        assert_eq!(watch.next().await, ended(name));
        assert_eq!(call.await.unwrap(), name);
    }
}

pub(super) async fn sequential_requests_keep_the_order_of_their_admission<S: Setting>(setting: &S) {
    let mut shop = shop(setting, |builder| builder).await;
    let names: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    shop.watch.open(names.len());
    let mut calls = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let call = if number % 3 == 0 { shop.press.hold_inline(name) } else { shop.press.hold(name) };
        calls.push(call.send().await.unwrap());
    }
    for name in &names {
        assert_eq!((shop.watch.began().await, shop.watch.next().await), (name.clone(), ended(name)));
    }
    for (name, call) in names.iter().zip(calls) {
        assert_eq!(call.await.unwrap(), *name);
    }
}

pub(super) async fn who_waits_for_its_turn_can_be_cancelled<S: Setting>(setting: &S) {
    let mut shop = shop(setting, |builder| builder).await;
    let running = shop.press.hold("running").send().await.unwrap();
    assert_eq!(shop.watch.began().await, "running");
    let mut waiting = shop.press.hold("waiting").send().await.unwrap();
    assert_eq!(soon("it is accepted", waiting.next()).await.unwrap().unwrap(), Update::Accepted);
    let behind = shop.press.hold("behind").send().await.unwrap();
    assert!(waiting.cancel().await.unwrap());
    // At once, while the first one still runs.
    let error = soon("it is cancelled", waiting).await.unwrap_err();
    assert_eq!(error.fate(), Fate::NeverRan);
    assert!(matches!(error, CallError::Cancelled), "{error:?}");
    assert_eq!(shop.watch.ran(), 1);
    // It leaves no gap.
    shop.watch.open(2);
    assert_eq!((running.await.unwrap(), behind.await.unwrap()), ("running".to_owned(), "behind".to_owned()));
    assert_eq!(shop.watch.ran(), 2);
}

pub(super) async fn who_waits_for_its_turn_can_expire<S: Setting>(setting: &S) {
    let mut shop = shop(setting, |builder| builder).await;
    let running = shop.press.hold("running").send().await.unwrap();
    assert_eq!(shop.watch.began().await, "running");
    let expired = shop.press.hold("expired").ttl(Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(&expired, CallError::Rejected(why) if why.code == RejectionCode::Expired), "{expired:?}");
    shop.watch.open(2);
    assert_eq!(running.await.unwrap(), "running");
    assert_eq!(shop.press.hold("next").await.unwrap(), "next");
    assert_eq!(shop.watch.ran(), 2);
}

pub(super) async fn who_waits_for_its_turn_is_rejected_by_a_drain<S: Setting>(setting: &S) {
    let mut shop = shop(setting, |builder| builder).await;
    let running = shop.press.hold("running").send().await.unwrap();
    assert_eq!(shop.watch.began().await, "running");
    let mut waiting = shop.press.hold("waiting").send().await.unwrap();
    assert_eq!(soon("it is accepted", waiting.next()).await.unwrap().unwrap(), Update::Accepted);
    let endpoint = shop.agent.endpoint.clone();
    let drain = tokio::spawn(async move { endpoint.shutdown(Duration::from_secs(20)).await });
    let rejected = soon("what waits is told", waiting).await.unwrap_err();
    assert!(matches!(&rejected, CallError::Rejected(why) if why.code == RejectionCode::Closing), "{rejected:?}");
    shop.watch.open(1);
    assert_eq!(running.await.unwrap(), "running");
    assert_eq!((drain.await.unwrap().unwrap().left_behind, shop.watch.ran()), (0, 1));
}

pub(super) async fn an_inline_handler_waits_for_its_turn_as_well<S: Setting>(setting: &S) {
    let mut shop = shop(setting, |builder| builder).await;
    let mut calls = Vec::new();
    for name in ["a", "b"] {
        calls.push((name, shop.press.hold_inline(name).send().await.unwrap()));
    }
    for (name, call) in calls {
        assert_eq!(shop.watch.began().await, name);
        assert_eq!(shop.probe.echo("meanwhile").await.unwrap(), "meanwhile");
        assert_eq!(shop.watch.seen(), []);
        shop.watch.open(1);
        assert_eq!(call.await.unwrap(), name);
        assert_eq!(shop.watch.next().await, ended(name));
    }
}

pub(super) async fn a_panic_ends_a_turn<S: Setting>(setting: &S) {
    let shop = shop(setting, |builder| builder).await;
    shop.watch.open(1);
    let (exploded, next) = (shop.press.explode().send().await.unwrap(), shop.press.hold("next").send().await.unwrap());
    assert!(matches!(exploded.await, Err(CallError::Panicked(_))));
    assert_eq!(soon("the next has its turn", next).await.unwrap(), "next");
}

/// Whom an instance is for.
#[derive(Serialize, Deserialize)]
struct Owner {
    name: String,
}

pub(super) async fn an_instance_of_its_own_is_made_when_its_turn_has_come<S: Setting>(setting: &S) {
    let ((probing, mut watch), made) = (Watch::new(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&made);
    let server = PressServer::per_call(move |owner: Owner| -> Result<Pressing, Infallible> {
        noted.lock().unwrap().push(owner.name);
        Ok(Pressing(probing.clone()))
    });
    let _agent = agent_with(setting, |builder| builder.serve(server)).await;
    let caller = calling(setting, "caller").await;
    let owned = |name: &str| caller.endpoint.client::<PressClient>("agent").with_cntr(&Owner { name: name.to_owned() }).unwrap();
    let mut calls = Vec::new();
    for name in ["a", "b"] {
        calls.push((name, owned(name).hold(name).send().await.unwrap()));
    }
    for (count, (name, call)) in (1..).zip(calls) {
        assert_eq!(watch.began().await, name);
        caller.probe.echo("meanwhile").await.unwrap();
        assert_eq!(made.lock().unwrap().len(), count);
        watch.open(1);
        assert_eq!(call.await.unwrap(), name);
        assert_eq!(watch.next().await, ended(name));
    }
    assert_eq!(*made.lock().unwrap(), ["a", "b"]);
}

/// The next major of a press.
mod v2 {
    #[crate::remote(name = "press", version = "2.0", sequential, crate = "crate")]
    pub(super) trait Press {
        async fn hold(&self, name: &str) -> Result<String, std::convert::Infallible>;
    }

    impl Press for super::Pressing {
        async fn hold(&self, name: &str) -> Result<String, std::convert::Infallible> {
            super::Press::hold(self, name).await
        }
    }
}

pub(super) async fn each_major_of_a_sequential_contract_has_a_queue_of_its_own<S: Setting>(setting: &S) {
    let (probing, mut new_watch) = Watch::new();
    let new = v2::PressServer::new(Pressing(probing));
    let mut shop = shop(setting, |builder| builder.serve(new)).await;
    let held = shop.press.hold("old").send().await.unwrap();
    assert_eq!(shop.watch.began().await, "old");
    let press: v2::PressClient = shop.caller.client("agent");
    let mut calls = Vec::new();
    for name in ["a", "b"] {
        calls.push((name, press.hold(name).send().await.unwrap()));
    }
    for (name, call) in calls {
        assert_eq!(new_watch.began().await, name);
        shop.probe.echo("meanwhile").await.unwrap();
        assert_eq!(new_watch.seen(), []);
        new_watch.open(1);
        assert_eq!(call.await.unwrap(), name);
        assert_eq!(new_watch.next().await, ended(name));
    }
    shop.watch.open(1);
    assert_eq!(held.await.unwrap(), "old");
}

/// Another thing that is done one at a time.
#[remote(name = "lathe", sequential, crate = "crate")]
trait Lathe {
    async fn turn(&self) -> Result<(), Infallible>;
}

struct Turning;

impl Lathe for Turning {
    async fn turn(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

pub(super) async fn each_sequential_contract_has_a_queue_of_its_own<S: Setting>(setting: &S) {
    let mut shop = shop(setting, |builder| builder.serve(LatheServer::new(Turning))).await;
    let held = shop.press.hold("held").send().await.unwrap();
    assert_eq!(shop.watch.began().await, "held");
    soon("another goes on", shop.caller.client::<LatheClient>("agent").turn()).await.unwrap();
    shop.watch.open(1);
    assert_eq!(held.await.unwrap(), "held");
}

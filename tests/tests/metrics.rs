//! What an endpoint tells a recorder of metrics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use rmi_core::{
    Keyring,
    layer::{Authorize, Incoming, Layer, Metrics, Rate, RateLimit, async_trait},
    message::{Rejection, RejectionCode},
    prelude::RemoteEvent,
};
use rmi_tests::world::World;
use serde_json::json;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

/// Keeps what it is told: numbers, and what a histogram was told one by one.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<BTreeMap<String, Vec<f64>>>>, Arc<Mutex<BTreeMap<String, String>>>);

struct One(String, Recorded);

impl One {
    fn change(&self, change: impl FnOnce(&mut f64)) {
        let mut all = self.1.0.lock().unwrap();
        change(&mut all.entry(self.0.clone()).or_insert_with(|| vec![0.0])[0]);
    }
}

#[allow(clippy::cast_precision_loss)]
impl CounterFn for One {
    fn increment(&self, value: u64) {
        self.change(|number| *number += value as f64);
    }

    fn absolute(&self, value: u64) {
        self.change(|number| *number = value as f64);
    }
}

impl GaugeFn for One {
    fn increment(&self, value: f64) {
        self.change(|number| *number += value);
    }

    fn decrement(&self, value: f64) {
        self.change(|number| *number -= value);
    }

    fn set(&self, value: f64) {
        self.change(|number| *number = value);
    }
}

impl HistogramFn for One {
    fn record(&self, value: f64) {
        self.1.0.lock().unwrap().entry(self.0.clone()).or_default().push(value);
    }
}

impl Recorded {
    fn one(&self, key: &Key) -> Arc<One> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(One(format!("{}{{{}}}", key.name(), labels.join(",")), self.clone()))
    }

    fn get(&self, name: &str) -> Vec<f64> {
        self.0.lock().unwrap().get(name).cloned().unwrap_or_default()
    }

    /// All of one name, without it.
    fn all(&self, name: &str) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.iter().filter_map(|(key, value)| Some(format!("{} {}", key.strip_prefix(name)?, value[0]))).collect()
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.1.lock().unwrap().insert(key.as_str().to_owned(), description.to_string());
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe_counter(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe_counter(key, unit, description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.one(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.one(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.one(key))
    }
}

#[tokio::test(start_paused = true)]
async fn every_request_is_counted_by_its_outcome() {
    for world in World::both() {
        let recorded = Recorded::default();
        let _here = metrics::set_default_local_recorder(&recorded);
        let limit = RateLimit::per_principal(Rate::one_every(SECOND * 100).burst(4));
        let _agent = world.agent_with("agent", |b| b.layer(Metrics::new()).layer(limit)).await;
        let caller = world.caller("caller").await;
        caller.probe().echo("x").await.unwrap();
        caller.probe().echo("y").await.unwrap();
        caller.probe().fail(7).await.unwrap_err();
        caller.probe().explode("x").await.unwrap_err();
        caller.probe().echo("x").await.unwrap_err();
        let expected = [
            "{contract=probe,major=1,method=echo,outcome=rejected,code=agent.rate} 1",
            "{contract=probe,major=1,method=echo,outcome=result,code=} 2",
            "{contract=probe,major=1,method=explode,outcome=panicked,code=} 1",
            "{contract=probe,major=1,method=fail,outcome=exception,code=} 1",
        ];
        assert_eq!(recorded.all("rmi_requests_total"), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn methods_in_flight_and_their_times_are_measured() {
    for world in World::both() {
        let recorded = Recorded::default();
        let _here = metrics::set_default_local_recorder(&recorded);
        let mut agent = world.agent_with("agent", |b| b.layer(Metrics::new())).await;
        let caller = world.caller("caller").await;
        let (one, two) = (caller.probe().hold("one").send().await.unwrap(), caller.probe().hold("two").send().await.unwrap());
        agent.watch.began_all(["one", "two"]).await;
        let hold = "{contract=probe,major=1,method=hold}";
        let in_flight = |labels: &str| recorded.get(&format!("rmi_requests_in_flight{labels}"));
        let times = |labels: &str| recorded.get(&format!("rmi_request_duration_seconds{labels}"));
        assert_eq!((in_flight(hold), times(hold)), (vec![2.0], vec![]));
        sleep(SECOND * 3).await;
        agent.watch.open(2);
        let _ = (one.await.unwrap(), two.await.unwrap());
        assert_eq!(in_flight(hold), [0.0]);
        let times_of_hold = times(hold);
        assert!(times_of_hold.len() == 2 && times_of_hold.iter().all(|time| *time >= 3.0 && *time < 3.1), "{times_of_hold:?}");
        caller.probe().explode("x").await.unwrap_err();
        let explode = "{contract=probe,major=1,method=explode}";
        assert_eq!((in_flight(explode), times(explode).len()), (vec![0.0], 1));
    }
}

#[tokio::test(start_paused = true)]
async fn no_label_comes_from_the_wire() {
    /// Makes up a code for each request.
    struct Inventive;
    #[async_trait]
    impl Layer for Inventive {
        async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
            let said = request.data().map(|data| data.as_str().to_owned()).unwrap_or_default();
            Err(Rejection::new(RejectionCode::Other(format!("invented.{said}").into()), ""))
        }
    }
    for world in World::both() {
        let recorded = Recorded::default();
        let _here = metrics::set_default_local_recorder(&recorded);
        let agent = world.agent_with("agent", |b| b.layer(Metrics::new()).layer(Inventive)).await;
        let caller = world.caller("wire-caller").await;
        for n in 0..5 {
            caller.probe().echo("wire-text").data(json!(format!("wire-{n}"))).await.unwrap_err();
            let peer = caller.endpoint.peer("agent");
            peer.class(format!("wire{n}")).call::<()>("x", ()).await.unwrap_err();
            peer.class("probe").call::<()>(format!("wire{n}"), ()).await.unwrap_err();
        }
        Metrics::export(&agent.endpoint);
        let all = recorded.0.lock().unwrap();
        assert!(all.keys().all(|key| !key.contains("wire")), "{all:?}");
        drop(all);
        assert_eq!(recorded.all("rmi_requests_total"), ["{contract=probe,major=1,method=echo,outcome=rejected,code=other} 5"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_figures_of_an_endpoint_are_exported() {
    for world in World::both() {
        let recorded = Recorded::default();
        let _here = metrics::set_default_local_recorder(&recorded);
        let mut agent = world.agent("agent").await;
        let caller = world.caller("caller").await;
        let _runs = caller.probe().hold("x").send().await.unwrap();
        agent.watch.began().await;
        caller.endpoint.peer("agent").class("none").call::<()>("x", ()).await.unwrap_err();
        // Twice: what counts up is told as it is, and not added.
        for _ in 0..2 {
            Metrics::export(&agent.endpoint);
            Metrics::export(&caller.endpoint);
        }
        assert_eq!(recorded.get("rmi_binding_rejected_total{endpoint=agent,binding=0}"), [1.0]);
        assert_eq!(recorded.get("rmi_binding_rejected_total{endpoint=caller,binding=0}"), [0.0]);
        assert_eq!(recorded.get("rmi_binding_calls_waiting{endpoint=caller,binding=0}"), [1.0]);
        assert_eq!(recorded.get("rmi_binding_remembered{endpoint=agent,binding=0}"), [1.0]);
        assert_eq!(recorded.get("rmi_endpoint_running{endpoint=agent}"), [1.0]);
        assert_eq!(recorded.get("rmi_endpoint_queued{endpoint=agent}"), [0.0]);
        let described = recorded.1.lock().unwrap();
        let guide = include_str!("../../rmi-core/guide/operations.md");
        for name in names(&format!("{:?}", agent.endpoint.figures()[0])) {
            let metric = if described.contains_key(&format!("rmi_binding_{name}")) {
                format!("rmi_binding_{name}")
            } else {
                format!("rmi_binding_{name}_total")
            };
            assert!(described.contains_key(&metric), "{name}");
            assert_eq!(recorded.get(&format!("{metric}{{endpoint=agent,binding=0}}")).len(), 1, "{metric}");
            // And every one of them is in the guide.
            assert!(guide.contains(&format!("| `{name}` |")), "the guide says nothing about `{name}`");
        }
    }
}

#[derive(Debug, RemoteEvent)]
enum Noise {
    #[remote(key = "noise.{dog}")]
    Bark { dog: u32 },
}

#[tokio::test(start_paused = true)]
async fn figures_that_are_no_endpoints_are_exported_by_name() {
    let recorded = Recorded::default();
    let _here = metrics::set_default_local_recorder(&recorded);
    let world = World::unsealed();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policy.toml");
    std::fs::write(&file, "[[allow]]\nname = \"all\"\nwho = [\"anonymous\"]\ncall = [\"probe.*\"]\n").unwrap();
    let (policy, keyring) = (Authorize::from_file(&file).unwrap(), Keyring::load(dir.path()).unwrap());
    let limit = RateLimit::per_principal(Rate::one_every(SECOND * 100).burst(2));
    let _agent = world.agent_with("agent", |b| b.layer(policy.clone()).layer(limit.clone())).await;
    let caller = world.caller("caller").await;
    let mut events = caller.endpoint.subscribe::<Noise>().await.unwrap();
    caller.endpoint.publish(&Noise::Bark { dog: 1 }).await.unwrap();
    let Noise::Bark { dog } = events.next().await.unwrap().unwrap().event;
    assert_eq!(dog, 1);
    caller.probe().echo("x").await.unwrap();
    caller.probe().echo("x").await.unwrap();
    caller.probe().echo("x").await.unwrap_err();
    caller.endpoint.peer("agent").admin().hello().await.unwrap_err();
    // What is on the disk cannot be used any more.
    std::fs::write(&file, "[[allow]").unwrap();
    policy.reload().unwrap_err();
    std::fs::remove_dir_all(dir.path()).unwrap();
    keyring.reload().unwrap_err();
    for _ in 0..2 {
        Metrics::export_rate("callers", &limit);
        Metrics::export_events("noise", &events);
        Metrics::export_keyring("main", &keyring);
        Metrics::export_policy("main", &policy);
    }
    for (metric, value) in [
        ("rmi_rate_principals{rate=callers}", 1.0),
        ("rmi_rate_limited_total{rate=callers}", 1.0),
        ("rmi_rate_limited_overall_total{rate=callers}", 0.0),
        ("rmi_rate_evicted_total{rate=callers}", 0.0),
        ("rmi_events_received_total{subscription=noise}", 1.0),
        ("rmi_events_waiting{subscription=noise}", 0.0),
        ("rmi_keyring_failed_reloads_total{keyring=main}", 1.0),
        ("rmi_policy_failed_reloads_total{policy=main}", 1.0),
        ("rmi_policy_denied_total{policy=main}", 1.0),
    ] {
        assert_eq!(recorded.get(metric), [value], "{metric}");
    }
    // Every figure is there.
    let described = recorded.1.lock().unwrap();
    for (prefix, printed) in [("rmi_rate", format!("{:?}", limit.figures())), ("rmi_events", format!("{:?}", events.figures()))] {
        for name in printed.split_once('{').unwrap().1.split(',').filter_map(|field| Some(field.split_once(':')?.0.trim())) {
            let metric = format!("{prefix}_{name}");
            assert!(described.contains_key(&metric) || described.contains_key(&format!("{metric}_total")), "{metric}");
        }
    }
}

/// The names of a structure's fields, as it is printed.
fn names(printed: &str) -> Vec<String> {
    let fields = printed.split_once('{').unwrap().1;
    let names: Vec<_> = fields.split(',').filter_map(|field| Some(field.split_once(':')?.0.trim().to_owned())).collect();
    assert!(names.len() > 10);
    names
}

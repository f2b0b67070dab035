use std::{
    fmt,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use metrics::{
    Counter, Gauge, Histogram, Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use tokio::time::Instant;

#[cfg(feature = "policy")]
use crate::layer::Authorize;
use crate::{
    contract::{Contract, Method},
    endpoint::{Endpoint, EventFigures, Events, Figures},
    layer::{Concluded, Layer, Next, RateFigures, RateLimit, async_trait},
    message::{AbortReason, Outcome, RejectionCode},
    seal::Keyring,
    service::Invocation,
};

/// A layer that measures: it tells the recorder that the program has installed for the [`metrics`](::metrics) facade.
///
/// | metric | kind, unit | labels | what it is |
/// |---|---|---|---|
/// | `rmi_requests_total` | counter | `contract`, `major`, `method`, `outcome`, `code` | requests that have their outcome |
/// | `rmi_request_duration_seconds` | histogram, seconds | `contract`, `major`, `method` | from the start of a method, with the layers inside this one, to its end, however it ended |
/// | `rmi_requests_in_flight` | gauge | `contract`, `major`, `method` | methods that run now |
/// | `rmi_endpoint_running` | gauge | `endpoint` | requests on their way to their outcome, also those that wait ([`Endpoint::running`]) |
/// | `rmi_endpoint_queued` | gauge | `endpoint` | requests that wait for a handler ([`Endpoint::queued`]) |
/// | `rmi_binding_calls_waiting`, `rmi_binding_remembered` | gauge | `endpoint`, `binding` | what a binding holds now ([`Figures`]) |
/// | `rmi_binding_*_total` | counter | `endpoint`, `binding` | each of the other [`Figures`], as `rmi_binding_malformed_total` |
///
/// | `rmi_rate_principals`, `rmi_rate_*_total` | gauge, counters | `rate` | [`RateFigures`](crate::layer::RateFigures), by [`Metrics::export_rate`] |
/// | `rmi_events_waiting`, `rmi_events_*_total` | gauge, counters | `subscription` | [`EventFigures`](crate::endpoint::EventFigures), by [`Metrics::export_events`] |
/// | `rmi_keyring_failed_reloads_total` | counter | `keyring` | by [`Metrics::export_keyring`] |
/// | `rmi_policy_failed_reloads_total`, `rmi_policy_denied_total` | counter | `policy` | by `Metrics::export_policy` |
///
/// The first three rows are told as they happen, the next four by [`Metrics::export`]. What follows is told under a name that the
/// program gives it. `outcome` is one of `result`, `exception`,
/// `rejected`, `cancelled`, `interrupted`, `poisoned` and `panicked`; `code` is the code of a rejection, `other` for one that is not
/// the framework's own, and empty otherwise. Labels are names of contracts and words of this table: nothing that came by the
/// wire becomes one, so the methods of the contracts bound how many series there are. What is rejected before its method is
/// known is in the figures only.
///
/// Add it first: it then sees what other layers reject, and measures what they take.
///
/// ```
/// use rmi_core::layer::Metrics;
///
/// # let builder = rmi_core::Endpoint::builder("dhcp-1");
/// // Install a recorder before, such as `metrics_exporter_prometheus::PrometheusBuilder::new().install()?`.
/// let builder = builder.layer(Metrics::new());
/// ```
///
/// Clones are one layer.
#[derive(Clone)]
pub struct Metrics(Arc<RwLock<Vec<Measured>>>);

/// The metrics of one contract, method by method.
#[derive(Clone)]
struct Measured {
    contract: &'static Contract,
    methods: Arc<[MethodMetrics]>,
}

struct MethodMetrics {
    in_flight: Gauge,
    duration: Histogram,
    /// Made when they are first needed: most methods have one or two.
    outcomes: [OnceLock<Counter>; OUTCOMES],
}

/// How many outcomes there are that are no rejections.
const OUTCOMES: usize = 2 + AbortReason::ALL.len();

impl Metrics {
    /// Describes its metrics to the recorder, which has to be installed before: what is measured goes to the recorder that is there
    /// when a contract is called for the first time.
    #[must_use]
    pub fn new() -> Self {
        describe_counter!("rmi_requests_total", Unit::Count, "Requests that have their outcome.");
        describe_histogram!("rmi_request_duration_seconds", Unit::Seconds, "From the start of a method to its end.");
        describe_gauge!("rmi_requests_in_flight", Unit::Count, "Methods that run now.");
        Metrics(Arc::default())
    }

    /// Tells the recorder what an endpoint has counted, and what it holds now. Call it as often as somebody looks: every ten
    /// seconds, or when the exporter is asked.
    pub fn export(endpoint: &Endpoint) {
        let address = Label::new("endpoint", endpoint.address().to_string());
        describe_gauge!("rmi_endpoint_running", Unit::Count, "Requests on their way to their outcome.");
        gauge!("rmi_endpoint_running", vec![address.clone()]).set(to_f64(endpoint.running() as u64));
        describe_gauge!("rmi_endpoint_queued", Unit::Count, "Requests that wait for a handler.");
        gauge!("rmi_endpoint_queued", vec![address.clone()]).set(to_f64(endpoint.queued() as u64));
        describe_gauge!("rmi_binding_calls_waiting", Unit::Count, "Calls that wait for their outcome now.");
        describe_gauge!("rmi_binding_remembered", Unit::Count, "Requests that the duplicate window remembers now.");
        for (name, about, _) in Figures::COUNTERS {
            describe_counter!(*name, Unit::Count, about.trim());
        }
        for (binding, figures) in endpoint.figures().iter().enumerate() {
            let labels = vec![address.clone(), Label::new("binding", binding.to_string())];
            gauge!("rmi_binding_calls_waiting", labels.clone()).set(to_f64(figures.calls_waiting));
            gauge!("rmi_binding_remembered", labels.clone()).set(to_f64(figures.remembered));
            for (name, _, read) in Figures::COUNTERS {
                counter!(*name, labels.clone()).absolute(read(figures));
            }
        }
    }

    /// Tells the recorder what a rate has counted, under a name for the label `rate`.
    pub fn export_rate(name: &'static str, rate: &RateLimit) {
        let RateFigures { principals, limited, limited_overall, evicted } = rate.figures();
        let labels = vec![Label::from_static_parts("rate", name)];
        describe_gauge!("rmi_rate_principals", Unit::Count, "Principals that are remembered now.");
        gauge!("rmi_rate_principals", labels.clone()).set(to_f64(principals));
        for (metric, about, value) in [
            ("rmi_rate_limited_total", "Requests whose principal was over its rate.", limited),
            ("rmi_rate_limited_overall_total", "Requests when all callers were over theirs.", limited_overall),
            ("rmi_rate_evicted_total", "Principals that were forgotten too early.", evicted),
        ] {
            count(metric, about, &labels, value);
        }
    }

    /// Tells the recorder what a subscription to events has counted, under a name for the label `subscription`.
    pub fn export_events<E>(name: &'static str, events: &Events<E>) {
        let figures = events.figures();
        let EventFigures {
            received,
            dropped,
            links_lost,
            interrupted,
            unknown,
            unreadable,
            unwanted,
            refused,
            replayed,
            waiting,
        } = figures;
        let labels = vec![Label::from_static_parts("subscription", name)];
        describe_gauge!("rmi_events_waiting", Unit::Count, "Events that wait for the subscriber now.");
        gauge!("rmi_events_waiting", labels.clone()).set(to_f64(waiting));
        for (metric, about, value) in [
            ("rmi_events_received_total", "Events that were taken in.", received),
            ("rmi_events_dropped_total", "Events that were dropped because the subscriber is too slow.", dropped),
            ("rmi_events_links_lost_total", "Losses of the link, which may have lost events.", links_lost),
            ("rmi_events_interrupted_total", "Ends of the subscription by the bus, which may have lost events.", interrupted),
            ("rmi_events_unknown_total", "Events whose keys are none of the type's.", unknown),
            ("rmi_events_unreadable_total", "Events without the form that their keys promise.", unreadable),
            ("rmi_events_unwanted_total", "Events of publishers that are not wanted.", unwanted),
            ("rmi_events_refused_total", "What was no event, not signed by whom it says, or made for another key.", refused),
            ("rmi_events_replayed_total", "Signed events that came again.", replayed),
        ] {
            count(metric, about, &labels, value);
        }
    }

    /// Tells the recorder how often a keyring could not be read again, under a name for the label `keyring`.
    pub fn export_keyring(name: &'static str, keyring: &Keyring) {
        let labels = [Label::from_static_parts("keyring", name)];
        count("rmi_keyring_failed_reloads_total", "Reloads that failed.", &labels, keyring.failed_reloads());
    }

    /// Tells the recorder what a policy has counted, under a name for the label `policy`.
    #[cfg(feature = "policy")]
    #[cfg_attr(docsrs, doc(cfg(feature = "policy")))]
    pub fn export_policy(name: &'static str, policy: &Authorize) {
        let labels = [Label::from_static_parts("policy", name)];
        count("rmi_policy_failed_reloads_total", "Reloads that failed.", &labels, policy.failed_reloads());
        count("rmi_policy_denied_total", "Requests that were denied.", &labels, policy.denied());
    }

    /// The metrics of a contract's methods. There are as many contracts as the program has.
    fn of(&self, contract: &'static Contract) -> Arc<[MethodMetrics]> {
        let known =
            |all: &[Measured]| all.iter().find(|one| std::ptr::eq(one.contract, contract)).map(|one| Arc::clone(&one.methods));
        if let Some(methods) = known(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return methods;
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known(&all).unwrap_or_else(|| {
            let methods: Arc<[_]> = contract.methods.iter().map(|method| MethodMetrics::new(contract, method)).collect();
            all.push(Measured { contract, methods: Arc::clone(&methods) });
            methods
        })
    }
}

/// A counter of somebody else's, as it is now.
fn count(metric: &'static str, about: &'static str, labels: &[Label], value: u64) {
    describe_counter!(metric, Unit::Count, about);
    counter!(metric, labels.to_vec()).absolute(value);
}

impl MethodMetrics {
    fn new(contract: &'static Contract, method: &'static Method) -> Self {
        let labels = labels(contract, method);
        MethodMetrics {
            in_flight: gauge!("rmi_requests_in_flight", labels.clone()),
            duration: histogram!("rmi_request_duration_seconds", labels),
            outcomes: Default::default(),
        }
    }
}

fn labels(contract: &'static Contract, method: &'static Method) -> Vec<Label> {
    vec![
        Label::from_static_parts("contract", contract.name),
        Label::new("major", contract.version.major.to_string()),
        Label::from_static_parts("method", method.name),
    ]
}

fn requests(contract: &'static Contract, method: &'static Method, outcome: &'static str, code: &str) -> Counter {
    let mut labels = labels(contract, method);
    labels.push(Label::from_static_parts("outcome", outcome));
    labels.push(Label::new("code", code.to_owned()));
    counter!("rmi_requests_total", labels)
}

/// The place and the name of an outcome that is no rejection.
fn named(outcome: &Outcome) -> Result<(usize, &'static str), &RejectionCode> {
    Ok(match outcome {
        Outcome::Result(_) => (0, "result"),
        Outcome::Exception(_) => (1, "exception"),
        Outcome::Aborted(abort) => match abort.reason {
            AbortReason::Cancelled => (2, "cancelled"),
            AbortReason::Interrupted => (3, "interrupted"),
            AbortReason::Poisoned => (4, "poisoned"),
            AbortReason::Panicked => (5, "panicked"),
        },
        Outcome::Rejected(rejection) => return Err(&rejection.code),
    })
}

/// A gauge is a floating-point number, which is exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
fn to_f64(number: u64) -> f64 {
    number as f64
}

/// A method that runs: it has ended when this is dropped, also when it panicked or was dropped with its endpoint.
struct Running {
    methods: Arc<[MethodMetrics]>,
    index: usize,
    began: Instant,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(method) = self.methods.get(self.index) {
            method.in_flight.decrement(1.0);
            method.duration.record(self.began.elapsed().as_secs_f64());
        }
    }
}

#[async_trait]
impl Layer for Metrics {
    async fn call(&self, call: Invocation, next: Next<'_>) -> Outcome {
        let running = Running { methods: self.of(call.contract()), index: call.index(), began: Instant::now() };
        if let Some(method) = running.methods.get(running.index) {
            method.in_flight.increment(1.0);
        }
        let outcome = next.run(call).await;
        drop(running);
        outcome
    }

    fn concluded(&self, request: &Concluded<'_>) {
        let (contract, method) = (request.contract(), request.method());
        match named(request.outcome()) {
            Ok((place, name)) => {
                let methods = self.of(contract);
                let index = contract.methods.iter().position(|one| one == method);
                if let Some(counter) = index.and_then(|index| methods.get(index)?.outcomes.get(place)) {
                    counter.get_or_init(|| requests(contract, method, name, "")).increment(1);
                }
            }
            Err(code) => {
                // A layer of the program's own may make up a code for each request.
                let code = if matches!(code, RejectionCode::Other(_)) { "other" } else { code.as_str() };
                requests(contract, method, "rejected", code).increment(1);
            }
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

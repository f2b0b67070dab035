use std::{
    fmt,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use metrics::{
    Counter, Gauge, Histogram, Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use tokio::time::Instant;

use crate::{
    contract::{Contract, Method},
    endpoint::{Endpoint, Figures},
    layer::{Concluded, Layer, Next, async_trait},
    message::{AbortReason, Outcome, RejectionCode},
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
/// The last four rows are told by [`Metrics::export`], the others as they happen. `outcome` is one of `result`, `exception`,
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

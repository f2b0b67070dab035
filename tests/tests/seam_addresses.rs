//! A dialect without envelope and serial numbers, whose replies are told apart by address, on real endpoints and the in-memory bus.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rmi_core::{
    __private::{Call, Invocation, Method, Outcome, Param, Service, Stub, Version, finish, respond},
    Address, CallError, Client, Endpoint, Memory, RemoteError, Trust,
    contract::Contract,
    error::Phase,
    message::{ArgumentsWriter, Exception},
    service::BoxFuture,
    transport::{
        Capabilities, Deliveries, Delivery, Destination, Frame, LinkId, Links, Properties, Purpose, Receipt, Source,
        Subscription, Transport, TransportError, memory::Options,
    },
};
use rmi_tests::routes::{Route, Routes, Shape};
use serde_json::{Value, json};
use tokio::sync::Notify;

static DHCP: Contract = Contract::new(
    "dhcp",
    Version { major: 1, minor: 0 },
    &[
        Method::new("lookupIpLease", &[Param::new("ip", "String")]),
        Method::new("runTask", &[Param::new("task", "String"), Param::new("count", "u32"), Param::new("note", "Option<String>")]),
        Method::new("removeLease", &[Param::new("mac", "String")]),
        Method::new("leases", &[]),
    ],
);

const ROUTES: Routes = Routes(&[
    Route {
        class: "dhcp",
        method: "lookupIpLease",
        exchange: "on.dhcp",
        key: "methods.lookupIpLease",
        request: Shape::Value("IpAddress"),
        reply: Shape::Value("MacAddress"),
    },
    Route {
        class: "dhcp",
        method: "runTask",
        exchange: "on.task",
        key: "run.{task}",
        request: Shape::Object("Object"),
        reply: Shape::Object("Object"),
    },
    Route {
        class: "dhcp",
        method: "removeLease",
        exchange: "on.dhcp",
        key: "methods.removeLease",
        request: Shape::Value("MacAddress"),
        reply: Shape::Value("Result"),
    },
    Route {
        class: "dhcp",
        method: "leases",
        exchange: "on.dhcp",
        key: "methods.leases",
        request: Shape::Object("Object"),
        reply: Shape::Object("Object"),
    },
]);

#[derive(Debug, PartialEq, thiserror::Error)]
enum DhcpError {
    #[error("no such lease: {ip}")]
    NotFound { ip: String },
}

/// By hand what a derive writes for a class of another language.
impl RemoteError for DhcpError {
    fn to_exception(&self, _: &str) -> Exception {
        let DhcpError::NotFound { ip } = self;
        let mut exception = Exception::new("", "NotFoundError", self.to_string());
        exception.xstate = json!({ "ip": ip, "trace": "NotFoundError: at lease.js:7" }).into();
        exception
    }

    fn from_exception(exception: &Exception, _: &str) -> Option<Self> {
        #[derive(serde::Deserialize)]
        struct Context {
            ip: String,
        }
        let known = exception.xclass.as_deref() == Some("NotFoundError");
        let context: Context = known.then(|| exception.xstate.decode().ok()).flatten()?;
        Some(DhcpError::NotFound { ip: context.ip })
    }
}

#[derive(Clone, Debug, Default)]
struct Dhcp {
    removed: Arc<AtomicUsize>,
    /// A lookup of `10.0.0.1` waits for this.
    gate: Arc<Notify>,
    done: Arc<Notify>,
}

impl Service for Dhcp {
    fn contract(&self) -> &'static Contract {
        &DHCP
    }

    fn dispatch(&self, call: Invocation) -> BoxFuture<'_, Outcome> {
        respond(async move {
            let mut args = call.arguments()?;
            Ok(match call.index() {
                0 => {
                    let ip: String = args.required("ip")?;
                    args.end()?;
                    if ip == "10.0.0.1" {
                        self.gate.notified().await;
                    }
                    let found = match ip.strip_prefix("10.0.0.") {
                        Some(last) => Ok(format!("08:00:27:52:d2:{last:0>2}")),
                        None => Err(DhcpError::NotFound { ip }),
                    };
                    finish(&call, found)
                }
                1 => {
                    let task: String = args.required("task")?;
                    let count: u32 = args.required("count")?;
                    let note: Option<String> = args.required("note")?;
                    args.end()?;
                    finish(&call, Ok::<_, Infallible>(json!({ "ran": task, "count": count, "note": note })))
                }
                2 => {
                    let _: String = args.required("mac")?;
                    self.removed.fetch_add(1, Ordering::SeqCst);
                    self.done.notify_one();
                    finish(&call, Ok::<_, Infallible>(()))
                }
                _ => finish(&call, Ok::<_, Infallible>(["a list is no object"])),
            })
        })
    }
}

#[derive(Clone, Debug)]
struct DhcpClient(Stub);

impl Client for DhcpClient {
    const CONTRACT: &'static Contract = &DHCP;

    fn from_stub(stub: Stub) -> Self {
        DhcpClient(stub)
    }

    fn stub(&self) -> &Stub {
        &self.0
    }
}

impl DhcpClient {
    fn lookup_ip_lease(&self, ip: &str) -> Call<String, DhcpError> {
        let mut args = ArgumentsWriter::new(&DHCP.methods[0]);
        args.push(ip);
        self.0.call(&DHCP.methods[0], args)
    }

    fn run_task(&self, task: &str, count: u32, note: Option<&str>) -> Call<Value> {
        let mut args = ArgumentsWriter::new(&DHCP.methods[1]);
        args.push(task);
        args.push(&count);
        args.push(&note);
        self.0.call(&DHCP.methods[1], args)
    }

    fn remove_lease(&self, mac: &str) -> Call<(), Exception> {
        let mut args = ArgumentsWriter::new(&DHCP.methods[2]);
        args.push(mac);
        self.0.call(&DHCP.methods[2], args)
    }

    fn leases(&self) -> Call<Value> {
        self.0.call(&DHCP.methods[3], ArgumentsWriter::new(&DHCP.methods[3]))
    }
}

async fn serve(bus: &Memory, dhcp: &Dhcp) -> Endpoint {
    let builder = Endpoint::builder("on-dhcp").bind(ROUTES, bus.clone(), Trust::insecure());
    builder.serve(dhcp.clone()).start().await.unwrap()
}

async fn caller(bus: &Memory) -> (Endpoint, DhcpClient) {
    let endpoint = Endpoint::builder("on-http").bind(ROUTES, bus.clone(), Trust::insecure()).start().await.unwrap();
    let client = endpoint.client("on-dhcp");
    (endpoint, client)
}

/// A peer that is played by hand.
struct Hand {
    bus: Memory,
    requests: Box<dyn Deliveries>,
}

impl Hand {
    async fn at(bus: &Memory, exchange: &'static str, pattern: &'static str) -> Self {
        let source = Source::topic(exchange, pattern);
        let bus = bus.clone();
        let requests = bus.subscribe(Subscription::new(source, Purpose::Requests).acknowledged(false)).await.unwrap();
        Hand { bus, requests }
    }

    async fn next(&mut self) -> Delivery {
        let mut taken = Vec::new();
        assert_eq!(self.requests.recv(&mut taken, 1).await.unwrap(), 1);
        taken.pop().unwrap()
    }

    async fn reply(&self, to: &Delivery, kind: &'static str, body: Value) -> Receipt {
        let address = to.properties.reply_to.clone().expect("somebody waits");
        let to = Destination::Address(Address::from(address));
        self.bus.publish(frame(to, kind, None, &body)).await.unwrap()
    }
}

#[allow(clippy::useless_conversion)]
fn frame(to: Destination, kind: &'static str, reply_to: Option<&'static str>, body: &Value) -> Frame {
    let mut properties = Properties::default();
    properties.kind = Some(kind.into());
    properties.reply_to = reply_to.map(Into::into);
    let mut frame = Frame::new(to, body.to_string());
    frame.properties = properties.into();
    frame
}

fn body(delivery: &Delivery) -> Value {
    serde_json::from_slice(&delivery.payload).unwrap()
}

#[tokio::test(start_paused = true)]
async fn arguments_go_out_by_name_and_results_come_back_typed() {
    let bus = Memory::new();
    let _on_dhcp = serve(&bus, &Dhcp::default()).await;
    let (on_http, dhcp) = caller(&bus).await;
    assert_eq!(dhcp.lookup_ip_lease("10.0.0.9").await.unwrap(), "08:00:27:52:d2:09");
    let ran = dhcp.run_task("4f2f3a1e", 3, Some("ü")).await.unwrap();
    assert_eq!(ran, json!({ "ran": "4f2f3a1e", "count": 3, "note": "ü" }));
    // Without a contract at hand, the arguments are named.
    let class = on_http.peer("on-dhcp").class("dhcp");
    let mac: String = class.call("lookupIpLease", json!({ "ip": "10.0.0.10" })).await.unwrap();
    assert_eq!(mac, "08:00:27:52:d2:10");
    let unnamed = class.call::<String>("lookupIpLease", ["10.0.0.10"]).await.unwrap_err();
    assert!(matches!(&unnamed, CallError::Encode(why) if why.contains("no name")), "{unnamed:?}");
    assert_eq!(on_http.figures()[0].calls_waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_on_the_wire() {
    let bus = Memory::new();
    let mut leases = Hand::at(&bus, "on.dhcp", "methods.*").await;
    let (_on_http, dhcp) = caller(&bus).await;
    let call = tokio::spawn(dhcp.lookup_ip_lease("10.0.0.9").into_future());
    let request = leases.next().await;
    assert_eq!((&*request.exchange, &*request.key), ("on.dhcp", "methods.lookupIpLease"));
    assert_eq!(&request.payload[..], br#"{"value":"10.0.0.9"}"#);
    let properties = &request.properties;
    assert_eq!(properties.kind.as_deref(), Some("IpAddress"));
    assert_eq!(properties.content_type.as_deref(), Some("application/json"));
    assert_eq!(properties.correlation_id, None);
    // A requester takes any type as a result that is not an error.
    assert_eq!(leases.reply(&request, "Whatever", json!({ "value": "aa" })).await, Receipt::Stored);
    assert_eq!(call.await.unwrap().unwrap(), "aa");
}

#[tokio::test(start_paused = true)]
async fn arguments_in_the_key_are_filled_in_and_read_back() {
    let bus = Memory::new();
    let (_on_http, dhcp) = caller(&bus).await;
    let mut tasks = Hand::at(&bus, "on.task", "#").await;
    let call = tokio::spawn(dhcp.run_task("t1", 1, None).into_future());
    let request = tasks.next().await;
    assert_eq!(request.key, "run.t1");
    assert_eq!(body(&request), json!({ "count": 1, "note": null }), "what is in the key is not in the body");
    tasks.reply(&request, "Object", json!({})).await;
    assert_eq!(call.await.unwrap().unwrap(), json!({}));

    // An argument that is not one word of a key does not choose another route.
    for task in ["", "a.b", "*", "#"] {
        let refused = dhcp.run_task(task, 1, None).await.unwrap_err();
        assert!(matches!(refused, CallError::Encode(_)), "{task}: {refused:?}");
    }

    // What a body says about an argument of the key is not believed.
    let _on_dhcp = serve(&bus, &Dhcp::default()).await;
    let mut answers = Answers::at(&bus, "answers").await;
    let answer = answers.to("on.task", "run.t2", "Object", json!({ "task": "t3", "count": 2 })).await;
    assert_eq!(body(&answer), json!({ "ran": "t2", "count": 2, "note": null }));
}

/// Calls by hand.
struct Answers {
    bus: Memory,
    address: &'static str,
    arriving: Box<dyn Deliveries>,
}

impl Answers {
    async fn at(bus: &Memory, address: &'static str) -> Self {
        let bus = bus.clone();
        let source = Source::Address(Address::from(address));
        let arriving = bus.subscribe(Subscription::new(source, Purpose::Replies).acknowledged(false)).await.unwrap();
        Answers { bus, address, arriving }
    }

    async fn to(&mut self, exchange: &'static str, key: &'static str, kind: &'static str, body: Value) -> Delivery {
        let to = Destination::Topic { exchange: exchange.into(), key: key.into() };
        let sent = frame(to, kind, Some(self.address), &body);
        assert_eq!(self.bus.publish(sent).await.unwrap(), Receipt::Stored);
        let mut taken = Vec::new();
        assert_eq!(self.arriving.recv(&mut taken, 1).await.unwrap(), 1);
        taken.pop().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_replies_of_a_type_of_their_own() {
    let bus = Memory::new();
    let _on_dhcp = serve(&bus, &Dhcp::default()).await;
    let (_on_http, dhcp) = caller(&bus).await;
    let failed = dhcp.lookup_ip_lease("192.0.2.1").await.unwrap_err();
    let CallError::Remote(error) = failed else { panic!("{failed:?}") };
    assert_eq!(error, DhcpError::NotFound { ip: "192.0.2.1".into() });

    let mut answers = Answers::at(&bus, "answers").await;
    let answer = answers.to("on.dhcp", "methods.lookupIpLease", "IpAddress", json!({ "value": "192.0.2.1" })).await;
    assert_eq!(answer.properties.kind.as_deref(), Some("ErrorEvent"));
    let said = body(&answer);
    assert_eq!(said["name"], "NotFoundError");
    assert_eq!(said["message"], "no such lease: 192.0.2.1");
    assert_eq!(said["context"], json!({ "ip": "192.0.2.1" }));

    // A wrong type, a wrong body and a wrong argument are refused in the same words.
    for (kind, sent) in [
        ("MacAddress", json!({ "value": "10.0.0.1" })),
        ("IpAddress", json!({ "no": "value" })),
        ("IpAddress", json!({ "value": 7 })),
    ] {
        let answer = answers.to("on.dhcp", "methods.lookupIpLease", kind, sent).await;
        assert_eq!(answer.properties.kind.as_deref(), Some("ErrorEvent"));
        assert_eq!(body(&answer)["name"], "BadRequestError");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_no_contract_claims_arrives_raw() {
    let bus = Memory::new();
    let mut leases = Hand::at(&bus, "on.dhcp", "methods.*").await;
    let (_on_http, dhcp) = caller(&bus).await;
    let call = tokio::spawn(dhcp.lookup_ip_lease("10.0.0.9").into_future());
    let request = leases.next().await;
    let error = json!({ "name": "LookupError", "message": "gone", "stack": "at x.js:1", "context": { "a": 1 }, "status": 500 });
    leases.reply(&request, "ErrorEvent", error).await;
    let failed = call.await.unwrap().unwrap_err();
    let CallError::Exception(exception) = failed else { panic!("{failed:?}") };
    assert_eq!((exception.class(), &*exception.message()), ("LookupError", "gone"));
    assert_eq!(exception.xstate.decode::<Value>().unwrap(), json!({ "a": 1 }));
}

#[tokio::test(start_paused = true)]
async fn a_result_that_cannot_be_said_is_an_exception_and_no_silence() {
    let bus = Memory::with(Options::default().max_payload(700));
    let on_dhcp = serve(&bus, &Dhcp::default()).await;
    let (_on_http, dhcp) = caller(&bus).await;
    let failed = dhcp.leases().await.unwrap_err();
    let CallError::Remote(exception) = failed else { panic!("{failed:?}") };
    assert!(exception.message().contains("is an object"), "{exception}");
    // So is one that is longer than the bus carries.
    let long = dhcp.run_task(&"t".repeat(900), 1, None).await.unwrap_err();
    let CallError::Remote(exception) = long else { panic!("{long:?}") };
    assert!(exception.message().contains("cannot be sent"), "{exception}");
    assert_eq!(on_dhcp.figures()[0].outcomes_unsent, 0);
}

#[tokio::test(start_paused = true)]
async fn two_calls_at_the_same_time_get_their_own_replies() {
    let bus = Memory::new();
    let served = Dhcp::default();
    let _on_dhcp = serve(&bus, &served).await;
    let (on_http, dhcp) = caller(&bus).await;
    let slow = tokio::spawn(dhcp.lookup_ip_lease("10.0.0.1").into_future());
    let quick = dhcp.lookup_ip_lease("10.0.0.2").await.unwrap();
    assert_eq!(quick, "08:00:27:52:d2:02");
    assert_eq!(on_http.figures()[0].calls_waiting, 1);
    served.gate.notify_one();
    assert_eq!(slow.await.unwrap().unwrap(), "08:00:27:52:d2:01");
}

#[tokio::test(start_paused = true)]
async fn each_call_has_an_address_that_nobody_else_has_and_that_goes_with_it() {
    let bus = Memory::new();
    let mut leases = Hand::at(&bus, "on.dhcp", "methods.*").await;
    let (_on_http, dhcp) = caller(&bus).await;
    let first = tokio::spawn(dhcp.lookup_ip_lease("10.0.0.1").into_future());
    let first_request = leases.next().await;
    let second = tokio::spawn(dhcp.lookup_ip_lease("10.0.0.1").into_future());
    let second_request = leases.next().await;
    assert_ne!(first_request.properties.reply_to, second_request.properties.reply_to);
    let address = Address::from(first_request.properties.reply_to.clone().unwrap());
    let eavesdropper = bus.subscribe(Subscription::new(Source::Address(address), Purpose::Replies)).await;
    assert!(eavesdropper.is_err(), "it is exclusive");

    leases.reply(&second_request, "MacAddress", json!({ "value": "second" })).await;
    assert_eq!(second.await.unwrap().unwrap(), "second");
    leases.reply(&first_request, "MacAddress", json!({ "value": "first" })).await;
    assert_eq!(first.await.unwrap().unwrap(), "first");
    // The addresses go with their calls.
    while leases.reply(&first_request, "MacAddress", json!({ "value": "late" })).await != Receipt::NoRoute {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_replies_the_first_counts() {
    let bus = Memory::new();
    let mut leases = Hand::at(&bus, "on.dhcp", "methods.*").await;
    let (on_http, dhcp) = caller(&bus).await;
    let call = tokio::spawn(dhcp.lookup_ip_lease("10.0.0.9").into_future());
    let request = leases.next().await;
    let (first, second) = tokio::join!(
        leases.reply(&request, "MacAddress", json!({ "value": "first" })),
        leases.reply(&request, "MacAddress", json!({ "value": "second" })),
    );
    assert_eq!((first, second), (Receipt::Stored, Receipt::Stored), "both were on their way");
    assert_eq!(call.await.unwrap().unwrap(), "first");
    let figures = on_http.figures()[0];
    assert_eq!((figures.calls_waiting, figures.malformed + figures.orphans), (0, 1), "the other one was dropped and counted");
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_no_agent_at_once() {
    let bus = Memory::new();
    let (on_http, dhcp) = caller(&bus).await;
    let began = tokio::time::Instant::now();
    let nobody = dhcp.lookup_ip_lease("10.0.0.9").await.unwrap_err();
    assert!(matches!(nobody, CallError::NoAgent(_)), "{nobody:?}");
    let nobody = dhcp.remove_lease("aa").notify().await.unwrap_err();
    assert!(matches!(nobody, CallError::NoAgent(_)), "{nobody:?}");
    assert_eq!(tokio::time::Instant::now(), began);
    assert_eq!(on_http.figures()[0].calls_waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn no_reply_is_a_timeout() {
    let bus = Memory::new();
    let mut leases = Hand::at(&bus, "on.dhcp", "methods.*").await;
    let (on_http, dhcp) = caller(&bus).await;
    let silent = dhcp.lookup_ip_lease("10.0.0.9").timeout(Duration::from_secs(1)).await.unwrap_err();
    let CallError::Timeout { phase: Phase::Total, after } = silent else { panic!("{silent:?}") };
    assert_eq!(after, Duration::from_secs(1));
    assert_eq!(on_http.figures()[0].calls_waiting, 0);
    // Too late: the address has gone with the call.
    let request = leases.next().await;
    while leases.reply(&request, "MacAddress", json!({ "value": "late" })).await != Receipt::NoRoute {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_notification_asks_for_no_reply_and_gets_none() {
    let bus = Memory::new();
    let mut leases = Hand::at(&bus, "on.dhcp", "#").await;
    let (_on_http, dhcp) = caller(&bus).await;
    dhcp.remove_lease("aa").notify().await.unwrap();
    let request = leases.next().await;
    assert_eq!(request.properties.reply_to, None);
    assert_eq!(body(&request), json!({ "value": "aa" }));
    drop(leases);

    let served = Dhcp::default();
    let on_dhcp = serve(&bus, &served).await;
    dhcp.remove_lease("aa").notify().await.unwrap();
    served.done.notified().await;
    let unroutable = bus.counters().unroutable;
    assert_eq!(on_dhcp.shutdown(Duration::from_secs(1)).await.unwrap().left_behind, 0);
    assert_eq!(served.removed.load(Ordering::SeqCst), 1);
    assert_eq!((bus.counters().unroutable, on_dhcp.figures()[0].replies_unroutable), (unroutable, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_is_lost_with_the_link_that_its_reply_would_have_come_by() {
    let bus = Memory::new();
    let mut leases = Hand::at(&bus, "on.dhcp", "methods.*").await;
    let seat = Arc::new(bus.clone());
    let builder = Endpoint::builder("on-http").bind(ROUTES, Arc::clone(&seat), Trust::insecure());
    let on_http = builder.start().await.unwrap();
    let dhcp: DhcpClient = on_http.client("on-dhcp");
    let call = tokio::spawn(dhcp.lookup_ip_lease("10.0.0.9").into_future());
    let request = leases.next().await;
    seat.pause(seat.link(), Some(Duration::from_secs(1))).await.unwrap();
    let lost = call.await.unwrap().unwrap_err();
    assert!(matches!(lost, CallError::ReplyLost), "{lost:?}");

    // The next call has an address of its own again; the lost one's is nobody's.
    let next = tokio::spawn(dhcp.lookup_ip_lease("10.0.0.10").into_future());
    let next_request = leases.next().await;
    assert_eq!(body(&next_request), json!({ "value": "10.0.0.10" }));
    leases.reply(&next_request, "MacAddress", json!({ "value": "aa" })).await;
    assert_eq!(next.await.unwrap().unwrap(), "aa");
    while leases.reply(&request, "MacAddress", json!({ "value": "late" })).await != Receipt::NoRoute {
        tokio::task::yield_now().await;
    }
}

/// A bus that never answers who asks for a reply address.
#[derive(Debug)]
struct Unanswering(Memory);

#[async_trait::async_trait]
impl Transport for Unanswering {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        self.0.publish(frame).await
    }

    async fn subscribe(&self, _: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        std::future::pending().await
    }

    fn links(&self) -> Links {
        self.0.links()
    }

    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        self.0.pause(link, resume).await
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.0.close().await
    }
}

#[tokio::test(start_paused = true)]
async fn the_making_of_the_reply_address_is_within_the_calls_time() {
    let bus = Memory::new();
    let builder = Endpoint::builder("on-http").bind(ROUTES, Unanswering(bus.clone()), Trust::insecure());
    let on_http = builder.start().await.unwrap();
    let dhcp: DhcpClient = on_http.client("on-dhcp");
    let call = dhcp.lookup_ip_lease("10.0.0.9").timeout(Duration::from_secs(1));
    let late = tokio::time::timeout(Duration::from_secs(60), call.into_future()).await.expect("the call ends").unwrap_err();
    assert!(matches!(late, CallError::Timeout { phase: Phase::Send, .. }), "{late:?}");
}

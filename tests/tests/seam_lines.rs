//! A dialect with a handshake, serial numbers for each link and replies by the same link, on real endpoints.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::HashMap,
    convert::Infallible,
    future::poll_fn,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use rmi_core::{
    __private::{Call, Invocation, Method, Outcome, Param, Service, Stub, Version, finish, respond},
    Address, CallError, Client, Endpoint, Limits, Trust,
    contract::Contract,
    message::{ArgumentsWriter, Exception},
    service::BoxFuture,
    transport::{LinkChange, Transport},
};
use rmi_tests::{
    lines::{Lines, PING, SILENCE},
    wires::{Dialler, Listener, Raw},
};
use serde_json::{Value, json, value::RawValue};

static TOOL: Contract = Contract::new(
    "tool",
    Version { major: 1, minor: 0 },
    &[
        Method::new("echo", &[Param::new("value", "Value")]),
        Method::new("fail", &[]),
        Method::new("whoami", &[]),
        Method::new("call_back", &[Param::new("name", "String")]).inline(),
    ],
);

/// Serves the same tool at both ends.
#[derive(Clone, Debug, Default)]
struct Tool {
    name: &'static str,
    runs: Arc<AtomicUsize>,
    endpoint: Arc<OnceLock<Endpoint>>,
}

impl Tool {
    fn named(name: &'static str) -> Self {
        Tool { name, ..Tool::default() }
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

impl Service for Tool {
    fn contract(&self) -> &'static Contract {
        &TOOL
    }

    fn dispatch(&self, call: Invocation) -> BoxFuture<'_, Outcome> {
        respond(async move {
            self.runs.fetch_add(1, Ordering::SeqCst);
            let mut args = call.arguments()?;
            Ok(match call.index() {
                0 => {
                    let value: Value = args.required("value")?;
                    finish(&call, Ok::<_, Infallible>(value))
                }
                1 => finish(&call, Err::<(), _>(Exception::new("tool", "Broken", "the tool is broken"))),
                2 => finish(&call, Ok::<_, Infallible>(self.name)),
                _ => {
                    let name: String = args.required("name")?;
                    let endpoint = self.endpoint.get().expect("the endpoint has been started");
                    let answered = tool(endpoint, &name).whoami().await;
                    finish(&call, Ok::<_, Infallible>(answered.map_err(|e| e.to_string())))
                }
            })
        })
    }
}

#[derive(Clone, Debug)]
struct ToolClient(Stub);

impl Client for ToolClient {
    const CONTRACT: &'static Contract = &TOOL;

    fn from_stub(stub: Stub) -> Self {
        ToolClient(stub)
    }

    fn stub(&self) -> &Stub {
        &self.0
    }
}

impl ToolClient {
    fn with<T>(&self, method: usize, arg: &Value) -> Call<T, Exception> {
        let mut args = ArgumentsWriter::new(&TOOL.methods[method]);
        args.push(arg);
        self.0.call(&TOOL.methods[method], args)
    }

    fn without<T>(&self, method: usize) -> Call<T, Exception> {
        self.0.call(&TOOL.methods[method], ArgumentsWriter::new(&TOOL.methods[method]))
    }

    fn echo(&self, value: &Value) -> Call<Value, Exception> {
        self.with(0, value)
    }

    fn fail(&self) -> Call<Value, Exception> {
        self.without(1)
    }

    fn whoami(&self) -> Call<String, Exception> {
        self.without(2)
    }

    fn call_back(&self, name: &str) -> Call<Result<String, String>, Exception> {
        self.with(3, &json!(name))
    }
}

fn tool(endpoint: &Endpoint, at: &str) -> ToolClient {
    endpoint.client(at)
}

async fn manager(listener: &Listener, tool: &Tool) -> Endpoint {
    let endpoint = Endpoint::builder("manager")
        .limits(Limits::default().payload(4096))
        .bind(Lines::server("tool"), listener.clone(), Trust::insecure())
        .serve(tool.clone())
        .start()
        .await
        .unwrap();
    tool.endpoint.set(endpoint.clone()).unwrap();
    endpoint
}

async fn agent(name: &str, transport: impl Transport, tool: &Tool) -> Endpoint {
    Endpoint::builder(Address::from(name))
        .bind(Lines::agent("tool", name, "manager"), transport, Trust::insecure())
        .serve(tool.clone())
        .start()
        .await
        .unwrap()
}

/// Dials by hand and shakes hands.
async fn shaken(listener: &Listener, name: &str) -> Raw {
    let mut raw = listener.dial_raw();
    let answer = ask(&mut raw, json!(0), "handshake", json!({ "id": name })).await;
    assert_eq!(answer, json!({ "id": 0, "version": "v1", "result": {} }));
    raw
}

async fn read(raw: &mut Raw) -> Value {
    serde_json::from_str(&raw.recv().await.expect("the link is up")).unwrap()
}

async fn tell(raw: &Raw, id: Value, method: &str, params: Value) {
    raw.send(&json!({ "id": id, "version": "v1", "method": method, "params": params }).to_string()).await;
}

async fn ask(raw: &mut Raw, id: Value, method: &str, params: Value) -> Value {
    tell(raw, id, method, params).await;
    read(raw).await
}

/// Waits until an endpoint reaches an agent by name: until then nobody is there, and nothing else goes wrong.
async fn until_reached(endpoint: &Endpoint, name: &str) {
    loop {
        match tool(endpoint, name).whoami().await {
            Err(CallError::NoAgent(_)) => tokio::task::yield_now().await,
            reached => return drop(reached.unwrap()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn both_ends_call_each_other_by_name_on_one_link() {
    let listener = Listener::new();
    let (at_manager, at_rex) = (Tool::named("the manager"), Tool::named("rex himself"));
    let manager = manager(&listener, &at_manager).await;
    let rex = agent("rex", listener.dial(), &at_rex).await;

    // The first call of the agent finds its way, and arrives after the handshake.
    assert_eq!(tool(&rex, "manager").whoami().await.unwrap(), "the manager");
    assert_eq!(tool(&manager, "rex").whoami().await.unwrap(), "rex himself");
    let value = json!({ "nested": [1, "ü", null] });
    assert_eq!(tool(&manager, "rex").echo(&value).await.unwrap(), value);
    assert_eq!(tool(&manager, "rex").echo(&Value::Null).await.unwrap(), Value::Null);
    // A call without a contract at hand names its arguments.
    let echoed: Value = manager.peer("rex").class("tool").call("echo", json!({ "value": 7 })).await.unwrap();
    assert_eq!(echoed, 7);
    assert_eq!((at_manager.runs(), at_rex.runs()), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn a_handler_calls_whoever_called_it() {
    let listener = Listener::new();
    let _manager = manager(&listener, &Tool::default()).await;
    let rex = agent("rex", listener.dial(), &Tool::named("rex himself")).await;
    assert_eq!(tool(&rex, "manager").call_back("rex").await.unwrap().unwrap(), "rex himself");
}

#[tokio::test(start_paused = true)]
async fn whoever_shakes_hands_is_known_before_the_next_line_is_handled() {
    let listener = Listener::new();
    let _manager = manager(&listener, &Tool::default()).await;
    let mut raw = listener.dial_raw();
    // In one go: the handler runs where the line was received.
    tell(&raw, json!(0), "handshake", json!({ "id": "max" })).await;
    tell(&raw, json!(1), "call_back", json!({ "name": "max" })).await;
    let said = [read(&mut raw).await, read(&mut raw).await];
    assert!(said.iter().any(|line| line["method"] == "whoami"), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn an_error_arrives_in_the_words_that_the_dialect_has_for_it() {
    let listener = Listener::new();
    let manager = manager(&listener, &Tool::default()).await;
    let _rex = agent("rex", listener.dial(), &Tool::default()).await;
    until_reached(&manager, "rex").await;
    let failed = tool(&manager, "rex").fail().await.unwrap_err();
    let CallError::Remote(exception) = failed else { panic!("{failed:?}") };
    assert_eq!(exception.message(), "the tool is broken");
    assert_eq!(exception.xclass, None, "the dialect has no classes");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_has_no_link_is_no_agent_at_once() {
    let listener = Listener::new();
    let manager = manager(&listener, &Tool::default()).await;
    let began = tokio::time::Instant::now();
    let alone = tool(&manager, "rex").whoami().await.unwrap_err();
    assert!(matches!(&alone, CallError::NoAgent(address) if *address == "rex"), "{alone:?}");

    // Somebody who has not said who they are is nobody, even alone.
    let mut raw = listener.dial_raw();
    tokio::task::yield_now().await;
    let unnamed = tool(&manager, "rex").whoami().await.unwrap_err();
    assert!(matches!(unnamed, CallError::NoAgent(_)), "{unnamed:?}");
    let unnamed = tool(&manager, "rex").whoami().notify().await.unwrap_err();
    assert!(matches!(unnamed, CallError::NoAgent(_)), "{unnamed:?}");

    ask(&mut raw, json!(0), "handshake", json!({ "id": "max" })).await;
    let other = tool(&manager, "rex").whoami().await.unwrap_err();
    assert!(matches!(other, CallError::NoAgent(_)), "{other:?}");
    assert_eq!(tokio::time::Instant::now(), began, "nothing waited");
}

#[tokio::test(start_paused = true)]
async fn a_frame_before_the_handshake_is_not_handled() {
    let listener = Listener::new();
    let at_manager = Tool::named("the manager");
    let _manager = manager(&listener, &at_manager).await;
    let mut raw = listener.dial_raw();
    tell(&raw, json!(1), "whoami", json!({})).await;
    // The first answer is the handshake's: the frame before it got none.
    assert_eq!(ask(&mut raw, json!(2), "handshake", json!({ "id": "rex" })).await["id"], 2);
    assert_eq!(ask(&mut raw, json!(3), "whoami", json!({})).await["result"], "the manager");
    assert_eq!(at_manager.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_raw_id_is_echoed_unchanged() {
    let listener = Listener::new();
    let at_manager = Tool::named("the manager");
    let _manager = manager(&listener, &at_manager).await;
    let mut raw = shaken(&listener, "rex").await;
    let object = r#"{"b": 1, "a": [1.50, "\u00e9"], "big": 123456789012345678901234567890}"#;
    for id in ["7", "\"7\"", "7.0", "true", object] {
        raw.send(&format!(r#"{{"id": {id}, "version": "v1", "method": "whoami", "params": {{}}}}"#)).await;
        let answer = raw.recv().await.unwrap();
        let answer: HashMap<&str, &RawValue> = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["id"].get(), id);
        assert_eq!(answer["result"].get(), "\"the manager\"");
    }
    assert_eq!(at_manager.runs(), 5, "7, \"7\" and 7.0 are three serial numbers");
}

#[tokio::test(start_paused = true)]
async fn a_serial_number_is_good_on_one_link() {
    let listener = Listener::new();
    let at_manager = Tool::default();
    let manager = manager(&listener, &at_manager).await;
    let mut first = shaken(&listener, "rex").await;
    let once = ask(&mut first, json!(1), "echo", json!({ "value": "a" })).await;
    assert_eq!(ask(&mut first, json!(1), "echo", json!({ "value": "a" })).await, once);
    assert_eq!(at_manager.runs(), 1, "the same request on the same link is answered, not run");
    assert_eq!(manager.figures()[0].repeated, 1);
    assert_eq!(ask(&mut first, json!(1), "echo", json!({ "value": "b" })).await["result"], "b");
    assert_eq!(at_manager.runs(), 2, "a number that is used again with other content is another request");

    let mut second = shaken(&listener, "rex").await;
    assert_eq!(ask(&mut second, json!(1), "echo", json!({ "value": "b" })).await["result"], "b");
    assert_eq!(at_manager.runs(), 3, "the same number on a new link is a new request");
}

#[tokio::test(start_paused = true)]
async fn a_dialler_comes_back_shakes_hands_again_and_serves_an_old_number_anew() {
    let (dialler, mut accepting) = Dialler::by_hand();
    let mut served = accepting.recv().await.unwrap();
    let at_rex = Tool::named("rex");
    let _rex = agent("rex", dialler.clone(), &at_rex).await;
    let before = read(&mut served).await;
    assert_eq!((&before["method"], &before["params"]), (&json!("handshake"), &json!({ "id": "rex" })));
    assert_eq!(ask(&mut served, json!(1), "whoami", json!({})).await["result"], "rex");
    assert_eq!(ask(&mut served, json!(1), "whoami", json!({})).await["result"], "rex");
    assert_eq!(at_rex.runs(), 1);

    let mut links = dialler.links();
    let Some(LinkChange::Up(first)) = links.next().await else { panic!("no link") };
    dialler.pause(first.id, Some(Duration::from_secs(5))).await.unwrap();
    assert!(matches!(links.next().await, Some(LinkChange::Down(id, _)) if id == first.id));
    assert_eq!(served.recv().await, None);
    let Some(LinkChange::Up(second)) = links.next().await else { panic!("not back") };
    assert_eq!(second.generation, first.generation + 1);

    let mut served = accepting.recv().await.unwrap();
    assert_eq!(read(&mut served).await["method"], "handshake");
    assert_eq!(ask(&mut served, json!(1), "whoami", json!({})).await["result"], "rex");
    assert_eq!(at_rex.runs(), 2, "what was answered on the old link is not what is asked on the new one");
}

#[tokio::test(start_paused = true)]
async fn no_call_overtakes_the_handshake() {
    /// Gives way to what is ready, and to nothing else.
    async fn next_turn() {
        let mut turned = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut turned, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
    let (dialler, mut accepting) = Dialler::by_hand();
    let rex = agent("rex", dialler.clone(), &Tool::named("rex")).await;
    let mut links = dialler.links();
    let Some(LinkChange::Up(link)) = links.next().await else { panic!("no link") };
    dialler.pause(link.id, Some(Duration::ZERO)).await.unwrap();
    let calling = tokio::spawn(async move {
        // Again and again, so that one comes at every moment while the new link comes up.
        while let Err(CallError::NoAgent(_) | CallError::Transport(_)) = tool(&rex, "manager").whoami().notify().await {
            next_turn().await;
        }
    });
    let _first = accepting.recv().await.unwrap();
    let mut second = accepting.recv().await.unwrap();
    assert_eq!(read(&mut second).await["method"], "handshake");
    assert_eq!(read(&mut second).await["method"], "whoami");
    calling.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn both_directions_work_after_a_pause() {
    let listener = Listener::new();
    let dialler = listener.dial();
    let manager = manager(&listener, &Tool::named("the manager")).await;
    let rex = agent("rex", dialler.clone(), &Tool::named("rex")).await;
    assert_eq!(tool(&rex, "manager").whoami().await.unwrap(), "the manager");
    let mut links = dialler.links();
    let Some(LinkChange::Up(link)) = links.next().await else { panic!("no link") };
    dialler.pause(link.id, Some(Duration::from_secs(5))).await.unwrap();
    let away = tool(&rex, "manager").whoami().await.unwrap_err();
    assert!(matches!(away, CallError::Transport(_) | CallError::NoAgent(_)), "{away:?}");
    while !matches!(links.next().await, Some(LinkChange::Up(_))) {}
    until_reached(&rex, "manager").await;
    assert_eq!(tool(&rex, "manager").call_back("rex").await.unwrap().unwrap(), "rex");
    assert_eq!(tool(&manager, "rex").whoami().await.unwrap(), "rex");
}

#[tokio::test(start_paused = true)]
async fn calls_on_a_lost_link_end_and_those_on_another_go_on() {
    let listener = Listener::new();
    let manager = manager(&listener, &Tool::default()).await;
    let (mut rex, mut max) = (shaken(&listener, "rex").await, shaken(&listener, "max").await);
    let lost = tool(&manager, "rex").whoami().send().await.unwrap();
    let kept = tool(&manager, "max").whoami().send().await.unwrap();
    let (_, request) = (read(&mut rex).await, read(&mut max).await);
    drop(rex);
    let lost = lost.await.unwrap_err();
    assert!(matches!(lost, CallError::ReplyLost) && lost.is_ambiguous(), "{lost:?}");
    max.send(&json!({ "id": request["id"], "version": "v1", "result": "max" }).to_string()).await;
    assert_eq!(kept.await.unwrap(), "max");
    assert_eq!(manager.figures()[0].calls_waiting, 0);
    let gone = tool(&manager, "rex").whoami().await.unwrap_err();
    assert!(matches!(gone, CallError::NoAgent(_)), "{gone:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_its_link_while_it_is_still_being_sent() {
    let listener = Listener::new();
    let manager = manager(&listener, &Tool::default()).await;
    let mut raw = shaken(&listener, "rex").await;
    // More than the link has room for: the last ones wait to be sent.
    let calls: Vec<_> = (0..100).map(|_| tokio::spawn(tool(&manager, "rex").whoami().into_future())).collect();
    read(&mut raw).await;
    drop(raw);
    for call in calls {
        let ended = call.await.unwrap().unwrap_err();
        assert!(matches!(ended, CallError::ReplyLost | CallError::Transport(_) | CallError::NoAgent(_)), "{ended:?}");
    }
    assert_eq!(manager.figures()[0].calls_waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_reply_by_another_link_than_the_request_took_is_dropped() {
    let listener = Listener::new();
    let manager = manager(&listener, &Tool::default()).await;
    let (mut rex, mut eve) = (shaken(&listener, "rex").await, shaken(&listener, "eve").await);
    let call = tool(&manager, "rex").whoami().send().await.unwrap();
    let id = read(&mut rex).await["id"].clone();
    eve.send(&json!({ "id": id, "version": "v1", "result": "eve" }).to_string()).await;
    // Answered after what came before it.
    ask(&mut eve, json!(1), "whoami", json!({})).await;
    assert_eq!(manager.figures()[0].orphans, 1);
    rex.send(&json!({ "id": id, "version": "v1", "result": "rex" }).to_string()).await;
    assert_eq!(call.await.unwrap(), "rex");
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_without_reaching_the_decoder() {
    let listener = Listener::new();
    let at_manager = Tool::default();
    let manager = manager(&listener, &at_manager).await;
    let mut raw = shaken(&listener, "rex").await;
    let answer = ask(&mut raw, json!("p"), "ping", json!([1])).await;
    assert_eq!(answer, json!({ "id": "p", "version": "v1", "result": [1] }));
    let figures = manager.figures()[0];
    assert_eq!((at_manager.runs(), figures.malformed, figures.rejected, figures.remembered), (0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_too_long_is_refused_before_the_session_reads_it() {
    let listener = Listener::new();
    let manager = manager(&listener, &Tool::default()).await;
    let mut raw = shaken(&listener, "rex").await;
    tell(&raw, json!(1), "ping", json!({ "x": "x".repeat(5000) })).await;
    assert_eq!(ask(&mut raw, json!(2), "ping", json!({})).await["id"], 2);
    assert_eq!(manager.figures()[0].malformed, 1);
}

#[tokio::test(start_paused = true)]
async fn silence_closes_the_link_and_a_line_puts_that_off() {
    let listener = Listener::new();
    let manager = manager(&listener, &Tool::default()).await;
    let mut raw = shaken(&listener, "rex").await;
    let call = tool(&manager, "rex").whoami().timeout(10 * SILENCE).send().await.unwrap();
    read(&mut raw).await;
    tokio::time::advance(SILENCE.checked_sub(Duration::from_secs(1)).unwrap()).await;
    ask(&mut raw, json!("p"), "ping", json!({})).await;
    let heard = tokio::time::Instant::now();
    assert_eq!(raw.recv().await, None, "the link is closed");
    assert!(heard.elapsed() >= SILENCE && heard.elapsed() < SILENCE + PING, "{:?}", heard.elapsed());
    let lost = call.await.unwrap_err();
    assert!(matches!(lost, CallError::ReplyLost), "{lost:?}");
}

#[tokio::test(start_paused = true)]
async fn pings_keep_a_link_that_nobody_calls_on() {
    let listener = Listener::new();
    let manager = manager(&listener, &Tool::default()).await;
    let rex = agent("rex", listener.dial(), &Tool::named("rex")).await;
    tokio::time::sleep(10 * SILENCE).await;
    assert_eq!(tool(&manager, "rex").whoami().await.unwrap(), "rex");
    let orphans = (rex.figures()[0].orphans, manager.figures()[0].orphans);
    assert_eq!(orphans, (0, 0), "the answers to pings are the sessions' own");
}

#[tokio::test(start_paused = true)]
async fn a_fatal_error_closes_the_link_and_is_not_answered() {
    let listener = Listener::new();
    let manager = manager(&listener, &Tool::default()).await;
    let mut raw = shaken(&listener, "rex").await;
    raw.send(r#"{"fatal_error": "unknown message version", "id": 1, "version": "v1", "method": "whoami"}"#).await;
    assert_eq!(raw.recv().await, None);
    assert_eq!(manager.figures()[0].remembered, 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_gets_a_fatal_error_before_the_link_is_closed() {
    let listener = Listener::new();
    let _manager = manager(&listener, &Tool::default()).await;
    let mut raw = shaken(&listener, "rex").await;
    raw.send("[1, 2]").await;
    assert_eq!(read(&mut raw).await, json!({ "fatal_error": "protocol error: unable to decode message." }));
    assert_eq!(raw.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn what_the_decoder_refuses_with_a_close_closes_the_link() {
    let listener = Listener::new();
    let _manager = manager(&listener, &Tool::default()).await;
    let mut raw = shaken(&listener, "rex").await;
    // Good enough for the session, and a serial number that is too long for anybody.
    let began = tokio::time::Instant::now();
    tell(&raw, json!("i".repeat(300)), "whoami", json!({})).await;
    assert_eq!(raw.recv().await, None);
    assert_eq!(tokio::time::Instant::now(), began, "it was not silence that closed it");
}

#[tokio::test(start_paused = true)]
async fn a_fatal_error_of_the_endpoints_own_closes_the_link_after_it() {
    let listener = Listener::new();
    let _manager = manager(&listener, &Tool::default()).await;
    let mut raw = shaken(&listener, "rex").await;
    // The endpoint rejects it, the dialect writes that as fatal, and the session hears what was sent.
    assert_eq!(ask(&mut raw, json!(1), "no.such", json!({})).await, json!({ "fatal_error": "unknown message method" }));
    assert_eq!(raw.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_whose_link_is_gone_is_given_up() {
    let listener = Listener::new();
    let at_manager = Tool::default();
    let manager = manager(&listener, &at_manager).await;
    let mut raw = shaken(&listener, "rex").await;
    tell(&raw, json!(1), "call_back", json!({ "name": "rex" })).await;
    assert_eq!(read(&mut raw).await["method"], "whoami");
    let began = tokio::time::Instant::now();
    // The handler's call ends with the link, and what the handler returns has nobody to go to.
    drop(raw);
    while manager.running() > 0 {
        tokio::task::yield_now().await;
    }
    let figures = manager.figures()[0];
    assert_eq!((at_manager.runs(), figures.replies_unroutable, figures.outcomes_unsent), (1, 1, 0));
    assert_eq!(tokio::time::Instant::now(), began, "it was not tried again and again");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_leaves_says_so_on_every_link() {
    let listener = Listener::new();
    let manager = manager(&listener, &Tool::default()).await;
    let (mut rex, mut max) = (shaken(&listener, "rex").await, shaken(&listener, "max").await);
    assert_eq!(manager.shutdown(Duration::from_secs(1)).await.unwrap().left_behind, 0);
    for raw in [&mut rex, &mut max] {
        assert_eq!(read(raw).await, json!({ "fatal_error": "service being shutdown" }));
        assert_eq!(raw.recv().await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_does_not_read_holds_up_no_other_and_is_closed() {
    let listener = Listener::new();
    let manager = manager(&listener, &Tool::default()).await;
    let deaf = shaken(&listener, "deaf").await;
    let mut rex = shaken(&listener, "rex").await;
    // More pings than the link and what waits for it have room for: their answers are never taken.
    let mut id = 0;
    while !deaf.is_closed() {
        id += 1;
        assert!(id < 1000, "the deaf link was not closed");
        tell(&deaf, json!(id), "ping", json!({})).await;
        assert_eq!(ask(&mut rex, json!(id), "ping", json!({})).await["id"], id);
    }
    assert!(id > 100, "{id}: it was given up too early");
    assert_eq!(ask(&mut rex, json!("last"), "ping", json!({})).await["id"], "last");
    let gone = tool(&manager, "deaf").whoami().await.unwrap_err();
    assert!(matches!(gone, CallError::NoAgent(_)), "{gone:?}");
}

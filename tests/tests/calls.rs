//! The kennel, called in every way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{convert::Infallible, time::Duration};

use kennel::{
    Chance, CowboyArgs, CowboyClient, CowboyServer, DogArgs, DogClient, DogError, DogModuleClient, DogModuleServer, DogServer,
    Module, Ranch,
};
use rmi_core::{
    CallError, Client, Endpoint, Json, Native, Update,
    call::Callback,
    error::{Fate, Phase},
    message::{Exception, Progress, Rejection, RejectionCode},
    remote, trace,
    transport::TransportErrorKind,
};
use rmi_tests::{
    probe::ProbeClient,
    raw::Raw,
    soon::soon,
    tap::{Event, Tap},
    world::World,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const BARKED: &str = "Yes master.  I will bark because that is what dogs do. \"hello\"";

async fn kennel(world: &World) -> (Endpoint, Tap) {
    let tap = Tap::on(&world.bus);
    let endpoint = world
        .builder("dog", &tap)
        .serve(DogServer::per_call(|me: DogArgs| Ok::<_, Infallible>(Chance::new(me, Default::default()))))
        .serve(CowboyServer::per_call(|he: CowboyArgs| Ok::<_, Infallible>(Ranch(he))))
        .serve(DogModuleServer::new(Module))
        .start()
        .await
        .unwrap();
    (endpoint, tap)
}

/// A kennel and a caller who trust each other.
async fn pair() -> (World, Endpoint, Endpoint) {
    let world = World::sealed();
    let (agent, _) = kennel(&world).await;
    let caller = world.caller("walker").await.endpoint;
    (world, agent, caller)
}

fn rejected<T: std::fmt::Debug, E: std::fmt::Debug>(answer: Result<T, CallError<E>>) -> Rejection {
    match answer {
        Err(CallError::Rejected(rejection)) => rejection,
        other => panic!("{other:?}"),
    }
}

fn raised<T: std::fmt::Debug>(answer: Result<T, CallError<Exception>>) -> Exception {
    match answer {
        Err(CallError::Remote(exception)) => exception,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_method_by_its_client() {
    let (_world, _agent, caller) = pair().await;
    let dog: DogClient = caller.client("dog");
    assert_eq!(dog.bark("hello").await.unwrap(), BARKED);
    assert_eq!(dog.bark_times("ruf", 3).await.unwrap(), "ruf ruf ruf");
    assert_eq!(dog.who().await.unwrap(), DogArgs { name: "chance".to_owned(), age: 1 });
    assert!(matches!(dog.sit().await, Err(CallError::Remote(DogError::Value(words, 42))) if words == "I do not sit"));
    assert!(matches!(dog.key_error("color").await, Err(CallError::Remote(DogError::Key(key))) if key == "color"));
    assert!(matches!(dog.my_error().await, Err(CallError::Remote(DogError::MyError { b: 23 }))));
    assert_eq!(dog.wag(3, 0.01).await.unwrap(), "wagged 3");
    dog.nap(0.01).await.unwrap();
    assert_eq!(dog.cancellable(0.01).await.unwrap(), "finished");
    assert_eq!(dog.big(1000).await.unwrap(), "x".repeat(1000));
    assert!(matches!(dog.big(usize::MAX >> 1).await, Err(CallError::Remote(DogError::Value(..)))));

    let cowboy: CowboyClient = caller.client("dog");
    let roy = cowboy.with_cntr(&json!({"name": "Roy"})).unwrap();
    assert_eq!(roy.howdy().await.unwrap(), "Howdy, name=Roy; age=0");
    let module: DogModuleClient = caller.client("dog");
    let anything = Json::parse(r#"{"big": 123456789012345678901234567890, "a": [1.0, null]}"#).unwrap();
    assert_eq!(module.echo(anything.clone()).await.unwrap().as_str(), anything.as_str(), "every digit of it");
}

#[tokio::test(start_paused = true)]
async fn every_method_without_a_contract() {
    let (_world, _agent, caller) = pair().await;
    let peer = caller.peer("dog");
    let dog = peer.class("Dog");
    let cases = [
        ("bark", json!(["hello"]), json!(BARKED)),
        ("bark", json!({"words": "hello"}), json!(BARKED)),
        ("bark_times", json!(["ruf", 2]), json!("ruf ruf")),
        ("bark_times", json!({"times": 2, "words": "ruf"}), json!("ruf ruf")),
        ("bark_times", json!(["ruf"]), json!("ruf")),
        ("who", json!([]), json!({"name": "chance", "age": 1})),
        ("who", json!(null), json!({"name": "chance", "age": 1})),
        ("wag", json!([2, 0.0]), json!("wagged 2")),
        ("wag", json!({"n": 2}), json!("wagged 2")),
        ("nap", json!([0]), json!(null)),
        ("cancellable", json!([0.0]), json!("finished")),
        ("big", json!([3]), json!("xxx")),
    ];
    for (method, args, expected) in cases {
        assert_eq!(dog.call::<Value>(method, &args).await.unwrap(), expected, "{method}({args})");
    }
    assert_eq!(dog.call_with::<String>("bark_times", ["ruf"], json!({"times": 2})).await.unwrap(), "ruf ruf");
    for (method, args, module, class, xargs) in [
        ("sit", json!([]), "builtins", "ValueError", json!(["I do not sit", 42])),
        ("key_error", json!(["color"]), "builtins", "KeyError", json!(["color"])),
        ("my_error", json!([]), "rmi.Dog", "DogError.MyError", json!(["This is myerror."])),
    ] {
        let exception = raised(dog.call::<Value>(method, &args).await);
        assert!(exception.is(module, class), "{exception:?}");
        assert_eq!(exception.xargs.decode::<Value>().unwrap(), xargs);
        let state: Value = exception.xstate.decode().unwrap();
        assert_eq!(state["trace"].as_str().unwrap(), exception.exval.as_str());
        assert_eq!(state["b"], if method == "my_error" { json!(23) } else { Value::Null });
    }
    let roy = peer.class("Cowboy").with_cntr(&json!({"name": "Roy", "age": 7})).unwrap();
    assert_eq!(roy.call::<String>("howdy", ()).await.unwrap(), "Howdy, name=Roy; age=7");
    let roy = peer.class("Cowboy").with_cntr(&("Roy", 8)).unwrap();
    assert_eq!(roy.call::<String>("howdy", ()).await.unwrap(), "Howdy, name=Roy; age=8");
    assert!(peer.class("Cowboy").with_cntr("Roy").is_err());
    assert_eq!(peer.class("dog").call::<Value>("echo", [json!({"a": [1]})]).await.unwrap(), json!({"a": [1]}));
    let admin = peer.class("Admin");
    assert_eq!(admin.call::<String>("hello", ()).await.unwrap(), "Hello, I am dog");
    assert_eq!(admin.call::<Value>("echo", [json!([7])]).await.unwrap(), json!([7]));
    assert!(raised(admin.call::<Value>("cancel", ["nothing"]).await).message().contains("not-found"));
    // A single value is neither a list of arguments nor names for them.
    assert!(matches!(dog.call::<Value>("bark", "hello").await, Err(CallError::Encode(_))));
}

#[tokio::test(start_paused = true)]
async fn instances_are_made_from_constructor_arguments() {
    let (world, _agent, caller) = pair().await;
    let dog: DogClient = caller.client("dog");
    let rex = DogArgs { name: "rex".to_owned(), age: 3 };
    assert_eq!(dog.with_cntr(&rex).unwrap().who().await.unwrap(), rex);
    assert_eq!(dog.with_cntr(&json!({"age": 9})).unwrap().who().await.unwrap().name, "chance");
    assert_eq!(dog.who().await.unwrap().age, 1, "the client itself is as it was");
    // By position, by name, both, and neither, as peers write them.
    let mut replies = world.mailbox("box").await;
    let cases = [
        (json!(null), Ok(json!({"name": "chance", "age": 1}))),
        (json!([[], {}]), Ok(json!({"name": "chance", "age": 1}))),
        (json!([["rover"], {}]), Ok(json!({"name": "rover", "age": 1}))),
        (json!([["rover", 10], {}]), Ok(json!({"name": "rover", "age": 10}))),
        (json!([["rover"], {"age": 10}]), Ok(json!({"name": "rover", "age": 10}))),
        (json!([[], {"age": 10, "name": "rover"}]), Ok(json!({"name": "rover", "age": 10}))),
        (json!([["rover", 10, "more"], {}]), Err("request.arguments")),
        (json!([["rover"], {"name": "rex"}]), Err("request.arguments")),
        (json!([[7], {}]), Err("request.arguments")),
    ];
    for (sn, (cntr, expected)) in cases.into_iter().enumerate() {
        let mut request = Raw::request("dog", "who", json!([])).sn(&sn.to_string()).reply_to("box").wants(&[]);
        request.0["request"]["classname"] = "Dog".into();
        request.0["request"]["cntr"] = cntr.clone();
        world.post(&request.sent(rmi_core::time::Clock::now(&world.clock))).await;
        let outcome = replies.next().await;
        match expected {
            Ok(value) => assert_eq!(outcome["result"]["retval"], value, "{cntr}"),
            Err(code) => assert_eq!(outcome["code"], code, "{cntr}: {outcome}"),
        }
    }
    // A cowboy has no default name; the module is one instance for all.
    let nameless: CowboyClient = caller.client("dog");
    assert_eq!(rejected(nameless.howdy().await).code, RejectionCode::Arguments);
    let module: DogModuleClient = caller.client("dog");
    let module = module.with_cntr(&json!({"name": "x"})).unwrap();
    assert_eq!(rejected(module.echo(Json::NULL).await).code, RejectionCode::Arguments);
}

#[tokio::test(start_paused = true)]
async fn keyword_arguments_come_in_two_keys() {
    let (world, _agent, _caller) = pair().await;
    let mut replies = world.mailbox("box").await;
    let cases = [
        (json!({"kws": {"times": 2}}), "ruf ruf"),
        (json!({"kws": {}, "kwargs": {"times": 2}}), "ruf ruf"),
        (json!({"kwargs": {"times": 2}}), "ruf ruf"),
        (json!({"kws": {"times": 2}, "kwargs": {"times": 2}}), "ruf ruf"),
        (json!({"kws": {"times": 2}, "kwargs": {}}), "ruf ruf"),
        (json!({}), "ruf"),
    ];
    for (sn, (keys, expected)) in cases.into_iter().enumerate() {
        let mut request = Raw::request("dog", "bark_times", json!(["ruf"])).sn(&sn.to_string()).reply_to("box").wants(&[]);
        let invocation = request.0["request"].as_object_mut().unwrap();
        invocation.remove("kws");
        invocation.insert("classname".to_owned(), "Dog".into());
        invocation.extend(keys.as_object().unwrap().clone());
        world.post(&request.sent(rmi_core::time::Clock::now(&world.clock))).await;
        assert_eq!(replies.next().await["result"]["retval"], expected, "{keys}");
    }
    // For agents that read only the second, ours writes both.
    let tap = Tap::on(&world.bus);
    let native = Native::default().repeat_keywords();
    let builder = Endpoint::builder("repeater").bind(native, tap.clone(), world.trust("repeater"));
    let repeater = builder.clock(world.clock.clone()).start().await.unwrap();
    let dog = repeater.peer("dog").class("Dog");
    assert_eq!(dog.call_with::<String>("bark_times", ["ruf"], json!({"times": 2})).await.unwrap(), "ruf ruf");
    let request = &tap.published()[0]["request"];
    assert_eq!((&request["kws"], &request["kwargs"]), (&json!({"times": 2}), &json!({"times": 2})));
}

/// A dog, as somebody sees it who knows of none of its errors.
#[remote(name = "Dog", server = false)]
pub trait TameDog {
    /// Does not.
    async fn sit(&self) -> Result<(), Infallible>;
    /// Raises an error of its own.
    async fn my_error(&self) -> Result<(), Infallible>;
    /// Says who it is, in too few words.
    async fn who(&self) -> Result<u32, Infallible>;
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_does_not_expect_is_told_as_it_is() {
    let (_world, _agent, caller) = pair().await;
    let dog: TameDogClient = caller.client("dog");
    let Err(CallError::Exception(value)) = dog.sit().await else { panic!("it is raw") };
    assert!(value.is("builtins", "ValueError"));
    assert_eq!(value.xargs.as_str(), r#"["I do not sit",42]"#);
    let Err(CallError::Exception(own)) = dog.my_error().await else { panic!("it is raw") };
    assert_eq!(own.xstate.decode::<Value>().unwrap()["b"], 23);
    let error = dog.who().await.unwrap_err();
    assert_eq!(error.fate(), Fate::Ran);
    assert!(matches!(error, CallError::Decode(_)), "{error:?}");
}

/// Writes down what it is told.
struct Diary(mpsc::UnboundedSender<String>);

impl Diary {
    fn note(&self, what: impl Into<String>) {
        self.0.send(what.into()).unwrap();
    }
}

impl<E: std::fmt::Display + Send + 'static> Callback<String, E, String> for Diary {
    fn accepted(&mut self) {
        self.note("accepted");
    }
    fn started(&mut self) {
        self.note("started");
    }
    fn progress(&mut self, step: Progress<String>) {
        self.note(format!("{}/{} {}", step.completed, step.total, step.details));
    }
    fn succeeded(&mut self, value: String) {
        self.note(value);
    }
    fn rejected(&mut self, rejection: Rejection) {
        self.note(rejection.code.as_str());
    }
    fn failed(&mut self, error: CallError<E>) {
        self.note(error.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn callbacks_hear_everything_in_order() {
    let (_world, _agent, caller) = pair().await;
    let dog: DogClient = caller.client("dog");
    let wagged = ["accepted", "started", "1/2 for: 0", "2/2 for: 1", "wagged 2"];

    let (notes, mut diary) = mpsc::unbounded_channel();
    dog.wag(2, 0.01).send().await.unwrap().attach(Diary(notes)).await;
    let mut heard = Vec::new();
    while let Some(note) = diary.recv().await {
        heard.push(note);
    }
    assert_eq!(heard, wagged);

    // A closure is one as well. Dropped, it works on.
    let (notes, mut diary) = mpsc::unbounded_channel();
    let closure = move |update: Result<Update<String, String>, CallError<Infallible>>| {
        let _ = notes.send(match update {
            Ok(Update::Accepted) => "accepted".to_owned(),
            Ok(Update::Started) => "started".to_owned(),
            Ok(Update::Progress(step)) => format!("{}/{} {}", step.completed, step.total, step.details),
            Ok(Update::Done(value)) => value,
            Err(error) => error.to_string(),
        });
    };
    drop(dog.wag(2, 0.01).send().await.unwrap().attach(closure));
    for expected in wagged {
        assert_eq!(soon("the closure hears", diary.recv()).await.unwrap(), expected);
    }

    // The last that it hears when there is no result.
    let (notes, mut diary) = mpsc::unbounded_channel();
    let nobody = caller.peer("dog").class("Dog").call::<String>("fly", ());
    let nobody = nobody.send().await.unwrap();
    nobody.attach(move |update: Result<Update<String>, CallError<Exception>>| notes.send(update.is_err()).unwrap()).await;
    assert_eq!((diary.recv().await, diary.recv().await), (Some(true), None));
    let (notes, mut diary) = mpsc::unbounded_channel();
    dog.wag(2, 5.0).timeout(Duration::from_secs(1)).send().await.unwrap().attach(Diary(notes)).await;
    let mut last = None;
    while let Some(note) = diary.recv().await {
        last = Some(note);
    }
    assert_eq!(last.unwrap(), "timed out after 1s waiting for the outcome");
}

#[tokio::test(start_paused = true)]
async fn progress_has_its_numbers_and_details() {
    let (_world, _agent, caller) = pair().await;
    let dog: DogClient = caller.client("dog");
    let mut wagging = dog.wag(5, 0.5).idle(Duration::from_secs(1)).send().await.unwrap();
    let mut steps = Vec::new();
    while let Some(update) = wagging.next().await {
        if let Update::Progress(step) = update.unwrap() {
            steps.push((step.total, step.completed, step.details));
        }
    }
    assert!(!wagging.is_open());
    let expected: Vec<_> = (0..5).map(|i| (5, i + 1, format!("for: {i}"))).collect();
    assert_eq!(steps, expected);
}

#[tokio::test(start_paused = true)]
async fn every_verb_of_a_call() {
    let (_world, _agent, caller) = pair().await;
    let dog: DogClient = caller.client("dog");
    // The serial number first, the call later: by each of the other verbs.
    let later = dog.bark("hello").prepare();
    let sn = later.sn();
    let pending = later.trigger().send().await.unwrap();
    assert_eq!(pending.sn(), &sn);
    assert_eq!(pending.await.unwrap(), BARKED);
    let later = dog.bark("hello").prepare();
    let sn = later.sn();
    assert_eq!(later.trigger().notify().await.unwrap(), sn);
    assert_eq!(dog.bark("hello").prepare().trigger().await.unwrap(), BARKED);

    // Somebody else gets the reply, with the caller's data.
    let mut replies = caller.replies("walker.log").await.unwrap();
    let sn = dog.bark("hello").data(json!({"job": 7})).reply_to("walker.log").send().await.unwrap();
    let reply = soon("the reply", replies.next()).await.unwrap();
    assert_eq!((reply.sn, reply.principal.to_string()), (Some(sn), "key:dog".to_owned()));
    assert_eq!(reply.data.unwrap().as_str(), r#"{"job":7}"#);
    assert_eq!(reply.body.decode::<String, Infallible>().unwrap().unwrap(), BARKED);
    let sn = dog.my_error().reply_to("walker.log").send().await.unwrap();
    let reply = soon("the reply", replies.next()).await.unwrap();
    assert_eq!(reply.sn, Some(sn));
    assert!(matches!(reply.body.decode::<(), DogError>(), Some(Err(CallError::Remote(DogError::MyError { b: 23 })))));

    // Cancelled while it runs.
    let mut napping = dog.cancellable(60.0).send().await.unwrap();
    while !matches!(napping.next().await.unwrap().unwrap(), Update::Started) {}
    assert!(napping.cancel().await.unwrap());
    assert_eq!(napping.await.unwrap(), "cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_trace_is_carried_over_two_hops() {
    for world in World::both() {
        let (_first, _second) = (world.agent("agent").await, world.agent("further").await);
        let caller = world.caller("caller").await;
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let scope = trace::TraceParent::parse(&parent.into()).unwrap();
        let traces = trace::scope(scope.clone(), caller.probe().traces(Some("further".to_owned())).into_future());
        let [first, second] = traces.await.unwrap().try_into().unwrap();
        let [first, second] = [first, second].map(|text| trace::TraceParent::parse(&text.into()).unwrap());
        for hop in [&first, &second] {
            assert_eq!(hop.trace_id(), scope.trace_id());
            assert!(hop.text().ends_with("-01"), "the flags too");
        }
        // Each hop is a span of its own.
        let mut spans = [scope.text(), first.text(), second.text()].map(|text| text[36..52].to_owned());
        spans.sort_unstable();
        assert!(spans[0] != spans[1] && spans[1] != spans[2], "{spans:?}");
        // Without one there is none.
        assert_eq!(caller.probe().traces(Some("further".to_owned())).await.unwrap(), ["", ""]);
    }
}

#[tokio::test(start_paused = true)]
async fn endpoints_may_be_dropped() {
    let world = World::sealed();
    let (agent, tap) = kennel(&world).await;
    let caller = world.caller("walker").await;
    let dog: DogClient = caller.endpoint.client("dog");
    assert_eq!(dog.bark("hello").await.unwrap(), BARKED);
    drop(agent);
    tap.until(2, "the kennel has left the bus", |event| *event == Event::Left).await;
    // Its address outlives it: what is sent there waits for the next kennel.
    let waiting = dog.bark("hello").send().await.unwrap();
    match dog.bark("hello").timeout(Duration::from_secs(1)).ttl(Duration::from_secs(1)).await {
        Err(CallError::Timeout { phase: Phase::Total, .. }) => {}
        other => panic!("{other:?}"),
    }
    let (_agent, _) = kennel(&world).await;
    assert_eq!(waiting.await.unwrap(), BARKED);

    drop(caller.endpoint);
    match dog.bark("hello").await {
        Err(CallError::Transport(error)) => assert_eq!(error.kind, TransportErrorKind::Closed),
        other => panic!("{other:?}"),
    }
    let other = world.caller("walker").await;
    let probe: ProbeClient = other.endpoint.client("nobody");
    assert!(matches!(probe.echo("x").await, Err(CallError::NoAgent(_))));
}

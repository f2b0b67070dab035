//! The contracts of RackHD's services, called and served in its words, and in others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rackhd_api::{
    Cancelled, Command, Commands, ConfigurationClient, DhcpClient, DhcpServer, ErrorEvent, Executed, GraphFilter, GraphId,
    MacAddress, Machine, NodeId, Object, PollerCacheOptions, SchedulerClient, Task, TaskClient, TaskGraphRunnerClient, TaskId,
    TaskServer, WorkItemId,
};
use rmi_amqp::rackhd::{Profile, RackHd, ReplyTypes, Silence};
use rmi_core::{
    CallError, Endpoint, Native, Trust,
    error::Phase,
    layer::{Incoming, Layer},
    message::{Rejection, RejectionCode},
    transport::Delivery,
};
use rmi_tests::{
    on_core::{Bus, Hand, Leases, Sent, World, body, table, topic},
    soon::soon,
};
use serde_json::{Value, json};

rmi_tests::on_every_bus! {
    one_service_is_called_in_rackhds_words_and_by_the_envelope
    workflows_are_run_by_calls_that_look_like_rackhds
    tasks_are_told_and_asked_by_keys_with_parameters
    schedules_and_configuration_are_written_as_their_generation_did
    parameters_of_keys_come_back_typed
    who_answers_for_one_machine_leaves_the_others_alone
    silence_within_a_second_means_no
    an_endpoint_may_give_its_calls_another_time
    every_instance_gets_every_request_and_the_first_reply_counts
    who_has_no_room_leaves_the_reply_to_the_others
    who_demands_the_declared_types_gets_no_others
    what_would_harm_a_peer_is_not_sent
    a_reply_queue_may_be_called_what_its_owner_likes
}

const NODE: &str = "507f191e810c19729de860ea";
const GRAPH: &str = "4f2f3a1e-6c39-4b0c-8a53-9d5f3d1a7c10";
const TASK: &str = "2a8cf1ab-1f0e-4d47-9d0e-2b6f3c1c9a01";

fn object(value: Value) -> Object {
    value.as_object().unwrap().clone()
}

fn mac(text: &str) -> MacAddress {
    text.parse().unwrap()
}

/// What a request is: its routing key, type and body.
fn said(request: &Delivery) -> (String, String, Value) {
    (request.key.to_string(), request.properties.kind.as_deref().unwrap().to_owned(), body(request))
}

/// Leases that count who asks.
async fn served_by_both_dialects(world: &World) -> Endpoint {
    let native = (Native::default(), world.seat().await, Trust::insecure());
    let builder = Endpoint::builder(world.bus.name("on-dhcp")).bind(world.dialect.clone(), world.seat().await, Trust::insecure());
    builder.bind(native.0, native.1, native.2).serve(DhcpServer::new(Leases::default())).start().await.unwrap()
}

async fn every_method_of_dhcp(dhcp: &DhcpClient) {
    let (first, second) = ("10.1.1.2".parse().unwrap(), "10.1.1.200".parse().unwrap());
    let (a, b) = (mac("08:00:27:52:d2:a4"), mac("00:11:22:33:44:55"));
    assert_eq!(dhcp.lookup_ip_lease(first).await.unwrap(), Some(a));
    assert_eq!(dhcp.lookup_ip_lease("10.1.1.77".parse().unwrap()).await.unwrap(), None);
    let CallError::Remote(error) = dhcp.lookup_ip_lease("10.1.1.99".parse().unwrap()).await.unwrap_err() else { panic!() };
    assert_eq!(
        (error.name.as_str(), error.message.as_str(), error.status),
        ("NotFoundError", "no such lease: 10.1.1.99", Some(404))
    );
    assert_eq!(error.context, object(json!({ "ip": "10.1.1.99" })));
    assert!(dhcp.ip_in_range(first).await.unwrap());
    assert!(!dhcp.ip_in_range("10.2.0.1".parse().unwrap()).await.unwrap());
    assert_eq!(dhcp.peek_lease_table().await.unwrap(), table());
    assert_eq!(dhcp.pin_mac(a).await.unwrap().unwrap().mac, Some(a));
    assert_eq!(dhcp.pin_ip(first).await.unwrap().unwrap().ip, Some(first));
    assert_eq!(dhcp.unpin_mac(b).await.unwrap().unwrap().ip, Some(second));
    assert_eq!(dhcp.unpin_mac(b).await.unwrap(), None);
    assert_eq!(dhcp.unpin_ip(second).await.unwrap(), None);
    assert_eq!(dhcp.remove_lease(a).await.unwrap().unwrap().ip_address, first);
    assert_eq!(dhcp.remove_lease(a).await.unwrap(), None);
    assert_eq!(dhcp.remove_lease_by_ip(second).await.unwrap().unwrap().mac, b);
}

async fn one_service_is_called_in_rackhds_words_and_by_the_envelope(bus: Bus) {
    for world in bus.both() {
        let served = served_by_both_dialects(&world).await;
        every_method_of_dhcp(&world.caller("on-http").await.client("on-dhcp")).await;
        assert_eq!(served.shutdown(Duration::from_secs(1)).await.unwrap().left_behind, 0);

        let _served = served_by_both_dialects(&world).await;
        let native = Endpoint::builder(bus.name("native")).bind(Native::default(), world.seat().await, Trust::insecure());
        every_method_of_dhcp(&native.start().await.unwrap().client(bus.name("on-dhcp").as_str())).await;
    }
}

/// Sends what a call says to a peer by hand, and what the peer replies to the call.
macro_rules! exchange {
    ($peer:expr, $call:expr, $reply:expr) => {{
        let call = tokio::spawn($call.into_future());
        let request = $peer.next().await;
        let reply: Value = $reply;
        $peer.reply(&request, &Sent::json("Result", &reply.to_string())).await;
        (said(&request), call.await.unwrap().unwrap())
    }};
}

fn is(key: &str, kind: &str, body: Value) -> (String, String, Value) {
    (key.to_owned(), kind.to_owned(), body)
}

async fn workflows_are_run_by_calls_that_look_like_rackhds(bus: Bus) {
    let world = World::on(&bus);
    let caller = world.caller("on-http").await;
    let mut peer: Hand = world.hand("task-graph-runner", "#").await;
    let runner: TaskGraphRunnerClient = caller.client("on-taskgraph");
    let filter = object(json!({ "injectableName": "Graph.noop-example" }));
    let graph = json!({ "friendlyName": "noop-graph", "injectableName": "Graph.noop-example" });
    let (asked, library) = exchange!(peer, runner.get_task_graph_library(Some(filter)), json!({ "value": [graph] }));
    assert_eq!(
        asked,
        is("methods.getTaskGraphLibrary", "Object", json!({ "filter": { "injectableName": "Graph.noop-example" } }))
    );
    assert_eq!(library, [object(graph.clone())]);
    let (asked, library) = exchange!(peer, runner.get_task_library(None), json!({ "value": [] }));
    assert_eq!((asked, library.len()), (is("methods.getTaskLibrary", "Object", json!({})), 0));

    let running = json!({ "instanceId": GRAPH, "status": "running", "tasks": { TASK: { "state": "pending", "name": "Noop" } } });
    let filter = object(json!({ "target": NODE }));
    let (asked, active) = exchange!(peer, runner.get_active_task_graph(Some(filter)), json!({ "value": running }));
    assert_eq!(asked, is("methods.getActiveTaskGraph", "Object", json!({ "filter": { "target": NODE } })));
    assert_eq!(active.unwrap().tasks[&TaskId::from(TASK)].name, "Noop");
    let (_, active) = exchange!(peer, runner.get_active_task_graph(None), json!({}));
    assert_eq!(active, None);
    let (_, active) = exchange!(peer, runner.get_active_task_graphs(None), json!({ "value": [running] }));
    assert_eq!(active[0].instance_id, GraphId::from(GRAPH));

    let (asked, name) =
        exchange!(peer, runner.define_task_graph(&object(graph.clone())), json!({ "value": "Graph.noop-example" }));
    assert_eq!(
        (asked, name.as_str()),
        (is("methods.defineTaskGraph", "Object", json!({ "definition": graph })), "Graph.noop-example")
    );
    let (asked, _) = exchange!(peer, runner.define_task(&Object::new()), json!({ "value": "Task.x" }));
    assert_eq!(asked, is("methods.defineTask", "Object", json!({ "definition": {} })));

    let options = Some(object(json!({ "a": 1 })));
    let (asked, _) = exchange!(peer, runner.run_task_graph("Graph.x", options, Some(NODE.into())), json!({ "value": running }));
    assert_eq!(asked, is("methods.runTaskGraph", "Object", json!({ "name": "Graph.x", "options": { "a": 1 }, "target": NODE })));
    let (asked, cancelled) = exchange!(peer, runner.cancel_task_graph(None, None, Some(GRAPH.into())), json!({ "value": GRAPH }));
    assert_eq!(asked, is("methods.cancelTaskGraph", "Object", json!({ "graphId": GRAPH })));
    assert_eq!(cancelled, Some(Cancelled::Graph(GRAPH.into())));
    let (asked, cancelled) =
        exchange!(peer, runner.cancel_task_graph(Some(NODE.into()), None, None), json!({ "value": { "instanceId": GRAPH } }));
    assert_eq!(asked, is("methods.cancelTaskGraph", "Object", json!({ "target": NODE })));
    assert!(matches!(cancelled, Some(Cancelled::Instance(_))));

    let which = GraphFilter { instance_id: Some(GRAPH.into()), target: None };
    let (asked, _) = exchange!(peer, runner.pause_task_graph(which.clone()), json!({ "value": { "instanceId": GRAPH } }));
    assert_eq!(asked, is("methods.pauseTaskGraph", "Object", json!({ "instanceId": GRAPH })));
    let (asked, resumed) = exchange!(peer, runner.resume_task_graph(which), json!({}));
    assert_eq!((asked, resumed), (is("methods.resumeTaskGraph", "Object", json!({ "instanceId": GRAPH })), None));
    let (asked, known) = exchange!(peer, runner.get_task_graph_properties(&json!(GRAPH)), json!({ "value": {} }));
    assert_eq!((asked, known), (is("methods.getTaskGraphProperties", "Object", json!({ "instance": GRAPH })), json!({})));

    runner.run_stored_graph("default", GRAPH.into()).await.unwrap();
    let request = peer.next().await;
    assert_eq!(said(&request), is("methods.runTaskGraph.default", "Object", json!({ "graphId": GRAPH })));
    assert_eq!(request.properties.reply_to, None);
}

async fn tasks_are_told_and_asked_by_keys_with_parameters(bus: Bus) {
    let world = World::on(&bus);
    let caller = world.caller("on-http").await;
    let mut peer: Hand = world.hand("task", "#").await;
    let task: TaskClient = caller.client("task");
    let node = || NodeId::from(NODE);
    task.run(TASK.into()).await.unwrap();
    assert_eq!(said(&peer.next().await), is(&format!("run.{TASK}"), "Result", json!({ "value": {} })));
    task.cancel(TASK.into()).await.unwrap();
    assert_eq!(said(&peer.next().await), is(&format!("cancel.{TASK}"), "Result", json!({ "value": {} })));
    task.run_in_domain("default", TASK.into(), GRAPH.into()).await.unwrap();
    assert_eq!(said(&peer.next().await), is("default.methods.run", "Object", json!({ "taskId": TASK, "graphId": GRAPH })));
    task.cancel_task(TASK.into(), None, None).await.unwrap();
    assert_eq!(said(&peer.next().await), is("methods.cancel", "Object", json!({ "taskId": TASK })));

    let at = |method: &str| format!("methods.{method}.{NODE}");
    let (asked, profile) = exchange!(peer, task.request_profile(node()), json!({ "value": "linux.ipxe" }));
    assert_eq!((asked, profile.as_deref()), (is(&at("requestProfile"), "Object", json!({})), Some("linux.ipxe")));
    let (asked, properties) = exchange!(peer, task.request_properties(node()), json!({ "value": { "a": 1 } }));
    assert_eq!((asked, properties), (is(&at("requestProperties"), "Object", json!({})), Some(object(json!({ "a": 1 })))));
    let command = Command { cmd: "sudo dmidecode".to_owned(), source: Some("dmi".to_owned()), format: Some("raw".to_owned()) };
    let commands = json!({ "identifier": NODE, "tasks": [{ "cmd": "sudo dmidecode", "source": "dmi", "format": "raw" }] });
    let (asked, next) = exchange!(peer, task.request_commands(node()), json!({ "value": commands }));
    assert_eq!(
        (asked, next),
        (is(&at("requestCommands"), "Object", json!({})), Some(Commands { identifier: node(), tasks: vec![command] }))
    );
    let (_, next) = exchange!(peer, task.request_commands(node()), json!({}));
    assert_eq!(next, None);
    task.respond_commands(node(), Executed { identifier: node(), tasks: Vec::new() }).await.unwrap();
    assert_eq!(
        said(&peer.next().await),
        is(&at("respondCommands"), "Result", json!({ "value": { "identifier": NODE, "tasks": [] } }))
    );
    let (asked, _) = exchange!(peer, task.get_boot_profile(node()), json!({ "value": "linux.ipxe" }));
    assert_eq!(asked, is(&at("getBootProfile"), "Object", json!({})));
    let (asked, ()) = exchange!(peer, task.active_task_exists(node()), json!({}));
    assert_eq!(asked, is(&at("activeTaskExists"), "Object", json!({})));
    let item = || WorkItemId::from("54d6cdff8db79442ddf33101");
    let options = Some(PollerCacheOptions { latest_only: true });
    let (asked, samples) = exchange!(peer, task.request_poller_cache(item(), options), json!({ "value": [{ "sdr": [] }] }));
    let expected = json!({ "value": "54d6cdff8db79442ddf33101", "options": { "latestOnly": true } });
    assert_eq!((asked, samples.len()), (is("methods.requestPollerCache", "Result", expected), 1));

    let machine = || Machine { host: "10.1.1.10".to_owned(), user: Some("admin".to_owned()), ..Machine::default() };
    let value = json!({ "value": { "host": "10.1.1.10", "user": "admin" } });
    task.ipmi_command("power", GRAPH.into(), machine()).await.unwrap();
    assert_eq!(said(&peer.next().await), is(&format!("ipmi.command.power.{GRAPH}"), "Result", value.clone()));
    task.run_snmp_command(GRAPH.into(), machine()).await.unwrap();
    assert_eq!(said(&peer.next().await), is(&format!("run.snmp.command.{GRAPH}"), "Result", value.clone()));
    task.run_redfish_command(GRAPH.into(), machine()).await.unwrap();
    assert_eq!(*peer.next().await.key, *format!("run.redfish.command.{GRAPH}"));
    task.run_wsman_command(GRAPH.into(), machine()).await.unwrap();
    assert_eq!(*peer.next().await.key, *format!("run.wsman.command.{GRAPH}"));
    task.run_ucs_command(GRAPH.into(), machine()).await.unwrap();
    assert_eq!(*peer.next().await.key, *format!("run.ucs.command.{GRAPH}"));
    task.run_ansible_command(GRAPH.into(), json!({ "playbook": "p.yml" })).await.unwrap();
    assert_eq!(
        said(&peer.next().await),
        is(&format!("run.ansible.command.{GRAPH}"), "Result", json!({ "value": { "playbook": "p.yml" } }))
    );

    for bad in ["", "a.b", "*", "#"] {
        let refused = task.run(bad.into()).await.unwrap_err();
        assert!(matches!(&refused, CallError::Encode(why) if why.contains("`taskId`")), "{bad}: {refused:?}");
    }
}

async fn schedules_and_configuration_are_written_as_their_generation_did(bus: Bus) {
    for (dialect, kind, set, get) in [
        (bus.on(), "Result", json!({ "value": { "key": "k", "value": "v" } }), json!({ "value": { "key": "k" } })),
        (bus.legacy(), "Object", json!({ "key": "k", "value": "v" }), json!({ "key": "k" })),
    ] {
        let world = World::new(&bus, dialect);
        let caller = world.caller("on-http").await;
        let mut peer = world.hand("configuration", "#").await;
        let configuration: ConfigurationClient = caller.client("configuration");
        configuration.set("k", &json!("v")).notify().await.unwrap();
        assert_eq!(said(&peer.next().await), is("methods.set", kind, set));
        let (asked, value) = exchange!(peer, configuration.get("k"), json!({ "value": "v" }));
        assert_eq!((asked, value), (is("methods.get", kind, get), json!("v")));

        let mut peer = world.hand("scheduler", "#").await;
        let scheduler: SchedulerClient = caller.client("scheduler");
        scheduler.schedule(TASK.into(), "Task.noop", None).await.unwrap();
        assert_eq!(said(&peer.next().await), is("schedule", "Object", json!({ "taskId": TASK, "taskName": "Task.noop" })));
    }
}

/// A task that counts what it is told.
#[derive(Debug, Default)]
struct Job {
    told: Arc<std::sync::Mutex<Vec<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Job {
    fn note(&self, what: String) {
        self.told.lock().unwrap().push(what);
    }
}

impl Task for Job {
    async fn run(&self, task_id: TaskId) {
        self.note(format!("run {task_id}"));
    }

    async fn cancel(&self, task_id: TaskId) {
        self.note(format!("cancel {task_id}"));
    }

    async fn run_in_domain(&self, domain: &str, task_id: TaskId, graph_id: GraphId) {
        self.note(format!("run {task_id} of {graph_id} in {domain}"));
    }

    async fn cancel_task(&self, task_id: TaskId, err_name: Option<String>, _: Option<String>) {
        self.note(format!("cancel {task_id} {err_name:?}"));
    }

    async fn request_profile(&self, _: NodeId) -> Result<Option<String>, ErrorEvent> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(Some("linux.ipxe".to_owned()))
    }

    async fn request_properties(&self, _: NodeId) -> Result<Option<Object>, ErrorEvent> {
        Ok(None)
    }

    async fn request_commands(&self, _: NodeId) -> Result<Option<Commands>, ErrorEvent> {
        Ok(None)
    }

    async fn respond_commands(&self, node_id: NodeId, executed: Executed) {
        self.note(format!("{node_id} has done {}", executed.tasks.len()));
    }

    async fn get_boot_profile(&self, _: NodeId) -> Result<Option<String>, ErrorEvent> {
        Ok(None)
    }

    async fn active_task_exists(&self, _: NodeId) -> Result<(), ErrorEvent> {
        Ok(())
    }

    async fn request_poller_cache(
        &self,
        work_item: WorkItemId,
        options: Option<PollerCacheOptions>,
    ) -> Result<Vec<Object>, ErrorEvent> {
        if work_item.0 == "never" {
            return Err(ErrorEvent::not_found("never run"));
        }
        Ok(vec![object(json!({ "item": work_item, "latest": options.is_some_and(|o| o.latest_only) }))])
    }

    async fn ipmi_command(&self, command: &str, graph_id: GraphId, machine: Machine) {
        self.note(format!("{command} of {} for {graph_id}", machine.host));
    }

    async fn run_snmp_command(&self, graph_id: GraphId, machine: Machine) {
        self.note(format!("snmp of {} for {graph_id}", machine.host));
    }

    async fn run_redfish_command(&self, _: GraphId, _: Machine) {}

    async fn run_wsman_command(&self, _: GraphId, _: Machine) {}

    async fn run_ucs_command(&self, _: GraphId, _: Machine) {}

    async fn run_ansible_command(&self, _: GraphId, _: Value) {}
}

async fn serve_task(world: &World, dialect: RackHd) -> (Endpoint, Job) {
    let job = Job::default();
    let shared = Job { told: Arc::clone(&job.told), asked: Arc::clone(&job.asked) };
    let builder = Endpoint::builder("job").bind(dialect, world.seat().await, Trust::insecure());
    (builder.serve(TaskServer::new(job)).start().await.unwrap(), shared)
}

async fn parameters_of_keys_come_back_typed(bus: Bus) {
    for world in bus.both() {
        let (endpoint, job) = serve_task(&world, world.dialect.clone()).await;
        let caller = world.caller("on-http").await;
        let task: TaskClient = caller.client("task");
        let machine = Machine { host: "10.1.1.10".to_owned(), ..Machine::default() };
        task.run(TASK.into()).await.unwrap();
        task.run_in_domain("default", TASK.into(), GRAPH.into()).await.unwrap();
        task.cancel_task(TASK.into(), Some("E".to_owned()), None).await.unwrap();
        task.ipmi_command("sdr", GRAPH.into(), machine.clone()).await.unwrap();
        task.run_snmp_command(GRAPH.into(), machine).await.unwrap();
        task.respond_commands(NODE.into(), Executed { identifier: NODE.into(), tasks: Vec::new() }).await.unwrap();
        assert_eq!(task.request_profile(NODE.into()).await.unwrap().as_deref(), Some("linux.ipxe"));
        assert_eq!(task.request_commands(NODE.into()).await.unwrap(), None);
        let latest = Some(PollerCacheOptions { latest_only: true });
        let samples = task.request_poller_cache("item".into(), latest).await.unwrap();
        assert_eq!(samples, [object(json!({ "item": "item", "latest": true }))]);
        let CallError::Remote(never) = task.request_poller_cache("never".into(), None).await.unwrap_err() else { panic!() };
        assert_eq!((never.name.as_str(), never.status), ("NotFoundError", Some(404)));
        assert_eq!(endpoint.shutdown(Duration::from_secs(1)).await.unwrap().left_behind, 0);
        let mut told = job.told.lock().unwrap().clone();
        told.sort();
        assert_eq!(
            told,
            [
                format!("{NODE} has done 0"),
                format!("cancel {TASK} Some(\"E\")"),
                format!("run {TASK}"),
                format!("run {TASK} of {GRAPH} in default"),
                format!("sdr of 10.1.1.10 for {GRAPH}"),
                format!("snmp of 10.1.1.10 for {GRAPH}"),
            ]
        );
    }
}

async fn who_answers_for_one_machine_leaves_the_others_alone(bus: Bus) {
    let world = World::on(&bus);
    let (_one, job) = serve_task(&world, bus.on().only("task", "nodeId", NODE)).await;
    let caller = world.caller("on-http").await;
    let task: TaskClient = caller.client("task");
    assert_eq!(task.active_task_exists(NODE.into()).unless_silent().await.unwrap(), Some(()));
    assert_eq!(task.active_task_exists("another".into()).unless_silent().await.unwrap(), None);
    let nobody = task.request_profile("another".into()).await.unwrap_err();
    assert!(matches!(nobody, CallError::NoAgent(_)), "{nobody:?}");
    // Who is not understood is nobody, and not everybody.
    for (parameter, word) in [("node", "another"), ("nodeId", "*"), ("nodeId", "a.b"), ("nodeId", "")] {
        let (_nobody, _) = serve_task(&world, bus.on().only("task", parameter, word)).await;
        let nobody = task.request_profile("another".into()).await.unwrap_err();
        assert!(matches!(nobody, CallError::NoAgent(_)), "{nobody:?}");
    }
    assert_eq!(job.asked.load(Ordering::SeqCst), 0);
}

async fn silence_within_a_second_means_no(bus: Bus) {
    let world = World::on(&bus);
    let caller = world.caller("on-http").await;
    let task: TaskClient = caller.client("task");
    let _silent = world.hand("task", "#").await;
    assert_eq!(task.active_task_exists(NODE.into()).unless_silent().await.unwrap(), None);
    // Any call waits no longer, whether its contract says so or not.
    let error = caller.peer("x").class("task").call::<Value>("requestPollerCache", json!({})).await.unwrap_err();
    let CallError::Timeout { phase: Phase::Total, after } = error else { panic!("{error:?}") };
    assert_eq!(after, Duration::from_millis(1000));
    // What fails is neither.
    let refused = task.active_task_exists("a.b".into()).unless_silent().await.unwrap_err();
    assert!(matches!(refused, CallError::Encode(_)), "{refused:?}");
}

async fn an_endpoint_may_give_its_calls_another_time(bus: Bus) {
    let world = World::on(&bus);
    let builder = Endpoint::builder("hasty").bind(bus.on(), world.seat().await, Trust::insecure());
    let hasty = builder.timeout(Duration::from_millis(50)).start().await.unwrap();
    let _silent = world.hand("task", "#").await;
    let error = hasty.peer("x").class("task").call::<Value>("requestPollerCache", json!({})).await.unwrap_err();
    let CallError::Timeout { phase: Phase::Total, after } = error else { panic!("{error:?}") };
    assert_eq!(after, Duration::from_millis(50));
}

async fn every_instance_gets_every_request_and_the_first_reply_counts(bus: Bus) {
    let world = World::on(&bus);
    let (first, one) = serve_task(&world, bus.on()).await;
    let (second, other) = serve_task(&world, bus.on()).await;
    let caller = world.caller("on-http").await;
    let task: TaskClient = caller.client("task");
    for _ in 0..3 {
        assert_eq!(task.request_profile(NODE.into()).await.unwrap().as_deref(), Some("linux.ipxe"));
    }
    // Whose reply came first may be known before the others have the request.
    let all = async {
        while one.asked.load(Ordering::SeqCst) + other.asked.load(Ordering::SeqCst) < 6 {
            tokio::task::yield_now().await;
        }
    };
    soon("every instance is asked", all).await;
    for endpoint in [first, second] {
        assert_eq!(endpoint.shutdown(Duration::from_secs(1)).await.unwrap().left_behind, 0);
    }
    assert_eq!((one.asked.load(Ordering::SeqCst), other.asked.load(Ordering::SeqCst)), (3, 3));
}

/// Has no room, as long as it is said so.
#[derive(Debug)]
struct Full(AtomicBool);

#[async_trait]
impl Layer for Full {
    async fn admit(&self, _: &Incoming) -> Result<(), Rejection> {
        if self.0.load(Ordering::SeqCst) { Err(Rejection::new(RejectionCode::Busy, "it is full")) } else { Ok(()) }
    }
}

async fn who_has_no_room_leaves_the_reply_to_the_others(bus: Bus) {
    for world in bus.both() {
        let full = Arc::new(Full(AtomicBool::new(true)));
        let dialect = world.dialect.clone();
        let builder = Endpoint::builder("full").bind(dialect.clone(), world.seat().await, Trust::insecure());
        let crowded = builder.serve(TaskServer::new(Job::default())).layer(Arc::clone(&full)).start().await.unwrap();
        let caller = world.caller("on-http").await;
        let task: TaskClient = caller.client("task");
        let rejected = || crowded.figures()[0].rejected;
        // Alone it is as silent as one that is not there.
        assert_eq!(task.request_profile(NODE.into()).timeout(Duration::from_millis(200)).unless_silent().await.unwrap(), None);
        assert_eq!(rejected(), 1);
        let (_idle, job) = serve_task(&world, dialect).await;
        for calls in 2..5 {
            assert_eq!(task.request_profile(NODE.into()).await.unwrap().as_deref(), Some("linux.ipxe"));
            soon("it is refused", async {
                while rejected() < calls {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
        assert_eq!(job.asked.load(Ordering::SeqCst), 3);
        full.0.store(false, Ordering::SeqCst);
        assert_eq!(task.request_profile(NODE.into()).await.unwrap().as_deref(), Some("linux.ipxe"));
    }
}

async fn who_demands_the_declared_types_gets_no_others(bus: Bus) {
    let world = World::new(&bus, bus.speaking(Profile::on().reply_types(ReplyTypes::Declared), "on."));
    let caller = world.caller("on-http").await;
    let dhcp: DhcpClient = caller.client("dhcp");
    let mut peer = world.hand("dhcp", "methods.*").await;
    for (kind, fine) in [("MacAddress", true), ("Result", true), ("Object", false), ("IpAddress", false)] {
        let call = tokio::spawn(dhcp.lookup_ip_lease("10.1.1.2".parse().unwrap()).into_future());
        let request = peer.next().await;
        peer.reply(&request, &Sent::json(kind, r#"{"value":"08:00:27:52:d2:a4"}"#)).await;
        match call.await.unwrap() {
            Ok(found) => assert!(fine && found.is_some(), "{kind}"),
            Err(CallError::Remote(error)) => {
                assert!(!fine && error.message.contains("Invalid Response Type"), "{kind}: {error:?}")
            }
            Err(other) => panic!("{kind}: {other:?}"),
        }
    }
}

async fn what_would_harm_a_peer_is_not_sent(bus: Bus) {
    let world = World::on(&bus);
    let caller = world.caller("on-http").await;
    let mut peer = world.hand("dhcp", "methods.*").await;
    let class = caller.peer("dhcp").class("dhcp");
    // What RackHD would refuse is refused here, where it says why.
    for (method, said) in [("lookupIpLease", "::1"), ("lookupIpLease", "300.1.1.1"), ("removeLease", "08-00-27-52-d2-a4")] {
        let refused = class.call::<Value>(method, [said]).await.unwrap_err();
        assert!(matches!(&refused, CallError::Encode(why) if why.contains(said)), "{said}: {refused:?}");
    }
    // No body is anything but an object.
    let runner = caller.peer("x").class("task-graph-runner");
    let refused = runner.call::<Value>("pauseTaskGraph", ["not an object"]).await.unwrap_err();
    assert!(matches!(&refused, CallError::Encode(why) if why.contains("an object")), "{refused:?}");
    // A body that is longer than a frame is ASCII.
    let call = tokio::spawn(class.call::<Value>("peekLeaseTable", json!({ "x": "ü𝄞".repeat(40_000) })).into_future());
    let request = peer.next().await;
    assert!(request.payload.is_ascii());
    assert_eq!(body(&request)["x"], "ü𝄞".repeat(40_000));
    peer.reply(&request, &Sent::json("Result", "{}")).await;
    assert_eq!(call.await.unwrap().unwrap(), Value::Null);
}

async fn a_reply_queue_may_be_called_what_its_owner_likes(bus: Bus) {
    let world = World::on(&bus);
    let _leases = world.leases().await;
    for name in ["amq.gen-VZhyEuJtEfQ1iQQkfrlCAg", "on.dhcp:methods.lookupIpLease.request:~yBa5d9", "on-dhcp.x"] {
        let mut peer = world.queue(name).await;
        let name = bus.name(name);
        let sent = Sent { reply_to: Some(&name), ..Sent::json("IpAddress", r#"{"value":"10.1.1.2"}"#) };
        peer.send(topic(&world.exchange("dhcp"), "methods.ipInRange"), &sent).await;
        assert_eq!(body(&peer.next().await), json!({ "value": true }), "{name}");
    }
}

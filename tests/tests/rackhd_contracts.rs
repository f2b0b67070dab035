//! Every method of every contract of RackHD's services, in RackHD's words, in those of its first generation, and by the native
//! envelope: the same arguments arrive, and the same comes back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeSet, time::Duration};

use rackhd_api::{
    ConfigurationClient, DhcpClient, Executed, GraphFilter, MacAddress, Machine, Object, Overrides, PollerCacheOptions,
    SchedulerClient, TaskClient, TaskGraphRunnerClient,
};
use rmi_amqp::rackhd::RackHd;
use rmi_core::{Client, Endpoint, Native, Trust, contract::Contract, endpoint::Builder};
use rmi_tests::on_core::{
    Bus, World,
    services::{Answer, Services},
};
use serde_json::{Value, json};

rmi_tests::on_every_bus! {
    every_method_means_the_same_in_every_dialect
}

const CONTRACTS: [&Contract; 5] = [
    ConfigurationClient::CONTRACT,
    DhcpClient::CONTRACT,
    TaskGraphRunnerClient::CONTRACT,
    SchedulerClient::CONTRACT,
    TaskClient::CONTRACT,
];

fn object(value: Value) -> Object {
    value.as_object().unwrap().clone()
}

/// Makes calls, and says what came of each.
macro_rules! calls {
    ($($call:expr;)*) => {
        vec![$(format!("{} = {:?}", stringify!($call), $call)),*]
    };
}

async fn of_leases(caller: &Endpoint, agent: &str) -> Vec<String> {
    let dhcp: DhcpClient = caller.client(agent);
    let (ip, mac) = ("10.1.1.2".parse().unwrap(), MacAddress([0, 0x11, 0x22, 0x33, 0x44, 0x55]));
    calls! {
        dhcp.lookup_ip_lease(ip).await;
        dhcp.ip_in_range(ip).await;
        dhcp.peek_lease_table().await;
        dhcp.remove_lease(mac).await;
        dhcp.remove_lease_by_ip(ip).await;
        dhcp.pin_mac(mac).await;
        dhcp.unpin_mac(mac).await;
        dhcp.pin_ip(ip).await;
        dhcp.unpin_ip(ip).await;
    }
}

async fn of_configuration(caller: &Endpoint, agent: &str) -> Vec<String> {
    let configuration: ConfigurationClient = caller.client(agent);
    let scheduler: SchedulerClient = caller.client(agent);
    let overrides = Overrides { timeout: Some(-1), priority: Some(50), more: object(json!({ "x": [null] })) };
    calls! {
        configuration.set("k", &json!({ "key": "other", "value": null })).await;
        configuration.set("", &json!("ü\u{0}\"\\")).await;
        configuration.get("value").await;
        scheduler.schedule("t".into(), "Task.noop", None).await.map(drop);
        scheduler.schedule("t".into(), "", Some(overrides)).await.map(drop);
    }
}

async fn of_workflows(caller: &Endpoint, agent: &str) -> Vec<String> {
    let runner: TaskGraphRunnerClient = caller.client(agent);
    let (some, filter) = (|| Some(object(json!({ "a": { "b": [1, -2.5, null, true] } }))), GraphFilter::default());
    let whole = GraphFilter { instance_id: Some("g".into()), target: Some("n".into()) };
    calls! {
        runner.get_task_graph_library(None).await;
        runner.get_task_graph_library(some()).await;
        runner.get_task_library(some()).await;
        runner.get_active_task_graph(some()).await;
        runner.get_active_task_graph(None).await;
        runner.get_active_task_graphs(None).await;
        runner.define_task_graph(&object(json!({ "definition": {} }))).await;
        runner.define_task(&Object::new()).await;
        runner.run_task_graph("Graph.x", some(), Some("n".into())).await;
        runner.run_task_graph("", None, None).await;
        runner.run_stored_graph("default", "g".into()).await.map(drop);
        runner.cancel_task_graph(None, None, Some("g".into())).await;
        runner.cancel_task_graph(Some("n".into()), None, None).await;
        runner.pause_task_graph(whole.clone()).await;
        runner.resume_task_graph(filter.clone()).await;
        runner.get_task_graph_properties(&json!([7])).await;
    }
}

async fn of_tasks(caller: &Endpoint, agent: &str) -> Vec<String> {
    let task: TaskClient = caller.client(agent);
    let machine = || Machine { host: "10.1.1.10".to_owned(), user: Some("admin".to_owned()), ..Machine::default() };
    let executed = json!({ "identifier": "n", "tasks": [{ "cmd": "x", "stdout": "ü\n", "error": { "code": 1 }, "more": [] }] });
    let executed: Executed = serde_json::from_value(executed).unwrap();
    calls! {
        task.run("t".into()).await.map(drop);
        task.cancel("t".into()).await.map(drop);
        task.run_in_domain("default", "t".into(), "g".into()).await.map(drop);
        task.cancel_task("t".into(), None, None).await.map(drop);
        task.cancel_task("t".into(), Some("TaskStopError".to_owned()), Some(String::new())).await.map(drop);
        task.request_profile("n".into()).await;
        task.request_properties("n".into()).await;
        task.request_commands("n".into()).await;
        task.respond_commands("n".into(), executed.clone()).await.map(drop);
        task.get_boot_profile("n".into()).await;
        task.active_task_exists("n".into()).await;
        task.request_poller_cache("i".into(), None).await;
        task.request_poller_cache("i".into(), Some(PollerCacheOptions { latest_only: true })).await;
        task.ipmi_command("power", "g".into(), machine()).await.map(drop);
        task.run_snmp_command("g".into(), machine()).await.map(drop);
        task.run_redfish_command("g".into(), machine()).await.map(drop);
        task.run_wsman_command("g".into(), machine()).await.map(drop);
        task.run_ucs_command("g".into(), machine()).await.map(drop);
        task.run_ansible_command("g".into(), json!({ "playbook": "p.yml", "value": [] })).await.map(drop);
    }
}

/// What comes of every call, and what the services were told.
async fn every_call(caller: &Endpoint, agent: Builder, name: &str, answer: Answer) -> (Vec<String>, Vec<String>) {
    let services = Services::answering(answer);
    let agent = services.serve(agent).start().await.unwrap();
    let mut came = of_leases(caller, name).await;
    came.extend(of_configuration(caller, name).await);
    came.extend(of_workflows(caller, name).await);
    came.extend(of_tasks(caller, name).await);
    let told = services.told(came.len()).await;
    assert_eq!(agent.shutdown(Duration::from_secs(10)).await.unwrap().left_behind, 0);
    (came, told)
}

async fn every_method_means_the_same_in_every_dialect(bus: Bus) {
    let name = bus.name("services");
    let bound = async |world: &World, name: &str, dialect: Option<RackHd>| {
        let (builder, seat) = (Endpoint::builder(name.to_owned()), world.seat().await);
        match dialect {
            Some(dialect) => builder.bind(dialect, seat, Trust::insecure()),
            None => builder.bind(Native::default(), seat, Trust::insecure()),
        }
    };
    let [on, legacy] = bus.both();
    for answer in [Answer::Something, Answer::Nothing, Answer::Failure] {
        let mut expected = None;
        for (world, dialect) in [(&on, None), (&on, Some(on.dialect.clone())), (&legacy, Some(legacy.dialect.clone()))] {
            let what = dialect.as_ref().map(|dialect| dialect.profile().clone());
            let caller = bound(world, &bus.name("caller"), dialect.clone()).await.start().await.unwrap();
            let agent = bound(world, &name, dialect).await;
            let (came, told) = every_call(&caller, agent, &name, answer).await;
            assert_eq!(caller.shutdown(Duration::from_secs(10)).await.unwrap().left_behind, 0);
            let methods: BTreeSet<_> = told.iter().map(|told| told.split(' ').next().unwrap().to_owned()).collect();
            let all =
                CONTRACTS.iter().flat_map(|contract| contract.methods.iter().map(|m| format!("{}.{}", contract.name, m.name)));
            assert_eq!(methods, all.collect(), "no method is left out");
            let failed = came.iter().filter(|came| came.contains(" = Err(Remote(ErrorEvent")).count();
            let fine = came.iter().filter(|came| came.contains(" = Ok(")).count();
            let oneway = came.iter().filter(|came| came.contains(".map(drop)")).count();
            assert_eq!((failed, fine), if answer == Answer::Failure { (came.len() - oneway, oneway) } else { (0, came.len()) });
            match &expected {
                None => expected = Some((came, told)),
                Some((by_envelope, told_by_envelope)) => {
                    for (came, by_envelope) in came.iter().zip(by_envelope) {
                        assert_eq!(came, by_envelope, "{what:?}");
                    }
                    for (told, by_envelope) in told.iter().zip(told_by_envelope) {
                        assert_eq!(told, by_envelope, "{what:?}");
                    }
                    assert_eq!((came.len(), told.len()), (by_envelope.len(), told_by_envelope.len()));
                }
            }
        }
    }
}

//! All services of RackHD at once: they note what they are told, and answer what the test says.

use std::{
    net::Ipv4Addr,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rackhd_api::{
    ActiveGraph, Cancelled, Commands, Configuration, ConfigurationServer, Definition, Dhcp, DhcpServer, ErrorEvent, Executed,
    Filter, GraphFilter, GraphId, Instance, Lease, LeaseTable, MacAddress, Machine, NodeId, Object, Overrides, Pinned,
    PollerCacheOptions, Scheduler, SchedulerServer, Task, TaskGraphRunner, TaskGraphRunnerServer, TaskId, TaskServer, WorkItemId,
};
use rmi_core::endpoint::Builder;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::table;

/// What the services answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// What there is.
    #[default]
    Something,
    /// That there is nothing.
    Nothing,
    /// An error.
    Failure,
}

/// All services, and what they were told. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Services(Arc<Mutex<(Answer, Vec<String>)>>, Arc<Notify>);

impl Services {
    /// Services that answer this.
    #[must_use]
    pub fn answering(answer: Answer) -> Self {
        Services(Arc::new(Mutex::new((answer, Vec::new()))), Arc::default())
    }

    /// Serves them all.
    pub fn serve(&self, builder: Builder) -> Builder {
        builder
            .serve(ConfigurationServer::new(self.clone()))
            .serve(DhcpServer::new(self.clone()))
            .serve(TaskGraphRunnerServer::new(self.clone()))
            .serve(SchedulerServer::new(self.clone()))
            .serve(TaskServer::new(self.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, (Answer, Vec<String>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What they were told, when it is so many calls, in the order of the alphabet: `class.method [arguments]`.
    pub async fn told(&self, calls: usize) -> Vec<String> {
        let all = async {
            loop {
                let mut more = pin!(self.1.notified());
                more.as_mut().enable();
                if self.lock().1.len() >= calls {
                    return;
                }
                more.await;
            }
        };
        tokio::time::timeout(super::PATIENCE, all).await.expect("all calls come");
        let mut told = std::mem::take(&mut self.lock().1);
        told.sort();
        told
    }

    fn note(&self, method: &str, arguments: &Value) -> Answer {
        let mut told = self.lock();
        told.1.push(format!("{method} {arguments}"));
        self.1.notify_waiters();
        told.0
    }

    fn answer<T>(&self, method: &str, arguments: &Value, something: T, nothing: T) -> Result<T, ErrorEvent> {
        match self.note(method, arguments) {
            Answer::Something => Ok(something),
            Answer::Nothing => Ok(nothing),
            Answer::Failure => Err(ErrorEvent {
                stack: format!("TaskStopError: {method}\n    at a.js:1:2"),
                status: Some(418),
                ..ErrorEvent::new("TaskStopError", format!("\"{method}\"\nü")).with("args", arguments.clone()).with("code", "x")
            }),
        }
    }
}

fn object(value: Value) -> Object {
    value.as_object().cloned().unwrap_or_default()
}

impl Configuration for Services {
    async fn set(&self, key: &str, value: &Value) -> Result<Value, ErrorEvent> {
        self.answer("configuration.set", &json!([key, value]), json!({ "was": [1.5] }), Value::Null)
    }

    async fn get(&self, key: &str) -> Result<Value, ErrorEvent> {
        self.answer("configuration.get", &json!([key]), json!("v"), Value::Null)
    }
}

impl Dhcp for Services {
    async fn lookup_ip_lease(&self, ip: Ipv4Addr) -> Result<Option<MacAddress>, ErrorEvent> {
        self.answer("dhcp.lookupIpLease", &json!([ip]), Some(MacAddress([8, 0, 0x27, 0x52, 0xd2, 0xa4])), None)
    }

    async fn ip_in_range(&self, ip: Ipv4Addr) -> Result<bool, ErrorEvent> {
        self.answer("dhcp.ipInRange", &json!([ip]), true, false)
    }

    async fn peek_lease_table(&self) -> Result<LeaseTable, ErrorEvent> {
        self.answer("dhcp.peekLeaseTable", &json!([]), table(), LeaseTable::default())
    }

    async fn remove_lease(&self, mac: MacAddress) -> Result<Option<Lease>, ErrorEvent> {
        self.answer("dhcp.removeLease", &json!([mac]), table().leases.into_values().next(), None)
    }

    async fn remove_lease_by_ip(&self, ip: Ipv4Addr) -> Result<Option<Lease>, ErrorEvent> {
        self.answer("dhcp.removeLeaseByIp", &json!([ip]), table().leases.into_values().next(), None)
    }

    async fn pin_mac(&self, mac: MacAddress) -> Result<Option<Pinned>, ErrorEvent> {
        self.answer("dhcp.pinMac", &json!([mac]), Some(Pinned { mac: Some(mac), ip: None }), None)
    }

    async fn unpin_mac(&self, mac: MacAddress) -> Result<Option<Pinned>, ErrorEvent> {
        self.answer("dhcp.unpinMac", &json!([mac]), Some(Pinned::default()), None)
    }

    async fn pin_ip(&self, ip: Ipv4Addr) -> Result<Option<Pinned>, ErrorEvent> {
        self.answer("dhcp.pinIp", &json!([ip]), Some(Pinned { mac: None, ip: Some(ip) }), None)
    }

    async fn unpin_ip(&self, ip: Ipv4Addr) -> Result<Option<Pinned>, ErrorEvent> {
        self.answer("dhcp.unpinIp", &json!([ip]), Some(Pinned { mac: Some(MacAddress([1; 6])), ip: Some(ip) }), None)
    }
}

fn active() -> ActiveGraph {
    let said = json!({ "instanceId": "g", "status": "running", "tasks": { "t": { "state": "pending", "name": "Noop" } } });
    serde_json::from_value(said).expect("a graph")
}

fn instance() -> Instance {
    Instance { instance_id: GraphId::from("g") }
}

impl TaskGraphRunner for Services {
    async fn get_task_graph_library(&self, filter: Option<Filter>) -> Result<Vec<Definition>, ErrorEvent> {
        let graph = vec![object(json!({ "friendlyName": "ü", "tasks": [null, 1, {}] }))];
        self.answer("task-graph-runner.getTaskGraphLibrary", &json!([filter]), graph, Vec::new())
    }

    async fn get_task_library(&self, filter: Option<Filter>) -> Result<Vec<Definition>, ErrorEvent> {
        self.answer("task-graph-runner.getTaskLibrary", &json!([filter]), vec![Object::new()], Vec::new())
    }

    async fn get_active_task_graph(&self, filter: Option<Filter>) -> Result<Option<ActiveGraph>, ErrorEvent> {
        self.answer("task-graph-runner.getActiveTaskGraph", &json!([filter]), Some(active()), None)
    }

    async fn get_active_task_graphs(&self, filter: Option<Filter>) -> Result<Vec<ActiveGraph>, ErrorEvent> {
        self.answer("task-graph-runner.getActiveTaskGraphs", &json!([filter]), vec![active()], Vec::new())
    }

    async fn define_task_graph(&self, definition: &Definition) -> Result<String, ErrorEvent> {
        self.answer("task-graph-runner.defineTaskGraph", &json!([definition]), "Graph.x".to_owned(), String::new())
    }

    async fn define_task(&self, definition: &Definition) -> Result<String, ErrorEvent> {
        self.answer("task-graph-runner.defineTask", &json!([definition]), "Task.x".to_owned(), String::new())
    }

    async fn run_task_graph(
        &self,
        name: &str,
        options: Option<Object>,
        target: Option<NodeId>,
    ) -> Result<ActiveGraph, ErrorEvent> {
        let idle = ActiveGraph { tasks: std::collections::BTreeMap::new(), ..active() };
        self.answer("task-graph-runner.runTaskGraph", &json!([name, options, target]), active(), idle)
    }

    async fn run_stored_graph(&self, domain: &str, graph_id: GraphId) {
        self.note("task-graph-runner.runStoredGraph", &json!([domain, graph_id]));
    }

    async fn cancel_task_graph(
        &self,
        target: Option<NodeId>,
        instance_id: Option<GraphId>,
        graph_id: Option<GraphId>,
    ) -> Result<Option<Cancelled>, ErrorEvent> {
        let cancelled = graph_id.clone().map_or_else(|| Cancelled::Instance(instance()), Cancelled::Graph);
        self.answer("task-graph-runner.cancelTaskGraph", &json!([target, instance_id, graph_id]), Some(cancelled), None)
    }

    async fn pause_task_graph(&self, filter: GraphFilter) -> Result<Option<Instance>, ErrorEvent> {
        self.answer("task-graph-runner.pauseTaskGraph", &json!([filter]), Some(instance()), None)
    }

    async fn resume_task_graph(&self, filter: GraphFilter) -> Result<Option<Instance>, ErrorEvent> {
        self.answer("task-graph-runner.resumeTaskGraph", &json!([filter]), Some(instance()), None)
    }

    async fn get_task_graph_properties(&self, instance: &Value) -> Result<Value, ErrorEvent> {
        self.answer("task-graph-runner.getTaskGraphProperties", &json!([instance]), json!([[], {}, "x"]), Value::Null)
    }
}

impl Scheduler for Services {
    async fn schedule(&self, task_id: TaskId, task_name: &str, overrides: Option<Overrides>) {
        self.note("scheduler.schedule", &json!([task_id, task_name, overrides]));
    }
}

impl Task for Services {
    async fn run(&self, task_id: TaskId) {
        self.note("task.run", &json!([task_id]));
    }

    async fn cancel(&self, task_id: TaskId) {
        self.note("task.cancel", &json!([task_id]));
    }

    async fn run_in_domain(&self, domain: &str, task_id: TaskId, graph_id: GraphId) {
        self.note("task.runInDomain", &json!([domain, task_id, graph_id]));
    }

    async fn cancel_task(&self, task_id: TaskId, err_name: Option<String>, err_message: Option<String>) {
        self.note("task.cancelTask", &json!([task_id, err_name, err_message]));
    }

    async fn request_profile(&self, node_id: NodeId) -> Result<Option<String>, ErrorEvent> {
        self.answer("task.requestProfile", &json!([node_id]), Some("linux.ipxe".to_owned()), None)
    }

    async fn request_properties(&self, node_id: NodeId) -> Result<Option<Object>, ErrorEvent> {
        self.answer("task.requestProperties", &json!([node_id]), Some(Object::new()), None)
    }

    async fn request_commands(&self, node_id: NodeId) -> Result<Option<Commands>, ErrorEvent> {
        let commands = Commands { identifier: node_id.clone(), tasks: Vec::new() };
        self.answer("task.requestCommands", &json!([node_id]), Some(commands), None)
    }

    async fn respond_commands(&self, node_id: NodeId, executed: Executed) {
        self.note("task.respondCommands", &json!([node_id, executed]));
    }

    async fn get_boot_profile(&self, node_id: NodeId) -> Result<Option<String>, ErrorEvent> {
        self.answer("task.getBootProfile", &json!([node_id]), Some(String::new()), None)
    }

    async fn active_task_exists(&self, node_id: NodeId) -> Result<(), ErrorEvent> {
        self.answer("task.activeTaskExists", &json!([node_id]), (), ())
    }

    async fn request_poller_cache(
        &self,
        work_item: WorkItemId,
        options: Option<PollerCacheOptions>,
    ) -> Result<Vec<Object>, ErrorEvent> {
        let samples = vec![object(json!({ "sdr": [], "value": null }))];
        self.answer("task.requestPollerCache", &json!([work_item, options]), samples, Vec::new())
    }

    async fn ipmi_command(&self, command: &str, graph_id: GraphId, machine: Machine) {
        self.note("task.ipmiCommand", &json!([command, graph_id, machine]));
    }

    async fn run_snmp_command(&self, graph_id: GraphId, machine: Machine) {
        self.note("task.runSnmpCommand", &json!([graph_id, machine]));
    }

    async fn run_redfish_command(&self, graph_id: GraphId, machine: Machine) {
        self.note("task.runRedfishCommand", &json!([graph_id, machine]));
    }

    async fn run_wsman_command(&self, graph_id: GraphId, machine: Machine) {
        self.note("task.runWsmanCommand", &json!([graph_id, machine]));
    }

    async fn run_ucs_command(&self, graph_id: GraphId, machine: Machine) {
        self.note("task.runUcsCommand", &json!([graph_id, machine]));
    }

    async fn run_ansible_command(&self, graph_id: GraphId, playbook: Value) {
        self.note("task.runAnsibleCommand", &json!([graph_id, playbook]));
    }
}

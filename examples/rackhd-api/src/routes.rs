//! Where the contracts are on RackHD's bus.

use rmi_amqp::rackhd::{EventRoute, Form, Profile, RackHd, Route};
use rmi_core::Client;

use crate::{
    ConfigurationClient, DhcpClient, SchedulerClient, TaskClient, TaskGraphRunnerClient, external::PATTERNS, logging::Level,
};

/// The exchanges of the conventions as they were first written down.
pub const EXCHANGES: [&str; 9] =
    ["configuration", "events", "http", "dhcp", "tftp", "logging", "task-graph-runner", "scheduler", "task"];

const IP: Form = Form::Value("IpAddress");
const MAC: Form = Form::Value("MacAddress");
const RESULT: Form = Form::Value("Result");

/// Where methods are, and what their bodies look like, where that is not as their names say.
pub const ROUTES: &[Route] = &[
    Route::new("configuration", "set").request(Form::Nested("Result")),
    Route::new("configuration", "get").request(Form::Nested("Result")),
    Route::new("dhcp", "lookupIpLease").request(IP).reply(MAC),
    Route::new("dhcp", "ipInRange").request(IP),
    Route::new("dhcp", "removeLease").request(MAC),
    Route::new("dhcp", "removeLeaseByIp").request(IP),
    Route::new("dhcp", "pinMac").request(MAC),
    Route::new("dhcp", "unpinMac").request(MAC),
    Route::new("dhcp", "pinIp").request(IP),
    Route::new("dhcp", "unpinIp").request(IP),
    Route::new("task-graph-runner", "runStoredGraph").key("methods.runTaskGraph.{domain}"),
    Route::new("task-graph-runner", "pauseTaskGraph").request(Form::Whole("Object")),
    Route::new("task-graph-runner", "resumeTaskGraph").request(Form::Whole("Object")),
    Route::new("scheduler", "schedule").key("schedule"),
    Route::new("task", "run").key("run.{taskId}").request(Form::Nested("Result")),
    Route::new("task", "cancel").key("cancel.{taskId}").request(Form::Nested("Result")),
    Route::new("task", "runInDomain").key("{domain}.methods.run"),
    Route::new("task", "cancelTask").key("methods.cancel"),
    Route::new("task", "requestProfile").key("methods.requestProfile.{nodeId}"),
    Route::new("task", "requestProperties").key("methods.requestProperties.{nodeId}"),
    Route::new("task", "requestCommands").key("methods.requestCommands.{nodeId}"),
    Route::new("task", "respondCommands").key("methods.respondCommands.{nodeId}").request(RESULT),
    Route::new("task", "getBootProfile").key("methods.getBootProfile.{nodeId}"),
    Route::new("task", "activeTaskExists").key("methods.activeTaskExists.{nodeId}"),
    // Its two arguments are members, one of which is called `value`.
    Route::new("task", "requestPollerCache").request(Form::Members("Result")),
    Route::new("task", "ipmiCommand").key("ipmi.command.{command}.{graphId}").request(RESULT),
    Route::new("task", "runSnmpCommand").key("run.snmp.command.{graphId}").request(RESULT),
    Route::new("task", "runRedfishCommand").key("run.redfish.command.{graphId}").request(RESULT),
    Route::new("task", "runWsmanCommand").key("run.wsman.command.{graphId}").request(RESULT),
    Route::new("task", "runUcsCommand").key("run.ucs.command.{graphId}").request(RESULT),
    Route::new("task", "runAnsibleCommand").key("run.ansible.command.{graphId}").request(RESULT),
];

/// What is different in the first generation.
pub const LEGACY: &[Route] = &[
    Route::new("configuration", "set").request(Form::Members("Object")),
    Route::new("configuration", "get").request(Form::Members("Object")),
];

/// Where records were that had changed, until April 2015: on the exchange `task`, by mistake.
pub const LEGACY_EVENTS: &[EventRoute] = &[
    EventRoute::new("*.created.*").exchange(TASK),
    EventRoute::new("*.updated.*").exchange(TASK),
    EventRoute::new("*.destroyed.*").exchange(TASK),
];

/// What is different between February and November 2015: `methods.` before the keys of tasks.
pub const METHODS_OF_TASKS: &[Route] = &[
    Route::new("task", "run").key("methods.run.{taskId}").request(Form::Nested("Result")),
    Route::new("task", "cancel").key("methods.cancel.{taskId}").request(Form::Nested("Result")),
];

const TASK: &str = "task";
const WATERLINE: &str = "waterline";

/// Where events are that are not on the exchange `events`, or are not of the type `Object`.
pub const EVENTS: &[EventRoute] = &[
    log(Level::Emerg),
    log(Level::Alert),
    log(Level::Crit),
    log(Level::Critical),
    log(Level::Error),
    log(Level::Warning),
    log(Level::Notice),
    log(Level::Info),
    log(Level::Debug),
    log(Level::Silly),
    // As the conventions were written down.
    EventRoute::new("crti").exchange("logging").of("LogEvent"),
    EventRoute::new("http.response").exchange("http"),
    EventRoute::new("poller.alert.*").of("Result"),
    EventRoute::new("poller.alert.*.*").of("Result"),
    EventRoute::new("ipmi.command.*.result.*").exchange(TASK).of("Result"),
    EventRoute::new("snmp.command.result.*").exchange(TASK).of("Result"),
    EventRoute::new("redfish.command.*.result.*").exchange(TASK).of("Result"),
    EventRoute::new("wsman.command.*.result.*").exchange(TASK).of("Result"),
    EventRoute::new("ucs.command.*.result.*").exchange(TASK).of("Result"),
    EventRoute::new("metric.*.result.*").exchange(TASK).of("Result"),
    EventRoute::new("trigger.*.*.*").exchange(TASK),
    EventRoute::new("*.created.*").exchange(WATERLINE),
    EventRoute::new("*.updated.*").exchange(WATERLINE),
    EventRoute::new("*.destroyed.*").exchange(WATERLINE),
    EventRoute::new("*.tag-added.*").exchange(WATERLINE),
    EventRoute::new("*.tag-removed.*").exchange(WATERLINE),
    EventRoute::new("ssdp.alert.#").exchange("ssdp").of("Result"),
    // Where they are anyway: who subscribes to them asks for no other exchange.
    EventRoute::new(PATTERNS[0]),
    EventRoute::new(PATTERNS[1]),
    EventRoute::new(PATTERNS[2]),
    EventRoute::new(PATTERNS[3]),
    EventRoute::new(PATTERNS[4]),
    EventRoute::new(PATTERNS[5]),
];

const fn log(level: Level) -> EventRoute {
    EventRoute::new(level.as_str()).exchange("logging").of("LogEvent")
}

/// The one route of [`Heartbeat`](crate::later::Heartbeat)s, whose keys could be any: for a dialect that has no other events.
pub const HEARTBEATS: &[EventRoute] = &[EventRoute::new("#").exchange("heartbeat").of("Result")];

/// RackHD's conventions with all contracts of this crate, in the words of a profile.
#[must_use]
pub fn dialect(profile: Profile) -> RackHd {
    RackHd::new(profile)
        .contract(ConfigurationClient::CONTRACT)
        .contract(DhcpClient::CONTRACT)
        .contract(TaskGraphRunnerClient::CONTRACT)
        .contract(SchedulerClient::CONTRACT)
        .contract(TaskClient::CONTRACT)
        .knows(&EXCHANGES)
        .routes(LEGACY)
        .routes(ROUTES)
        .events(EVENTS)
}

/// As the last release speaks.
#[must_use]
pub fn on() -> RackHd {
    dialect(Profile::on())
}

/// As the conventions were first written down.
#[must_use]
pub fn legacy() -> RackHd {
    dialect(Profile::legacy()).routes(LEGACY).events(LEGACY_EVENTS)
}

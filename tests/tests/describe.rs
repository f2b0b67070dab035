//! What a contract and an endpoint say about themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::convert::Infallible;

use rmi_core::{
    CallError, Client as _, Context, Endpoint, Memory, Native, RemoteError, Trust,
    contract::{Description, Style, Version},
    endpoint::EndpointDescription,
    message::Exception,
    remote,
};
use rmi_tests::{tap::Tap, world::World};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A type with a schema.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
struct Lease {
    mac: String,
    #[serde(default)]
    seconds: u32,
}

/// A type without one.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pool(String);

/// One with another schema for each direction.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
struct Step {
    #[serde(default)]
    address: String,
}

#[derive(Debug, thiserror::Error, RemoteError)]
enum DhcpError {
    /// The address is nobody's.
    ///
    /// Ask again later.
    #[error("no lease")]
    NoLease { lease: Lease, pool: Pool },
    #[error("{0}")]
    #[remote(class = "ValueError")]
    Wrong(String),
    #[error("io")]
    #[expect(dead_code, reason = "it is described, and never happens")]
    Io(#[source] std::io::Error),
}

type Found = Result<Option<Lease>, DhcpError>;

/// The DHCP service.
///
/// Of the test.
#[remote(name = "dhcp", version = "1.3", params = named)]
trait Dhcp {
    /// Looks it up.
    ///
    /// Nothing more.
    #[remote(idempotent, timeout = "90s", ttl = "1500ms", alias = "find", since = "1.1", params = positional)]
    async fn lookup(&self, ip: &str, pool: Option<Pool>, lease: &Lease, #[remote(default = 3 + 1)] tries: u8) -> Found;

    #[deprecated(since = "1.2.0", note = "use lookup")]
    async fn scan(&self, #[remote(context)] cx: &Context<Step>, leases: &[Lease]) -> Result<(), Infallible>;

    #[deprecated]
    #[remote(oneway)]
    async fn drop_lease(&self, #[remote(context)] cx: &Context, pool: &Pool);

    async fn raise(&self) -> Result<std::string::String, Exception>;
}

struct Service;

impl Dhcp for Service {
    async fn lookup(&self, _: &str, _: Option<Pool>, _: &Lease, _: u8) -> Found {
        Err(DhcpError::Wrong(String::new()))
    }

    async fn scan(&self, _: &Context<Step>, _: &[Lease]) -> Result<(), Infallible> {
        Ok(())
    }

    async fn drop_lease(&self, _: &Context, _: &Pool) {}

    async fn raise(&self) -> Result<String, Exception> {
        Ok(String::new())
    }
}

/// Without what only the feature adds.
fn without_schemas(mut value: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(object) => {
                let _ = object.remove("schema");
                object.values_mut().for_each(strip);
            }
            Value::Array(array) => array.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut value);
    value
}

#[test]
fn a_contract_describes_itself() {
    let described = DhcpClient::CONTRACT.describe();
    assert_eq!((described.class.as_str(), described.version), ("dhcp", Version { major: 1, minor: 3 }));
    let value = without_schemas(serde_json::to_value(&described).unwrap());
    let expected = json!({
        "class": "dhcp",
        "version": "1.3",
        "docs": "The DHCP service.\n\nOf the test.",
        "methods": [
            {
                "name": "lookup",
                "aliases": ["find"],
                "docs": "Looks it up.\n\nNothing more.",
                "since": "1.1",
                "params": [
                    {"name": "ip", "type": "&str"},
                    {"name": "pool", "type": "Option<Pool>", "optional": true},
                    {"name": "lease", "type": "&Lease"},
                    {"name": "tries", "type": "u8", "optional": true, "default": "3 + 1"},
                ],
                // An alias: named by what it stands for.
                "result": {"type": "Option<Lease>"},
                "error": {
                    "type": "DhcpError",
                    "variants": [
                        {
                            "module": "rmi.dhcp",
                            "class": "DhcpError.NoLease",
                            "docs": "The address is nobody's.\n\nAsk again later.",
                            "fields": [{"name": "lease", "type": "Lease"}, {"name": "pool", "type": "Pool"}],
                        },
                        {"module": "builtins", "class": "ValueError", "fields": [{"type": "String"}]},
                        {"module": "rmi.dhcp", "class": "DhcpError.Io", "raw": true},
                    ],
                },
                "idempotent": true,
                "timeout_ms": 90_000,
                "ttl_ms": 1_500,
            },
            {
                "name": "scan",
                "deprecated": "use lookup",
                "params": [{"name": "leases", "type": "&[Lease]"}],
                "style": "named",
                "result": {"type": "()"},
                "error": {"type": "Infallible", "variants": []},
                "progress": {"type": "Step"},
            },
            {
                "name": "drop_lease",
                "deprecated": "",
                "params": [{"name": "pool", "type": "&Pool"}],
                "style": "named",
                "oneway": true,
                "progress": {"type": "Json"},
            },
            {
                "name": "raise",
                "params": [],
                "style": "named",
                "result": {"type": "std::string::String"},
                "error": {"type": "Exception"},
            },
        ],
    });
    assert_eq!(value, expected, "{}", described.to_json());
}

#[test]
fn a_description_survives_being_written_down() {
    let described = DhcpClient::CONTRACT.describe();
    let again: Description = described.to_json().parse().unwrap();
    assert_eq!(again, described);
    // One of a later time, which says more, is read as far as it is known; one that says less is read as well.
    let other = r#"{"class": "x", "version": "2.0", "colour": "red", "methods": [{"name": "m", "params": [], "price": 7}]}"#;
    let other: Description = other.parse().unwrap();
    assert_eq!((other.methods[0].name.as_str(), other.methods[0].style), ("m", Style::Positional));
    for wrong in ["", "[]", r#"{"class": "x", "version": "new", "methods": []}"#, r#"{"class": "x", "methods": []}"#] {
        assert!(wrong.parse::<Description>().is_err(), "{wrong}");
    }
}

#[test]
fn schemas_are_there_for_the_types_that_have_them() {
    let described = DhcpClient::CONTRACT.describe();
    let [lookup, scan, forget, _] = described.methods.as_slice() else { panic!("four methods") };
    let params: Vec<_> = lookup.params.iter().map(|param| param.ty.schema.as_ref()).collect();
    let [ip, pool, lease, tries] = params.as_slice() else { panic!("four parameters") };
    // Those without are described all the same, in the same trait, with the feature or without it.
    assert_eq!((*pool, &forget.params[0].ty.schema), (None, &None));
    if !cfg!(feature = "schema") {
        assert_eq!((*ip, *lease, *tries), (None, None, None));
        assert_eq!((&lookup.result.as_ref().unwrap().schema, &scan.progress.as_ref().unwrap().schema), (&None, &None));
        return;
    }
    assert_eq!(ip.unwrap(), &json!({"title": "string", "type": "string"}));
    assert_eq!(tries.unwrap()["maximum"], 255);
    let lease = lease.unwrap();
    assert_eq!(lease["description"], "A type with a schema.");
    // What an agent reads may leave out what has a default; what it writes has everything.
    assert_eq!(lease["required"], json!(["mac"]));
    assert_eq!(scan.progress.as_ref().unwrap().schema.as_ref().unwrap()["required"], json!(["address"]));
    assert_eq!(scan.params[0].ty.schema.as_ref().unwrap()["type"], "array");
    let result = lookup.result.as_ref().unwrap().schema.as_ref().unwrap();
    assert_eq!(result["$defs"]["Lease"]["required"], json!(["mac", "seconds"]), "each schema stands alone: {result}");
    let fields = &lookup.error.as_ref().unwrap().variants.as_ref().unwrap()[0].fields;
    assert_eq!((fields[0].ty.schema.is_some(), fields[1].ty.schema.is_some()), (true, false));
    // Any value is one of ours.
    assert_eq!(forget.progress.as_ref().unwrap().schema.as_ref().unwrap()["title"], "Json");
}

#[tokio::test(start_paused = true)]
async fn what_callers_cannot_reach_is_not_shown() {
    for world in World::both() {
        let (wide, narrow) = (Tap::on(&world.bus), Memory::new());
        let only = ["dhcp.lookup", "Admin.describe", "Admin.help"];
        let agent = world.builder("agent", &wide).bind(Native::default(), narrow.clone(), Trust::insecure().only(only));
        let agent = agent.serve(DhcpServer::new(Service)).serve(LeasesServer::new(Service)).start().await.unwrap();
        let outside = Endpoint::builder("outside").bind(Native::default(), narrow, Trust::insecure()).start().await.unwrap();
        let admin = outside.peer("agent").class("Admin");

        let told: EndpointDescription = admin.call("describe", ()).await.unwrap();
        let names: Vec<_> =
            told.contracts.iter().flat_map(|c| c.methods.iter().map(move |m| format!("{}.{}", c.class, m.name))).collect();
        assert_eq!(names, ["Admin.help", "Admin.describe", "dhcp.lookup"]);
        let help: String = admin.call("help", ()).await.unwrap();
        assert!(help.contains("    lookup(") && !help.contains("scan") && !help.contains("leases"), "{help}");
        // What they cannot reach is as little there as what nobody serves.
        for class in ["leases", "dns"] {
            match admin.call::<Value>("describe", [class]).await {
                Err(CallError::Remote(exception)) => {
                    let expected = format!("Exception: class ({class}), not-found; served are Admin, dhcp");
                    assert_eq!(&*exception.exval, expected);
                }
                other => panic!("{other:?}"),
            }
        }

        let inside = world.caller("caller").await;
        let told: EndpointDescription = inside.endpoint.peer("agent").class("Admin").call("describe", ()).await.unwrap();
        assert_eq!(told, agent.describe(), "the other binding is not narrowed");
    }
}

#[tokio::test(start_paused = true)]
async fn help_shows_all_of_a_contract() {
    let world = World::unsealed();
    let _agent = world.builder("agent", &Tap::on(&world.bus)).serve(DhcpServer::new(Service)).start().await.unwrap();
    let caller = world.caller("caller").await;
    let admin = caller.endpoint.peer("agent").class("Admin");
    let all: String = admin.call("help", ()).await.unwrap();
    assert!(
        all.starts_with("agent serves:\n\nAdmin 1.0\n    What every endpoint can be asked.\n\n    hello() -> String\n"),
        "{all}"
    );
    let one: String = admin.call("help", json!({"class": "dhcp"})).await.unwrap();
    let expected = "\
agent serves:

dhcp 1.3
    The DHCP service.

    Of the test.

    lookup(ip: &str, pool: Option<Pool>, lease: &Lease, tries: u8 = 3 + 1) -> Option<Lease>
        Looks it up.

        Nothing more.
        also called find
        since 1.1; idempotent; timeout 90s; ttl 1500ms
        raises DhcpError:
            DhcpError.NoLease(lease: Lease, pool: Pool): The address is nobody's.
            builtins.ValueError(String)
            DhcpError.Io

    scan(leases: &[Lease]) -> ()
        deprecated: use lookup
        arguments by name; reports progress (Step)

    drop_lease(pool: &Pool)
        deprecated
        one-way: nobody waits for its end; arguments by name; reports progress (Json)

    raise() -> std::string::String
        arguments by name; raises Exception
";
    assert_eq!(one, expected, "{one}");
    let long = "x".repeat(10_000);
    for (method, class) in [("help", "dns"), ("describe", &long)] {
        match admin.call::<Value>(method, [class]).await {
            Err(CallError::Remote(exception)) => {
                assert!(exception.exval.contains("not-found; served are Admin, dhcp"), "{exception}");
                assert!(exception.exval.len() < 500, "{exception}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What happens to leases.
#[derive(Debug, rmi_core::RemoteEvent)]
enum LeaseEvent {
    /// One was bound.
    #[remote(key = "lease.bound.{node}.{port}")]
    Bound {
        node: String,
        #[remote(body)]
        port: u16,
        lease: Lease,
        pool: Pool,
    },
}

#[remote(name = "leases", events = LeaseEvent)]
trait Leases {
    async fn count(&self) -> Result<u64, Infallible>;
}

impl Leases for Service {
    async fn count(&self) -> Result<u64, Infallible> {
        Ok(0)
    }
}

#[test]
fn events_are_described_with_their_keys() {
    let described = LeasesClient::CONTRACT.describe();
    let value = without_schemas(serde_json::to_value(&described.events).unwrap());
    let expected = json!({
        "type": "LeaseEvent",
        "docs": "What happens to leases.",
        "kinds": [{
            "name": "Bound",
            "key": "lease.bound.{node}.{port}",
            "docs": "One was bound.",
            "fields": [
                {"name": "node", "type": "String", "carried": "key"},
                {"name": "port", "type": "u16", "carried": "both"},
                {"name": "lease", "type": "Lease"},
                {"name": "pool", "type": "Pool"},
            ],
        }],
    });
    assert_eq!(value, expected, "{value}");
    let fields = &described.events.as_ref().unwrap().kinds[0].fields;
    let schemas: Vec<_> = fields.iter().map(|field| field.ty.schema.is_some()).collect();
    let on = cfg!(feature = "schema");
    // What travels in the key alone is text.
    assert_eq!(schemas, [false, on, on, false]);
    assert_eq!(described.to_json().parse::<Description>().unwrap(), described);
    assert!(described.to_string().contains("lease.bound.{node}.{port}(node: String, port: u16, lease: Lease, pool: Pool): One"));
}

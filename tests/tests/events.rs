//! Events as values: what goes into a key and what into a body, and what is read of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::Ipv4Addr;

use rmi_core::{
    Json, RemoteEvent,
    contract::{Carried, EventContract},
    event::{EventError, KeyFlaw},
    message::Event,
};
use serde_json::json;

/// What the DHCP service tells.
#[derive(Clone, Debug, PartialEq, RemoteEvent)]
#[remote(name = "dhcp", rename_all = "camelCase")]
enum DhcpEvent {
    /// A lease was bound.
    #[remote(key = "dhcp.{pool_name}.bound.{node}")]
    Bound {
        pool_name: String,
        ip_address: Ipv4Addr,
        #[remote(body)]
        node: u64,
        #[remote(default)]
        renewals: u32,
        comment: Option<String>,
    },
    /// Another form of the same length, and another word.
    #[remote(key = "dhcp.{pool}.freed.{node}", rename_all = "SCREAMING_SNAKE_CASE")]
    Freed { pool: String, node: u64, by_whom: Vec<String> },
    #[remote(key = "dhcp.started")]
    Started,
}

/// A struct with one key.
#[derive(Clone, Debug, PartialEq, RemoteEvent)]
#[remote(key = "node.{type}.seen")]
struct Seen {
    r#type: char,
}

fn bound() -> DhcpEvent {
    DhcpEvent::Bound { pool_name: "lab".to_owned(), ip_address: Ipv4Addr::new(10, 0, 0, 9), node: 42, renewals: 3, comment: None }
}

fn event(key: &str, body: serde_json::Value) -> Event {
    Event { key: key.to_owned().into(), body: body.into() }
}

fn read(key: &str, body: serde_json::Value) -> Option<Result<DhcpEvent, String>> {
    DhcpEvent::from_event(&event(key, body)).map(|read| read.map_err(|error| error.to_string()))
}

#[test]
fn an_event_is_written_and_read_back() {
    let freed = DhcpEvent::Freed { pool: "lab 2".to_owned(), node: 7, by_whom: vec!["a\"b".to_owned()] };
    for (value, expected) in [
        (bound(), event("dhcp.lab.bound.42", json!({"ipAddress": "10.0.0.9", "node": 42, "renewals": 3, "comment": null}))),
        (freed, event("dhcp.lab 2.freed.7", json!({"BY_WHOM": ["a\"b"]}))),
        (DhcpEvent::Started, event("dhcp.started", json!({}))),
    ] {
        let written = value.to_event().unwrap();
        assert_eq!(written.key, expected.key);
        assert_eq!(written.body.decode::<serde_json::Value>().unwrap(), expected.body.decode::<serde_json::Value>().unwrap());
        assert_eq!(DhcpEvent::from_event(&written).unwrap().unwrap(), value);
    }
    assert_eq!(Seen { r#type: 'x' }.to_event().unwrap(), event("node.x.seen", json!({})));
    assert_eq!(Seen::from_event(&event("node.y.seen", json!({}))).unwrap().unwrap(), Seen { r#type: 'y' });
}

#[test]
fn what_may_be_missing_is_read_without() {
    let without = read("dhcp.lab.bound.42", json!({"ipAddress": "10.0.0.9", "unknown": 1})).unwrap().unwrap();
    let expected = match bound() {
        DhcpEvent::Bound { pool_name, ip_address, node, comment, .. } => {
            DhcpEvent::Bound { pool_name, ip_address, node, renewals: 0, comment }
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(without, expected);
    // The key is what the bus delivers by, so it is what counts.
    let other = read("dhcp.lab.bound.42", json!({"ipAddress": "10.0.0.9", "node": 43})).unwrap().unwrap();
    assert_eq!(other, expected);
}

#[test]
fn what_does_not_fit_is_told_apart_from_what_is_unknown() {
    for unknown in ["", "dhcp", "dhcp.lab.bound", "dhcp.lab.bound.42.1", "dhcp.lab.BOUND.42", "dhcp.started.again"] {
        assert!(read(unknown, json!({})).is_none(), "{unknown}");
    }
    for (key, body, expected) in [
        ("dhcp.lab.bound.x", json!({"ipAddress": "10.0.0.9"}), "`node`: invalid digit found in string"),
        ("dhcp.lab.bound.7", json!({}), "`ipAddress` is missing"),
        ("dhcp.lab.bound.7", json!({"ipAddress": 9}), "`ipAddress`: invalid type"),
        ("dhcp.lab.bound.7", json!([]), "expected"),
    ] {
        let error = read(key, body).unwrap().unwrap_err();
        assert!(error.starts_with(&format!("an event `{key}` cannot be read: ")) && error.contains(expected), "{error}");
    }
}

#[test]
fn an_error_names_the_field() {
    let written = |pool_name: &str| match bound() {
        DhcpEvent::Bound { ip_address, node, renewals, comment, .. } => {
            DhcpEvent::Bound { pool_name: pool_name.to_owned(), ip_address, node, renewals, comment }.to_event()
        }
        other => panic!("{other:?}"),
    };
    assert!(matches!(written("a.b"), Err(EventError::Word { field: "poolName", flaw: KeyFlaw::Character('.'), .. })));
    let error = written(&"x".repeat(300)).unwrap_err().to_string();
    assert!(error.len() < 200 && error.contains("`poolName`") && error.contains("255"), "{error}");
    // The last word is what makes it too long.
    assert!(matches!(written(&"x".repeat(243)), Err(EventError::Word { field: "node", flaw: KeyFlaw::TooLong(257), .. })));

    #[derive(RemoteEvent)]
    #[remote(key = "a")]
    struct Odd {
        map: std::collections::BTreeMap<(u8, u8), u8>,
    }
    let odd = Odd { map: [((1, 2), 3)].into() };
    assert!(matches!(odd.to_event(), Err(EventError::Write { field: "map", .. })));
}

#[test]
fn the_contract_says_what_the_type_says() {
    let EventContract { name, docs, kinds, .. } = DhcpEvent::EVENTS;
    assert_eq!((*name, *docs), ("dhcp", "What the DHCP service tells."));
    let described: Vec<_> = kinds.iter().map(|kind| (kind.name, kind.key, kind.docs, kind.pattern())).collect();
    assert_eq!(
        described,
        [
            ("Bound", "dhcp.{poolName}.bound.{node}", "A lease was bound.", "dhcp.*.bound.*".to_owned()),
            (
                "Freed",
                "dhcp.{POOL}.freed.{NODE}",
                "Another form of the same length, and another word.",
                "dhcp.*.freed.*".to_owned()
            ),
            ("Started", "dhcp.started", "", "dhcp.started".to_owned()),
        ]
    );
    let fields: Vec<_> = kinds[0].fields.iter().map(|field| (field.name, field.ty, field.carried, field.default)).collect();
    assert_eq!(
        fields,
        [
            ("poolName", "String", Carried::Key, false),
            ("ipAddress", "Ipv4Addr", Carried::Body, false),
            ("node", "u64", Carried::Both, false),
            ("renewals", "u32", Carried::Body, true),
            ("comment", "Option<String>", Carried::Body, false),
        ]
    );
    assert_eq!(Seen::EVENTS.kinds[0].key, "node.{type}.seen");
}

#[test]
fn a_raw_event_is_what_it_is() {
    let raw = event("a.b", json!({"any": [1]}));
    assert_eq!(raw.to_event().unwrap(), raw);
    assert_eq!(Event::from_event(&raw).unwrap().unwrap(), raw);
    assert!(Event { key: "a..b".into(), body: Json::EMPTY_OBJECT }.to_event().is_err());
}

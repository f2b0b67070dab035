//! What a change of a contract does to its callers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rmi_core::{
    Client as _,
    contract::{Description, assert_compatible, check_compatible, compare},
    remote,
};
use serde_json::{Value, json};

/// A contract as it was written down when it was released.
fn released() -> Value {
    json!({
        "class": "dhcp",
        "version": "1.2",
        "methods": [
            {
                "name": "lookup",
                "aliases": ["find"],
                "params": [{"name": "ip", "type": "&str"}, {"name": "tries", "type": "u16", "optional": true, "default": "3"}],
                "result": {"type": "Lease"},
                "error": {"type": "DhcpError", "variants": [
                    {"module": "rmi.dhcp", "class": "DhcpError.NoLease", "fields": [{"name": "mac", "type": "String"}, {"type": "u8"}]},
                    {"module": "rmi.dhcp", "class": "DhcpError.Gone"},
                ]},
                "progress": {"type": "Step"},
                "idempotent": true,
                "timeout_ms": 1000,
            },
            {"name": "drop", "params": [], "oneway": true},
            {"name": "scan", "params": [{"name": "pool", "type": "[u8; 4]"}, {"name": "deep", "type": "bool"}], "style": "named",
             "result": {"type": "u32"}, "error": {"type": "Infallible", "variants": []}},
        ],
        "events": {"type": "DhcpEvent", "kinds": [
            {"name": "Bound", "key": "dhcp.bound.{node}", "fields": [
                {"name": "node", "type": "Node", "carried": "key"}, {"name": "ip", "type": "String"},
            ]},
        ]},
    })
}

fn read(value: &Value) -> Description {
    value.to_string().parse().unwrap()
}

/// A pointer to a value, what it becomes (null: it goes away), a part of what is said about that, and whether it breaks callers.
type Case = (&'static str, Value, &'static str, bool);

fn changed(pointer: &str, new: Value) -> Value {
    let mut value = released();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match (value.pointer_mut(parent).unwrap(), new) {
        (Value::Array(items), Value::Null) => drop(items.remove(key.parse().unwrap())),
        (Value::Array(items), new) if key == "-" => items.push(new),
        (Value::Array(items), new) => items[key.parse::<usize>().unwrap()] = new,
        (Value::Object(object), Value::Null) => drop(object.remove(key)),
        (Value::Object(object), new) => drop(object.insert(key.to_owned(), new)),
        _ => panic!("{pointer}"),
    }
    value
}

fn method(name: &str, since: &str) -> Value {
    json!({"name": name, "params": [], "since": since})
}

#[test]
fn each_change_is_known_for_what_it_does() {
    let lookup = |name: &str, aliases: Value| {
        let mut lookup = released()["methods"][0].clone();
        lookup["name"] = json!(name);
        lookup["aliases"] = aliases;
        lookup
    };
    let mut cases: Vec<Case> = vec![
        ("/class", json!("dns"), "the class was `dhcp`", true),
        ("/version", json!("2.0"), "major 1.2 is no longer described", true),
        ("/version", json!("1.1"), "the version was 1.2 already", true),
        ("/sequential", json!(true), "one after the other", false),
        ("/methods/1", Value::Null, "`drop`: the method is gone", true),
        ("/methods/0", lookup("seek", json!(["find", "lookup"])), "it was `lookup`, and still answers to that", false),
        ("/methods/0", lookup("seek", json!(["find"])), "`lookup`: the method is gone", true),
        ("/methods/0/aliases/0", Value::Null, "no longer answers to `find`", true),
        ("/methods/-", method("renew", "1.3"), "`renew`: the method is new", false),
        ("/methods/0/params/1", Value::Null, "the parameter `tries` is gone", true),
        ("/methods/0/params/0/name", json!("address"), "the parameter `ip` is `address` now", true),
        ("/methods/0/params/-", json!({"name": "new", "type": "u8"}), "`new` is new, and whoever does not know it", true),
        (
            "/methods/0/params/-",
            json!({"name": "new", "type": "Option<u8>", "optional": true}),
            "the parameter `new` is new",
            false,
        ),
        ("/methods/0/params/1/optional", Value::Null, "may no longer be left out", true),
        ("/methods/0/params/1/default", json!("4"), "`tries` has another default", false),
        ("/methods/0/params/1/type", json!("u8"), "the parameter `tries` is `u8` and was `u16`: keep", true),
        ("/methods/0/params/1/type", json!("i32"), "is `i32` and was `u16`, which does no harm", false),
        ("/methods/0/params/1/type", json!("Option<u16>"), "which does no harm", false),
        ("/methods/2/params/0/type", json!("[u8; 6]"), "is `[u8; 6]` and was `[u8; 4]`", true),
        ("/methods/0/style", json!("named"), "in the other form", false),
        ("/methods/0/result/type", json!("Leases"), "the result is `Leases` and was `Lease`", true),
        // What a result may be its caller has to understand: less is more.
        ("/methods/2/result/type", json!("u8"), "which does no harm", false),
        ("/methods/2/result/type", json!("u64"), "the result is `u64` and was `u32`: keep", true),
        ("/methods/0/progress/type", json!("Stage"), "the progress is `Stage` and was `Step`", true),
        ("/methods/0/progress", Value::Null, "no longer reports progress", false),
        ("/methods/2/progress", json!({"type": "Step"}), "it reports progress now", false),
        ("/methods/0/error/variants/1", Value::Null, "no longer raises `DhcpError.Gone`", false),
        (
            "/methods/0/error/variants/-",
            json!({"module": "builtins", "class": "ValueError"}),
            "it can raise `ValueError` now",
            false,
        ),
        ("/methods/0/error/variants/0/fields/0", Value::Null, "`DhcpError.NoLease` has lost `mac`", true),
        ("/methods/0/error/variants/0/fields/1", Value::Null, "`DhcpError.NoLease` has lost field 0", true),
        ("/methods/0/error/variants/0/fields/0/type", json!("u64"), "`mac` of `DhcpError.NoLease` is `u64`", true),
        ("/methods/0/error/variants", Value::Null, "", false),
        ("/methods/0/idempotent", Value::Null, "no longer idempotent", true),
        ("/methods/2/idempotent", json!(true), "it is idempotent now", false),
        ("/methods/2/oneway", json!(true), "it is one-way now", true),
        ("/methods/1/oneway", Value::Null, "no longer one-way", false),
        ("/methods/0/timeout_ms", json!(2000), "its timeout has changed", false),
        ("/methods/0/ttl_ms", json!(2000), "its ttl has changed", false),
        ("/methods/0/deprecated", json!("use seek"), "it is deprecated now", false),
        ("/events", Value::Null, "events of the key `dhcp.bound.{node}` are gone", true),
        ("/events/kinds/0/key", json!("dhcp.bind.{node}"), "are gone", true),
        ("/events/kinds/0/key", json!("dhcp.bound.{where}"), "", false),
        ("/events/kinds/-", json!({"name": "Freed", "key": "dhcp.freed"}), "`dhcp.freed` are new", false),
        ("/events/kinds/0/fields/1", Value::Null, "have lost `ip`", true),
        ("/events/kinds/0/fields/1/type", json!("u32"), "`ip` of the event `dhcp.bound.{node}` is `u32`", true),
        ("/docs", json!("Another text."), "", false),
        ("/methods/0/since", json!("1.1"), "", false),
    ];
    // Paths and references do not count.
    for same in ["String", "&'static str", "std::string::String"] {
        cases.push(("/methods/0/params/0/type", json!(same), "", false));
    }
    let old = read(&released());
    assert_eq!(compare(&old, &old), []);
    for (pointer, new, said, breaking) in cases {
        let findings = compare(&old, &read(&changed(pointer, new.clone())));
        let texts: Vec<_> = findings.iter().map(ToString::to_string).collect();
        if said.is_empty() {
            assert!(texts.is_empty(), "{pointer} = {new}: {texts:?}");
        } else {
            assert!(texts.iter().any(|text| text.contains(said)), "{pointer} = {new}: {texts:?}");
        }
        assert_eq!(findings.iter().any(|finding| finding.is_breaking()), breaking, "{pointer} = {new}: {texts:?}");
    }
}

#[test]
fn order_counts_where_arguments_are_given_by_position() {
    let old = read(&released());
    for (method, breaking) in [(0, true), (2, false)] {
        let mut value = released();
        value["methods"][method]["params"].as_array_mut().unwrap().reverse();
        let findings = compare(&old, &read(&value));
        let texts: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(matches!(texts.as_slice(), [one] if one.contains("the parameters have another order")), "{texts:?}");
        assert_eq!(findings[0].is_breaking(), breaking);
        // What is new goes to the end.
        let mut value = released();
        let new = json!({"name": "new", "type": "Option<u8>", "optional": true});
        value["methods"][method]["params"].as_array_mut().unwrap().insert(0, new);
        let findings = compare(&old, &read(&value));
        assert_eq!(findings.iter().any(|finding| finding.is_breaking()), breaking, "{findings:?}");
    }
}

#[test]
fn what_is_new_raises_the_version() {
    let old = read(&released());
    let mut value = changed("/methods/-", method("renew", "1.3"));
    let texts = |value: &Value| compare(&old, &read(value)).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(texts(&value).iter().any(|text| text.contains("the version is 1.2 as before")), "{:?}", texts(&value));
    value["version"] = json!("1.3");
    assert_eq!(texts(&value), ["`renew`: the method is new"]);
}

#[test]
fn schemas_say_more_than_names() {
    let lease = |required: Value, more: Value| {
        let mut lease = json!({
            "type": "object", "description": "A lease.", "required": required,
            "properties": {
                "ip": {"type": "string", "format": "ipv4"},
                "next": {"anyOf": [{"$ref": "#/$defs/Lease"}, {"type": "null"}]},
                "state": {"oneOf": [{"const": "bound"}, {"const": "free"}]},
                "class": {"type": "string"},
            },
        });
        for (name, schema) in more.as_object().unwrap() {
            let _ = lease["properties"].as_object_mut().unwrap().insert(name.clone(), schema.clone());
        }
        json!({"$ref": "#/$defs/Lease", "$defs": {"Lease": lease}})
    };
    let before = lease(json!(["ip"]), json!({}));
    // (what it becomes, harmless as a parameter, harmless as a result)
    let cases = [
        (lease(json!(["ip"]), json!({"mac": {"type": "string"}})), true, true),
        (lease(json!(["ip", "mac"]), json!({"mac": {"type": "string"}})), false, true),
        (lease(json!([]), json!({})), true, false),
        (lease(json!(["ip"]), json!({"class": {"type": ["string", "null"]}})), true, false),
        (lease(json!(["ip"]), json!({"class": {"type": "integer"}})), false, false),
        (lease(json!(["ip"]), json!({"state": {"oneOf": [{"const": "bound"}]}})), false, true),
        (
            lease(json!(["ip"]), json!({"state": {"oneOf": [{"const": "bound"}, {"const": "free"}, {"const": "lost"}]}})),
            true,
            false,
        ),
        (lease(json!(["ip"]), json!({"class": {"type": "string", "maxLength": 8}})), false, true),
        (json!(true), true, false),
    ];
    let with = |place: &str, schema: &Value| {
        let mut value = released();
        value["methods"][0][place]["schema"] = schema.clone();
        read(&value)
    };
    let with_param = |schema: &Value| {
        let mut value = released();
        value["methods"][0]["params"][0]["schema"] = schema.clone();
        read(&value)
    };
    for (after, as_param, as_result) in cases {
        for (old, new, harmless) in
            [(with_param(&before), with_param(&after), as_param), (with("result", &before), with("result", &after), as_result)]
        {
            let findings = compare(&old, &new);
            assert_eq!(findings.len(), 1, "{after}: {findings:?}");
            assert_eq!(findings[0].is_breaking(), !harmless, "{after}: {findings:?}");
        }
    }
    // What only documents is no change; nor is a schema that only one of the two has.
    let mut documented = before.clone();
    documented["$defs"]["Lease"]["description"] = json!("Another text.");
    assert_eq!(compare(&with("result", &before), &with("result", &documented)), []);
    assert_eq!(compare(&with("result", &before), &read(&released())), []);
    // Another name for the same form does no harm.
    let mut renamed = released();
    renamed["methods"][0]["result"] = json!({"type": "Binding", "schema": before});
    let findings = compare(&with("result", &before), &read(&renamed));
    assert!(findings.len() == 1 && !findings[0].is_breaking(), "{findings:?}");
}

/// A description may be a peer's.
#[test]
fn a_comparison_ends_whatever_it_is_given() {
    let with_param = |ty: &str, schema: &Value| {
        let mut value = released();
        value["methods"][0]["params"][0]["type"] = json!(ty);
        value["methods"][0]["params"][0]["schema"] = schema.clone();
        read(&value)
    };
    let nested = |first: Value| {
        let inside = json!({"items": {"items": {"$ref": "#/$defs/A"}}});
        json!({"items": first, "$defs": {"A": inside}})
    };
    // Types that contain themselves, and whose references never meet: the same values.
    let (one, other) = (nested(json!({"$ref": "#/$defs/A"})), nested(json!({"items": {"$ref": "#/$defs/A"}})));
    let findings = compare(&with_param("u8", &one), &with_param("u8", &other));
    assert!(findings.iter().all(|finding| !finding.is_breaking()), "{findings:?}");
    // Alternatives within alternatives.
    let mut definitions = serde_json::Map::new();
    for level in 0..200 {
        let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
        let object = |name: &str| json!({"type": "object", "properties": {"a": next, "b": next}, "required": [name]});
        let _ = definitions.insert(level.to_string(), json!({"anyOf": [object("a"), object("b"), object("c")]}));
    }
    let tree = |last: Value| {
        let mut definitions = definitions.clone();
        let _ = definitions.insert("200".to_owned(), last);
        json!({"$ref": "#/$defs/0", "$defs": definitions})
    };
    let findings =
        compare(&with_param("u8", &tree(json!({"type": "string"}))), &with_param("u8", &tree(json!({"type": "null"}))));
    assert!(findings.iter().any(|finding| finding.is_breaking()), "{findings:?}");
    // A name that is nothing but brackets.
    let brackets = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let findings = compare(&with_param(&brackets, &json!(true)), &with_param("[&[&str]]", &json!(true)));
    assert_eq!(findings.len(), 1);
    assert_eq!(compare(&with_param("[&[&str]]", &json!(true)), &with_param("&Vec<Vec<String>>", &json!(true))), []);
}

/// What was found to differ once differs wherever it is met again.
#[test]
fn a_difference_is_not_forgotten_in_the_next_alternative() {
    let with_param = |schema: &Value| {
        let mut value = released();
        value["methods"][0]["params"][0]["schema"] = schema.clone();
        read(&value)
    };
    let variant = |more: &str| {
        let properties = json!({"lease": {"$ref": "#/$defs/Lease"}, more: {"type": "string"}});
        json!({"type": "object", "properties": properties, "required": ["lease"]})
    };
    let lease = |ty: &str| json!({"Lease": {"type": ty}});
    let before = json!({"type": "object", "properties": {"lease": {"$ref": "#/$defs/Lease"}}, "required": ["lease"],
        "$defs": lease("string")});
    let after = json!({"anyOf": [variant("a"), variant("b")], "$defs": lease("integer")});
    let findings = compare(&with_param(&before), &with_param(&after));
    assert!(findings.iter().any(|finding| finding.is_breaking()), "{findings:?}");
}

#[remote(name = "dhcp", version = "1.3")]
trait Dhcp {
    async fn lookup(&self, ip: String) -> Result<String, std::convert::Infallible>;

    #[remote(since = "1.3")]
    async fn renew(&self, ip: &str, #[remote(default)] seconds: u32) -> Result<(), std::convert::Infallible>;
}

#[test]
fn a_contract_is_compared_with_what_was_written_down() {
    let stored = json!({"class": "dhcp", "version": "1.2", "methods": [
        {"name": "lookup", "params": [{"name": "ip", "type": "&str"}], "result": {"type": "String"}},
    ]});
    assert_compatible(read(&stored), DhcpClient::CONTRACT);

    let mut stored = stored;
    stored["methods"][0]["params"][0]["type"] = json!("u32");
    stored["methods"].as_array_mut().unwrap().push(json!({"name": "drop", "params": []}));
    let error = check_compatible(read(&stored), DhcpClient::CONTRACT).unwrap_err();
    assert_eq!(error.breaking.len(), 2);
    let text = error.to_string();
    assert!(
        text.starts_with("dhcp 1.3 breaks callers of dhcp 1.2; undo this, or make it a new major:\n  * `lookup`: "),
        "{text}"
    );
    assert!(text.contains("\n  * `drop`: the method is gone"), "{text}");
    let stored = read(&stored);
    assert!(std::panic::catch_unwind(move || assert_compatible(&stored, DhcpClient::CONTRACT)).is_err());
}

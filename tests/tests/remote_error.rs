//! What a service raises is what its caller gets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rmi_core::{Json, error::RemoteError, message::Exception};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Food {
    kind: String,
    grams: u32,
}

/// Does not serialise.
#[derive(Debug)]
struct Teeth;

#[derive(Debug, thiserror::Error, rmi_core::RemoteError)]
enum DogError {
    #[error("{name} is asleep")]
    Asleep { name: String, until: Option<u64> },
    #[error("wants {1:?} since {0}")]
    Hungry(u64, Food),
    #[error("gone")]
    Gone,
    #[error("no tricks")]
    NoTricks {},
    #[error("{0} is no trick")]
    #[remote(class = "ValueError")]
    NoTrick(String),
    #[error("no {what} in {place}")]
    #[remote(class = "kennel.errors.NotFound", module = "kennel", rename_all = "camelCase")]
    NotFound {
        what: String,
        #[remote(name = "where")]
        place: String,
        bone_count: u32,
    },
    #[error("stopped")]
    #[remote(class = "KeyboardInterrupt", module = "builtins")]
    Stopped,
    #[error("old")]
    #[remote(name = "AncientName")]
    Renamed,
    #[error(transparent)]
    Leash(#[from] std::io::Error),
    #[error("torn after {length} m")]
    Torn {
        length: u32,
        #[source]
        cause: std::fmt::Error,
    },
    #[error("bit {who}")]
    Bit {
        who: String,
        #[remote(skip)]
        teeth: Teeth,
    },
    #[error("unspeakable")]
    #[remote(skip)]
    Unspeakable(Teeth, String),
    #[error("vanished")]
    #[remote(skip)]
    Vanished,
}

#[derive(Debug, PartialEq, thiserror::Error, rmi_core::RemoteError)]
#[error("full at {0}")]
struct Full(u32);

#[derive(Debug, PartialEq, thiserror::Error, rmi_core::RemoteError)]
#[error("{free_bytes} bytes are too few")]
#[remote(rename_all = "camelCase", name = "disk-full")]
struct DiskFull {
    free_bytes: u64,
}

#[derive(Debug, PartialEq, thiserror::Error, rmi_core::RemoteError)]
#[error("nothing")]
struct Nothing;

#[derive(Debug, PartialEq, thiserror::Error, rmi_core::RemoteError)]
#[remote(rename_all = "snake_case", name = "pool")]
enum Renaming {
    #[error("first")]
    FirstOne,
    #[error("second")]
    #[remote(name = "2nd")]
    SecondOne { r#type: u8 },
}

#[derive(Debug, thiserror::Error, rmi_core::RemoteError)]
enum Never {}

/// What an exception is after it has been written and read as JSON.
fn parts(exception: &Exception) -> (String, String, Value, Value) {
    let value = |json: &Json| json.decode::<Value>().unwrap();
    (
        exception.xmodule.as_deref().unwrap().to_owned(),
        exception.xclass.as_deref().unwrap().to_owned(),
        value(&exception.xargs),
        value(&exception.xstate),
    )
}

fn raise(error: &impl RemoteError) -> Exception {
    error.to_exception("dog")
}

fn read(exception: &Exception) -> Option<DogError> {
    DogError::from_exception(exception, "dog")
}

#[test]
fn named_fields_are_the_state() {
    let exception = raise(&DogError::Asleep { name: "rex".into(), until: None });
    let (module, class, args, state) = parts(&exception);
    assert_eq!((module.as_str(), class.as_str()), ("rmi.dog", "DogError.Asleep"));
    assert_eq!(exception.exval, "DogError.Asleep: rex is asleep");
    assert_eq!(args, json!(["rex is asleep"]));
    assert_eq!(state, json!({"name": "rex", "until": null, "trace": "DogError.Asleep: rex is asleep"}));
    assert!(matches!(read(&exception), Some(DogError::Asleep { name, until: None }) if name == "rex"));
}

#[test]
fn unnamed_fields_are_the_arguments() {
    let food = Food { kind: "bone".into(), grams: 200 };
    let exception = raise(&DogError::Hungry(7, food.clone()));
    let (_, class, args, _) = parts(&exception);
    assert_eq!(class, "DogError.Hungry");
    assert_eq!(args, json!([7, {"kind": "bone", "grams": 200}]));
    assert!(matches!(read(&exception), Some(DogError::Hungry(7, read)) if read == food));
}

#[test]
fn variants_without_fields_come_back() {
    assert!(matches!(read(&raise(&DogError::Gone)), Some(DogError::Gone)));
    assert!(matches!(read(&raise(&DogError::NoTricks {})), Some(DogError::NoTricks {})));
}

#[test]
fn a_wire_name_stands_for_the_variant() {
    let exception = raise(&DogError::Renamed);
    assert_eq!(exception.xclass.as_deref(), Some("DogError.AncientName"));
    assert!(matches!(read(&exception), Some(DogError::Renamed)));
}

#[test]
fn a_python_class_is_written_and_read() {
    let exception = raise(&DogError::NoTrick("fly".into()));
    let (module, class, args, state) = parts(&exception);
    assert_eq!((module.as_str(), class.as_str()), ("builtins", "ValueError"));
    assert_eq!(args, json!(["fly"]));
    assert_eq!(state, json!({"trace": "ValueError: fly is no trick"}));

    let from_python = Exception::new("builtins", "ValueError", "swim");
    assert!(matches!(read(&from_python), Some(DogError::NoTrick(trick)) if trick == "swim"));
    let with_another_argument = Exception { xargs: Json::from(json!([12])), ..from_python };
    assert!(read(&with_another_argument).is_none(), "a number is no string");
}

#[test]
fn a_class_of_another_module_keeps_its_fields_under_their_wire_names() {
    let exception = raise(&DogError::NotFound { what: "bone".into(), place: "garden".into(), bone_count: 0 });
    let (module, class, _, state) = parts(&exception);
    assert_eq!((module.as_str(), class.as_str()), ("kennel", "kennel.errors.NotFound"));
    assert_eq!(state["where"], "garden");
    assert_eq!(state["boneCount"], 0);
    assert!(matches!(read(&exception), Some(DogError::NotFound { place, .. }) if place == "garden"));
    assert!(matches!(read(&Exception::new("builtins", "KeyboardInterrupt", "")), Some(DogError::Stopped)));
}

#[test]
fn what_nobody_claims_stays_raw() {
    for (module, class) in [
        ("builtins", "KeyError"),
        ("somewhere", "ValueError"),
        ("rmi.cat", "DogError.Gone"),
        ("rmi.dog", "DogError.Nope"),
        ("rmi.dog", "Gone"),
        ("rmi.dog", "ValueError"),
        ("dog", "DogError.Gone"),
        ("builtins", "DogError.Gone"),
    ] {
        assert!(read(&Exception::new(module, class, "x")).is_none(), "{module} {class}");
    }
    let nameless = Exception { xmodule: None, xclass: None, ..Exception::new("", "", "x") };
    assert!(read(&nameless).is_none());
}

#[test]
fn a_field_that_is_missing_or_has_another_type_leaves_it_raw() {
    let good = raise(&DogError::Asleep { name: "rex".into(), until: Some(3) });
    let with = |state: Value| Exception { xstate: Json::from(state), ..good.clone() };
    assert!(read(&with(json!({"name": "rex", "until": 3, "extra": true}))).is_some());
    assert!(read(&with(json!({"name": "rex"}))).is_some(), "a missing option is none");
    assert!(read(&with(json!({"until": 3}))).is_none());
    assert!(read(&with(json!({"name": 1, "until": 3}))).is_none());
    assert!(read(&with(json!(null))).is_none());
    assert!(read(&with(json!([1]))).is_none());
}

#[test]
fn what_cannot_come_back_goes_out() {
    let leash = raise(&DogError::from(std::io::Error::other("snapped")));
    assert_eq!(leash.xclass.as_deref(), Some("DogError.Leash"));
    assert_eq!(leash.message(), "snapped");
    assert!(read(&leash).is_none());

    let torn = raise(&DogError::Torn { length: 3, cause: std::fmt::Error });
    assert_eq!(parts(&torn).3["length"], 3);
    assert!(parts(&torn).3.get("cause").is_none());
    assert!(read(&torn).is_none());

    let bit = raise(&DogError::Bit { who: "postman".into(), teeth: Teeth });
    assert_eq!(parts(&bit).3["who"], "postman");
    assert!(read(&bit).is_none());

    let unspeakable = raise(&DogError::Unspeakable(Teeth, "secret".into()));
    assert_eq!(unspeakable.exval, "DogError.Unspeakable: unspeakable");
    assert_eq!(parts(&unspeakable).2, json!(["unspeakable"]), "its fields are skipped with it");
    assert!(read(&unspeakable).is_none());

    let vanished = raise(&DogError::Vanished);
    assert_eq!(vanished.xclass.as_deref(), Some("DogError.Vanished"));
    assert!(read(&vanished).is_none());
}

#[test]
fn structs_travel_under_their_own_name() {
    let full = raise(&Full(9));
    assert_eq!(full.xclass.as_deref(), Some("Full"));
    assert_eq!(Full::from_exception(&full, "dog"), Some(Full(9)));

    let disk = raise(&DiskFull { free_bytes: 12 });
    assert_eq!(disk.xclass.as_deref(), Some("disk-full"));
    assert_eq!(parts(&disk).3["freeBytes"], 12);
    assert_eq!(DiskFull::from_exception(&disk, "dog"), Some(DiskFull { free_bytes: 12 }));

    assert_eq!(Nothing::from_exception(&raise(&Nothing), "dog"), Some(Nothing));
    assert_eq!(Nothing::from_exception(&raise(&Nothing), "cat"), None);
}

#[test]
fn an_enum_may_rename_all_its_variants() {
    let first = raise(&Renaming::FirstOne);
    assert_eq!(first.xclass.as_deref(), Some("pool.first_one"));
    assert_eq!(Renaming::from_exception(&first, "dog"), Some(Renaming::FirstOne));
    let second = raise(&Renaming::SecondOne { r#type: 2 });
    assert_eq!(second.xclass.as_deref(), Some("pool.2nd"));
    assert_eq!(parts(&second).3["type"], 2);
    assert_eq!(Renaming::from_exception(&second, "dog"), Some(Renaming::SecondOne { r#type: 2 }));
}

#[test]
fn an_error_without_variants_is_never_read() {
    assert!(Never::from_exception(&raise(&Full(1)), "dog").is_none());
}

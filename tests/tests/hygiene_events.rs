//! `#[derive(RemoteEvent)]` beside names, conditions and attributes that could get in its way. Warnings are errors here.
#![deny(warnings)]
#![allow(dead_code, missing_docs, unreachable_pub, missing_debug_implementations)]

use rmi_core::RemoteEvent;

/// Types and traits that are called like those of the standard library, and fields like what generated code calls its own.
mod shadows {
    use rmi_core::RemoteEvent;

    pub struct Option;
    pub struct Result;
    pub struct Some;
    pub struct Ok;
    pub struct String;
    pub struct Vec;
    pub trait Send {}
    pub trait Default {}

    #[derive(RemoteEvent)]
    pub enum Event {
        #[remote(key = "shadows.ok.{r}.{event}")]
        Ok { r: u8, event: u8, __writer: u8, __reader: u8, body: std::option::Option<u8> },
        #[remote(key = "shadows.none")]
        None,
        #[remote(key = "shadows.err.{type}")]
        Err { r#type: u8, r#match: bool },
        #[remote(key = "shadows.some")]
        Some {},
    }
}

#[derive(Debug, PartialEq, RemoteEvent)]
pub enum Conditional {
    /// "Quoted" \ {braces} {} `ticks` *stars*
    #[deprecated(note = "nobody does that any more")]
    #[remote(key = "conditional.old")]
    Old,
    #[cfg(any())]
    #[remote(key = "conditional.gone")]
    Gone { what: Missing },
    #[remote(key = "conditional.partly.{there}")]
    Partly {
        #[cfg(any())]
        gone: Missing,
        #[cfg(not(any()))]
        there: u8,
        #[deprecated]
        #[remote(default)]
        old: u8,
    },
}

#[derive(Debug, RemoteEvent)]
#[deprecated]
#[cfg_attr(not(any()), remote(key = "conditional.attribute.{x}"))]
pub struct Attribute {
    x: u8,
}

macro_rules! event {
    ($name:ident, $key:literal, $ty:ty) => {
        #[derive(Debug, PartialEq, RemoteEvent)]
        #[remote(key = $key)]
        struct $name {
            value: $ty,
        }
    };
}
event!(FromAMacro, "made.{value}", u8);

#[test]
#[allow(deprecated)]
fn events_travel_whatever_is_around_them() -> Result<(), rmi_core::event::EventError> {
    let keys: Vec<_> = Conditional::EVENTS.kinds.iter().map(|kind| kind.key).collect();
    assert_eq!(keys, ["conditional.old", "conditional.partly.{there}"]);
    assert_eq!(Conditional::EVENTS.kinds[0].docs, "\"Quoted\" \\ {braces} {} `ticks` *stars*");
    let event = Conditional::Partly { there: 7, old: 8 }.to_event()?;
    assert_eq!((&*event.key, event.body.as_str()), ("conditional.partly.7", r#"{"old":8}"#));
    assert_eq!(Conditional::from_event(&event).transpose()?, Some(Conditional::Partly { there: 7, old: 8 }));
    assert_eq!(&*FromAMacro { value: 3 }.to_event()?.key, "made.3");
    let clashing = shadows::Event::Ok { r: 1, event: 2, __writer: 3, __reader: 4, body: None }.to_event()?;
    assert_eq!(&*clashing.key, "shadows.ok.1.2");
    Ok(())
}

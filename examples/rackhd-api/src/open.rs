//! Events whose bodies are whatever their publishers say.

use rmi_core::{Json, event::EventError, json::JsonError, message::Event, text::Text};

use crate::Object;

/// Writes an event with this body.
pub(crate) fn write(key: impl Into<Text>, body: &Object) -> Result<Event, EventError> {
    let body = Json::encode(body).map_err(|error: JsonError| EventError::Write { field: "body", error })?;
    Ok(Event { key: key.into(), body })
}

/// The body of an event.
pub(crate) fn read(event: &Event) -> Result<Object, EventError> {
    event.body.decode().map_err(|error| EventError::Read { key: event.key.clone(), error: error.to_string() })
}

/// Events whose keys end with one word that says what they are about, or not at all, and whose bodies are whatever their publishers say.
macro_rules! open_events {
    ($($(#[$doc:meta])* $name:ident { $(#[$about_doc:meta])* $about:ident: $ty:ty } = $first:literal, $plain:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(#[$about_doc])*
            pub $about: Option<$ty>,
            /// What its publisher says.
            pub body: $crate::Object,
        }

        impl rmi_core::RemoteEvent for $name {
            const EVENTS: &'static rmi_core::contract::EventContract = &rmi_core::contract::EventContract::new(
                stringify!($name),
                &[],
            );

            fn to_event(&self) -> Result<rmi_core::message::Event, rmi_core::event::EventError> {
                let key = match &self.$about {
                    Some(about) => format!(concat!($first, ".{}"), about),
                    None => $first.to_owned(),
                };
                $crate::open::write(key, &self.body)?.to_event()
            }

            fn from_event(event: &rmi_core::message::Event) -> Option<Result<Self, rmi_core::event::EventError>> {
                let rest = event.key.strip_prefix($first).filter(|_| Self::knows(&event.key))?;
                let $about = rest.strip_prefix('.').map(|about| about.to_owned().into());
                Some($crate::open::read(event).map(|body| $name { $about, body }))
            }

            fn knows(key: &str) -> bool {
                match key.strip_prefix($first) {
                    Some("") => $plain,
                    Some(rest) => rest.strip_prefix('.').is_some_and(|about| !about.is_empty() && !about.contains('.')),
                    None => false,
                }
            }

            fn patterns() -> Vec<rmi_core::text::Text> {
                let plain = $plain.then_some(rmi_core::text::Text::from_static($first));
                plain.into_iter().chain([rmi_core::text::Text::from_static(concat!($first, ".*"))]).collect()
            }
        }
    )*};
}

pub(crate) use open_events;

use crate::{json::Json, text::Text};

/// Something happened; nobody is asked to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened, as a routing key (`dhcp.bind.success.42`).
    pub key: Text,
    /// The fields that the key does not carry: an object.
    pub body: Json,
}

//! What a reply needs of its request.

use std::borrow::Cow;

use rmi_core::{
    address::Address,
    json::Json,
    message::{Head, ReplyPath},
    text::Text,
};
use serde::{Deserialize, Serialize};

/// What a reply needs of its request: nothing on the wire says which method it is of.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Token<'a> {
    #[serde(borrow)]
    pub(super) class: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) method: Cow<'a, str>,
    /// The reply queue, where its name would be taken for an exchange and a key: that of a direct reply has `/` in it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) queue: Option<Cow<'a, str>>,
    /// The request's correlation id.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) correlation: Option<Cow<'a, str>>,
}

impl<'a> Token<'a> {
    /// Where the reply to a request goes: always to a queue, by the default exchange.
    pub(super) fn path(class: &'a str, method: &'a str, queue: &'a Text, correlation: Option<&'a Text>) -> ReplyPath {
        let hidden = queue.contains('/');
        let token = Token {
            class: Cow::Borrowed(class),
            method: Cow::Borrowed(method),
            queue: hidden.then(|| Cow::Borrowed(&**queue)),
            correlation: correlation.map(|id| Cow::Borrowed(&**id)),
        };
        let to = if hidden { Text::from(queue.replace('/', "%2F")) } else { queue.clone() };
        ReplyPath { to: Address::from(to), token: Json::encode(&token).ok() }
    }

    /// The token of the request that a message is about.
    pub(super) fn of(head: &'a Head) -> Option<Self> {
        head.reply.as_ref()?.token.as_ref()?.decode_borrowed().ok()
    }
}

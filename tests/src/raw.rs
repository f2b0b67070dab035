//! Messages as they are on the wire, without an endpoint of ours at this end.

use std::time::Duration;

use rmi_core::{
    Memory,
    seal::{Authenticator, Wrapped, peel, wrap},
    time::Timestamp,
    transport::{Deliveries, Destination, Disposition, Frame, Purpose, Receipt, Sharing, Source, Subscription, Transport},
};
use serde_json::{Value, json};

use crate::soon::soon;

/// A message that a test writes key by key.
#[derive(Clone, Debug)]
pub struct Raw(pub Value);

impl Raw {
    /// A request for a method of the probe.
    #[must_use]
    pub fn request(to: &str, method: &str, args: Value) -> Self {
        Raw(json!({
            "data": null,
            "replyto": null,
            "request": {"args": args, "classname": "probe", "cntr": null, "kws": {}, "method": method},
            "routing": ["caller", to],
            "version": "2.0",
        }))
    }

    /// A reply to a request that arrived: these keys beside what every reply has.
    #[must_use]
    pub fn reply(request: &Value, by: &str, keys: Value) -> Self {
        let mut reply = json!({
            "data": request["data"],
            "routing": [by, request["replyto"]],
            "sn": request["sn"],
            "timestamp": "2026-11-20T23:56:00Z",
            "version": "2.0",
        });
        for (key, value) in keys.as_object().expect("keys") {
            reply[key] = value.clone();
        }
        Raw(reply)
    }

    /// The same with another value of a key; `null` removes nothing.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0[key] = value.into();
        self
    }

    /// The serial number.
    #[must_use]
    pub fn sn(self, sn: &str) -> Self {
        self.with("sn", sn)
    }

    /// The reply address.
    #[must_use]
    pub fn reply_to(self, address: &str) -> Self {
        self.with("replyto", address)
    }

    /// The date.
    #[must_use]
    pub fn sent(self, at: Timestamp) -> Self {
        self.with("timestamp", at.to_millis())
    }

    /// The sender.
    #[must_use]
    pub fn from(mut self, sender: &str) -> Self {
        self.0["routing"][0] = sender.into();
        self
    }

    /// The time to live.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.0["rmi"]["ttl"] = u64::try_from(ttl.as_millis()).expect("a short time").into();
        self
    }

    /// The statuses that are wanted.
    #[must_use]
    pub fn wants(mut self, statuses: &[&str]) -> Self {
        self.0["rmi"]["statuses"] = statuses.into();
        self
    }

    /// Whom it is for.
    #[must_use]
    pub fn destination(&self) -> &str {
        self.0["routing"][1].as_str().expect("a destination")
    }

    /// As it travels, not signed.
    #[must_use]
    pub fn plain(&self) -> String {
        self.0.to_string()
    }

    /// As it travels, signed.
    #[must_use]
    pub fn signed(&self, by: &impl Authenticator) -> String {
        let text = self.plain();
        let signature = by.sign(&[text.as_bytes()]).expect("it can be signed").pop().expect("one for each");
        String::from_utf8(wrap(&text, &signature).to_vec()).expect("JSON")
    }
}

/// Publishes a payload at an address.
pub async fn publish(bus: &Memory, to: &str, payload: impl Into<bytes::Bytes>) -> Receipt {
    let frame = Frame::new(Destination::Address(to.to_owned().into()), payload);
    bus.publish(frame).await.expect("the bus takes it")
}

/// The message in a payload, without its signature.
#[must_use]
pub fn text(payload: &bytes::Bytes) -> Value {
    let text = match peel(payload.clone()) {
        Ok(Wrapped::Plain(text) | Wrapped::Sealed { text, .. }) => text,
        Err(_) => return Value::Null,
    };
    serde_json::from_str(&text).unwrap_or_default()
}

/// The kind of a message, in gofer's words.
#[must_use]
pub fn kind(message: &Value) -> &str {
    match (&message["request"], &message["status"], &message["result"]) {
        (Value::Object(_), ..) => "request",
        (_, Value::String(status), _) => status,
        (_, _, Value::Object(result)) if result.contains_key("retval") => "result",
        (_, _, Value::Object(_)) => "exception",
        _ => "unknown",
    }
}

/// Whether nothing follows a message about its request.
#[must_use]
pub fn is_outcome(message: &Value) -> bool {
    matches!(kind(message), "result" | "exception" | "rejected")
}

/// A mailbox that is read by hand.
#[derive(Debug)]
pub struct Mailbox {
    deliveries: Box<dyn Deliveries>,
}

impl Mailbox {
    /// Opens it, for this reader alone.
    pub async fn open(bus: &Memory, address: &str) -> Self {
        let source = Source::Address(address.to_owned().into());
        let subscription = Subscription::new(source, Purpose::Everything).sharing(Sharing::Exclusive).prefetch(0);
        Mailbox { deliveries: bus.subscribe(subscription).await.expect("nobody else reads it") }
    }

    /// The next payload as it travelled.
    pub async fn payload(&mut self) -> bytes::Bytes {
        let mut taken = Vec::new();
        soon("a message arrives", self.deliveries.recv(&mut taken, 1)).await.expect("the bus is there");
        let delivery = taken.pop().expect("the mailbox is open");
        delivery.acker.settle(Disposition::Ack);
        delivery.payload
    }

    /// The next message.
    pub async fn next(&mut self) -> Value {
        text(&self.payload().await)
    }

    /// The messages up to the first outcome, that one included.
    pub async fn conversation(&mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            messages.push(self.next().await);
            if messages.last().is_some_and(is_outcome) {
                return messages;
            }
        }
    }
}

//! Messages of the native envelope, to and from text.

use rmi_core::{
    Native,
    message::{Body, Message, Outcome, Request, Status},
    protocol::{Protocol, Refused},
    transport::{Acker, Delivery, Frame, Purpose},
};
use serde_json::Value;

/// The text as it would arrive at a queue.
pub fn delivery(text: impl AsRef<[u8]>, queue: &str) -> Delivery {
    Delivery::new(text.as_ref().to_vec(), queue.to_owned(), Purpose::Everything, Acker::settled())
}

pub fn read(native: &Native, text: impl AsRef<[u8]>) -> Result<Message, Refused> {
    native.decode(&delivery(text, "arrival"))
}

pub fn decode(text: impl AsRef<[u8]>) -> Message {
    read(&Native::new(), &text).unwrap_or_else(|e| panic!("{e:?}: {}", String::from_utf8_lossy(text.as_ref())))
}

pub fn refused(text: impl AsRef<[u8]>) -> Refused {
    read(&Native::new(), text).expect_err("refused")
}

pub fn encode(message: &Message) -> Frame {
    Native::new().encode(message).expect("it can be written").expect("there is such a message")
}

pub fn value(frame: &Frame) -> Value {
    serde_json::from_slice(&frame.payload).expect("JSON")
}

/// The kind, in gofer's words.
pub fn kind(message: &Message) -> &'static str {
    match &message.body {
        Body::Request(_) => "request",
        Body::Status(Status::Accepted) => "accepted",
        Body::Status(Status::Started) => "started",
        Body::Status(Status::Progress(_)) => "progress",
        Body::Outcome(Outcome::Result(_)) => "result",
        Body::Outcome(Outcome::Exception(_)) => "exception",
        Body::Outcome(Outcome::Rejected(_)) => "rejected",
        Body::Outcome(Outcome::Aborted(_)) => "aborted",
        Body::Event(_) => "event",
    }
}

pub fn request(message: &Message) -> &Request {
    match &message.body {
        Body::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

pub fn outcome(message: &Message) -> &Outcome {
    match &message.body {
        Body::Outcome(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

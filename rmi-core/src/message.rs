//! What is said: the message model, which knows no wire format.
//!
//! A [`Message`] is a [`Head`] and a [`Body`]. A body is a [`Request`], a [`Status`] of its execution, its one final
//! [`Outcome`], or an [`Event`].

mod arguments;
mod event;
mod exception;
mod head;
mod outcome;
mod request;
mod status;

pub(crate) use self::arguments::{may_be_missing, missing, missing_in, no_list_in};
pub use self::{
    arguments::{Arguments, ArgumentsReader, ArgumentsWriter, Constructor, Named},
    event::Event,
    exception::Exception,
    head::{Head, ReplyPath, Sn},
    outcome::{Abort, AbortReason, Outcome, Rejection, RejectionCode},
    request::Request,
    status::{Progress, Status, Statuses},
};

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who says it to whom, when, and about which request.
    pub head: Head,
    /// What is said.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A method is to be invoked.
    Request(Request),
    /// How far a request has come.
    Status(Status),
    /// How a request ended: exactly one for every accepted request.
    Outcome(Outcome),
    /// Something happened.
    Event(Event),
}

//! Calls: one verb each for waiting, watching, calling back, sending elsewhere and forgetting.

use std::marker::PhantomData;

use crate::{
    contract::Method,
    json::Json,
    message::{ArgumentsWriter, Exception, Progress},
};

/// A call that has not been made. Does nothing until it is awaited or one of its verbs is used.
#[must_use = "a call does nothing until it is awaited or one of its verbs is used"]
#[derive(Debug)]
pub struct Call<T, E = Exception, P = Json> {
    answer: PhantomData<fn() -> (T, E, P)>,
}

/// A one-way call that has not been made.
#[must_use = "a call does nothing until it is awaited or one of its verbs is used"]
#[derive(Debug)]
pub struct OneWay {}

/// A call that has been sent, and whose updates are watched.
#[derive(Debug)]
pub struct Pending<T, E = Exception, P = Json> {
    answer: PhantomData<fn() -> (T, E, P)>,
}

/// What happened to a call.
#[derive(Debug)]
pub enum Update<T, P = Json> {
    /// The agent has taken responsibility.
    Accepted,
    /// The method has been invoked.
    Started,
    /// The method reports a step.
    Progress(Progress<P>),
    /// The method returned.
    Done(T),
}

/// What a client is made of: where its contract is served, and how it is reached.
#[derive(Clone, Debug)]
pub struct Stub {}

impl Stub {
    /// A call of a method with its arguments.
    pub fn call<T, E, P>(&self, _method: &'static Method, _args: ArgumentsWriter) -> Call<T, E, P> {
        Call { answer: PhantomData }
    }

    /// A call of a one-way method.
    pub fn one_way(&self, _method: &'static Method, _args: ArgumentsWriter) -> OneWay {
        OneWay {}
    }
}

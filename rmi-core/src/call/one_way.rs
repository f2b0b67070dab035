use std::{convert::Infallible, future::IntoFuture, time::Duration};

use serde::Serialize;

use crate::{
    call::{Call, Plan},
    error::CallError,
    message::Sn,
    service::BoxFuture,
};

/// A call of a one-way method, which has not been made: nobody will wait for its end.
#[must_use = "a call does nothing until it is awaited or notified"]
#[derive(Debug)]
pub struct OneWay {
    call: Call<(), Infallible>,
}

impl OneWay {
    pub(crate) fn new(plan: Plan) -> Self {
        OneWay { call: Call::new(plan) }
    }

    /// How long the bus may take to take the request.
    pub fn timeout(self, timeout: Duration) -> Self {
        OneWay { call: self.call.timeout(timeout) }
    }

    /// How long the request may wait before the method starts. An expired request never runs.
    pub fn ttl(self, ttl: Duration) -> Self {
        OneWay { call: self.call.ttl(ttl) }
    }

    /// Data of the caller's own.
    pub fn data<D: Serialize>(self, data: D) -> Self {
        OneWay { call: self.call.data(data) }
    }

    /// Sends the request. Waits only until the bus has it; awaiting the call is the same.
    ///
    /// # Errors
    ///
    /// The request could not be written or sent, or nobody listens at the address.
    pub async fn notify(self) -> Result<Sn, CallError<Infallible>> {
        self.call.notify().await
    }
}

impl IntoFuture for OneWay {
    type Output = Result<Sn, CallError<Infallible>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.notify())
    }
}

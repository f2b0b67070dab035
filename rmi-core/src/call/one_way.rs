use std::{convert::Infallible, future::IntoFuture, time::Duration};

use serde::Serialize;

use crate::{
    call::{Call, Plan, Retry, retry::deliveries},
    error::CallError,
    message::Sn,
    service::BoxFuture,
};

/// A call of a one-way method, which has not been made: nobody will wait for its end.
#[must_use = "a call does nothing until it is awaited or notified"]
#[derive(Debug)]
pub struct OneWay {
    call: Call<(), Infallible>,
    retry: Option<Retry>,
}

impl OneWay {
    pub(crate) fn new(plan: Plan) -> Self {
        OneWay { call: Call::new(plan), retry: None }
    }

    /// How long the bus may take to take the request.
    pub fn timeout(self, timeout: Duration) -> Self {
        OneWay { call: self.call.timeout(timeout), ..self }
    }

    /// How long the request may wait before the method starts. An expired request never runs.
    pub fn ttl(self, ttl: Duration) -> Self {
        OneWay { call: self.call.ttl(ttl), ..self }
    }

    /// Data of the caller's own.
    pub fn data<D: Serialize>(self, data: D) -> Self {
        OneWay { call: self.call.data(data), ..self }
    }

    /// Sends the request again that never left: nobody listened, or the link was down. What may have left is not, whatever the
    /// method is marked as: nobody would hear whether it ran. All attempts and pauses together take no longer than the call's
    /// time; each is a request with a serial number of its own.
    pub fn retry(self, policy: Retry) -> Self {
        OneWay { retry: Some(policy), ..self }
    }

    /// Sends the request. Waits only until the bus has it; awaiting the call is the same.
    ///
    /// # Errors
    ///
    /// The request could not be written or sent, or nobody listens at the address.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether the request was sent.
    pub async fn notify(self) -> Result<Sn, CallError<Infallible>> {
        match self.retry {
            None => self.call.notify().await,
            Some(policy) => Box::pin(deliveries(self.call.plan, policy)).await,
        }
    }
}

impl IntoFuture for OneWay {
    type Output = Result<Sn, CallError<Infallible>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.notify())
    }
}

//! What every endpoint can be asked, as a client.

use std::{sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use crate::{
    address::Address,
    call::Stub,
    endpoint::{
        EndpointDescription,
        admin::{Asked, CLASS, Criteria, Known},
        dispatch::Core,
    },
    error::CallError,
    json::Json,
    message::{Arguments, Exception, Sn},
    text::Text,
    transport::TransportErrorKind,
};

/// The class `Admin` of an agent. Made by [`Peer::admin`](crate::endpoint::Peer::admin).
///
/// Its requests go to the address that agents of ours have for them alone, so that they reach an agent which holds as many
/// others as it takes; and to the agent's own address where nobody is there.
///
/// # Cancel safety
///
/// Dropping one of its futures leaves open whether the agent did what it was asked.
#[derive(Clone, Debug)]
pub struct AdminClient {
    core: Arc<Core>,
    binding: usize,
    address: Address,
    timeout: Option<Duration>,
}

impl AdminClient {
    pub(crate) fn new(core: Arc<Core>, binding: usize, address: Address) -> Self {
        AdminClient { core, binding, address, timeout: None }
    }

    /// How long each request may take from here to its answer, at whichever addresses the agent is asked. The endpoint's own time
    /// unless it is set.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Says hello: the agent is there, and answers.
    ///
    /// # Errors
    ///
    /// The agent could not be asked.
    pub async fn hello(&self) -> Result<String, CallError<Exception>> {
        self.ask("hello", &[(); 0]).await
    }

    /// Returns what it is given.
    ///
    /// # Errors
    ///
    /// The agent could not be asked.
    pub async fn echo(&self, something: &Json) -> Result<Json, CallError<Exception>> {
        self.ask("echo", &[something]).await
    }

    /// What the agent serves, with its documentation, as text: all of it, or one class.
    ///
    /// # Errors
    ///
    /// The class is not served there, or the agent could not be asked.
    pub async fn help(&self, class: Option<&str>) -> Result<String, CallError<Exception>> {
        self.ask("help", &[class]).await
    }

    /// What the agent serves, as data: all of it, or one class. Contracts in it can be compared with those that this program was
    /// built with; see [`compare`](crate::contract::compare).
    ///
    /// # Errors
    ///
    /// The class is not served there, or the agent could not be asked.
    pub async fn describe(&self, class: Option<&str>) -> Result<EndpointDescription, CallError<Exception>> {
        self.ask("describe", &[class]).await
    }

    /// Cancels the requests of one's own that have this serial number: one, but for peers that use a number twice. Returns the
    /// serial numbers that this call cancelled: none when it had been cancelled before.
    ///
    /// One that the agent does not know may still wait on the bus. So the agent is asked again, behind it.
    ///
    /// # Errors
    ///
    /// No such request waits or runs there, or the agent could not be asked.
    pub async fn cancel(&self, sn: &Sn) -> Result<Vec<Sn>, CallError<Exception>> {
        let began = Instant::now();
        let known = match self.in_lane("cancel", &[sn.as_str()], began).await {
            Some(Ok(known)) => known,
            Some(Err(CallError::Remote(_))) | None => self.ask_within(None, "cancel", &[sn.as_str()], began).await?,
            Some(Err(error)) => return Err(error),
        };
        Ok(serials(known))
    }

    /// Cancels all requests of one's own that the agent holds, waiting or running, and whose data meets these criteria. Returns
    /// the serial numbers of those that this call cancelled. What still waits on the bus is not reached.
    ///
    /// # Errors
    ///
    /// The criteria have too many levels or operators, or the agent could not be asked.
    pub async fn cancel_where(&self, criteria: &Criteria) -> Result<Vec<Sn>, CallError<Exception>> {
        // By position, as every gofer reads it.
        Ok(serials(self.ask("cancel", &(Json::NULL, criteria)).await?))
    }

    /// Sends the statuses and outcomes of requests of one's own to another address from now on: to
    /// [`Endpoint::replies`](crate::Endpoint::replies) of whoever listens there. Says what the agent knows of each, in their order.
    ///
    /// An endpoint asks for its own calls by itself when it has lost its link.
    ///
    /// # Errors
    ///
    /// More than 256 are asked for, replies may not go to the address, or the agent could not be asked, or not for this.
    pub async fn resume(&self, sns: &[Sn], reply_to: impl Into<Address>) -> Result<Vec<Known>, CallError<Exception>> {
        let calls: Vec<_> = sns.iter().map(|sn| Asked(sn.to_string(), None)).collect();
        let reply_to: Address = reply_to.into();
        self.ask("resume", &(calls, reply_to.as_str())).await
    }

    /// Asks at the address for `Admin`, and where nobody is there at the agent's own.
    pub(crate) async fn ask<T: DeserializeOwned, A: Serialize + Sync>(
        &self,
        method: &'static str,
        arguments: &A,
    ) -> Result<T, CallError<Exception>> {
        let began = Instant::now();
        match self.in_lane(method, arguments, began).await {
            Some(answer) => answer,
            None => self.ask_within(None, method, arguments, began).await,
        }
    }

    /// Asks at the address for `Admin`; `None` when nobody is there, or the bus has a place for it that takes nothing: that of a node
    /// that is down.
    async fn in_lane<T: DeserializeOwned, A: Serialize + Sync>(
        &self,
        method: &'static str,
        arguments: &A,
        began: Instant,
    ) -> Option<Result<T, CallError<Exception>>> {
        if !self.core.bindings[self.binding].admin_lane {
            return None;
        }
        match self.ask_within(Some(self.address.admin()), method, arguments, began).await {
            Err(CallError::NoAgent(_)) => None,
            // To ask twice does no harm.
            Err(CallError::Transport(e)) if matches!(e.kind, TransportErrorKind::Full | TransportErrorKind::Ambiguous) => None,
            answer => Some(answer),
        }
    }

    /// Asks at another address than the agent's own, or at that, behind everything that was sent there before.
    pub(crate) async fn ask_at<T: DeserializeOwned, A: Serialize + Sync>(
        &self,
        lane: Option<Address>,
        method: &'static str,
        arguments: &A,
    ) -> Result<T, CallError<Exception>> {
        self.ask_within(lane, method, arguments, Instant::now()).await
    }

    /// The same, of a request whose time has begun already.
    async fn ask_within<T: DeserializeOwned, A: Serialize + Sync>(
        &self,
        lane: Option<Address>,
        method: &'static str,
        arguments: &A,
        began: Instant,
    ) -> Result<T, CallError<Exception>> {
        let arguments = Json::encode(arguments).map(|positional| Arguments { positional, ..Arguments::NONE });
        let mut stub = Stub::of_class(&self.core, self.binding, self.address.clone(), Text::from_static(CLASS));
        if let Some(lane) = lane {
            stub = stub.by_lane(lane);
        }
        let total = self.timeout.unwrap_or(self.core.default_timeout);
        let call = stub.dynamic::<Json>(Text::from_static(method), arguments).timeout(total.saturating_sub(began.elapsed()));
        let answer = call.await.map_err(|error| match error {
            CallError::Timeout { phase, .. } => CallError::Timeout { phase, after: total },
            error => error,
        })?;
        answer.decode().map_err(CallError::Decode)
    }
}

fn serials(cancelled: Vec<String>) -> Vec<Sn> {
    cancelled.into_iter().filter_map(Sn::new).collect()
}

//! Calls where silence is an answer.

use std::future::Future;

use rmi_core::{
    call::Call,
    error::{CallError, Phase, RemoteError},
};
use serde::de::DeserializeOwned;

/// Calls where silence is an answer.
///
/// RackHD asks "is there an active task for this node" of whoever has one: who has none is not there, or says nothing. So nobody bound
/// to the routing key, and no reply within the call's time, mean no.
///
/// ```
/// use rmi_amqp::rackhd::{RackHd, Silence};
/// use rmi_core::{Endpoint, Memory, RemoteError, Trust, remote};
///
/// #[remote(name = "task")]
/// trait Task {
///     #[remote(timeout = "1s")]
///     async fn active_task_exists(&self, node: &str) -> Result<(), std::convert::Infallible>;
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = Endpoint::builder("profiles").bind(RackHd::on(), Memory::new(), Trust::insecure()).start().await?;
/// let task: TaskClient = endpoint.client("task");
/// assert_eq!(task.active_task_exists("507f191e810c19729de860ea").unless_silent().await?, None);
/// # Ok(()) }
/// ```
pub trait Silence<T, E>: Sized {
    /// Waits for the result; `None` when nobody is there, or nobody has replied in the call's time.
    ///
    /// # Errors
    ///
    /// As awaiting the call, but for those two.
    fn unless_silent(self) -> impl Future<Output = Result<Option<T>, CallError<E>>> + Send;
}

impl<T: DeserializeOwned + Send + 'static, E: RemoteError, P: DeserializeOwned + Send + 'static> Silence<T, E> for Call<T, E, P> {
    async fn unless_silent(self) -> Result<Option<T>, CallError<E>> {
        match self.await {
            Ok(result) => Ok(Some(result)),
            Err(CallError::NoAgent(_) | CallError::Timeout { phase: Phase::Total, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

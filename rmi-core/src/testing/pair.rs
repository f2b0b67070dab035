use super::passing::Passing;
use crate::{
    Client, Endpoint, Memory, Native, Trust,
    endpoint::{BuildError, Builder},
    service::Service,
};

/// A service and a client of it, on an in-memory bus of their own. Dropped, it ends both.
#[derive(Debug)]
pub struct Pair {
    /// The endpoint that serves: at the address `agent`.
    pub agent: Endpoint,
    /// The endpoint that calls: at the address `caller`.
    pub caller: Endpoint,
    /// A seat on their bus.
    pub bus: Memory,
}

/// Serves a service, and gives a client that reaches it: `let (dog, _pair) = pair::<DogClient>(DogServer::new(Rex)).await;`
///
/// Everything is encoded, carried and decoded as on any bus. Nobody signs, and an agent that has been shut down is not there any more.
///
/// # Panics
///
/// There is no Tokio runtime.
pub async fn pair<C: Client>(service: impl Service) -> (C, Pair) {
    pair_with(service, |agent| agent).await
}

/// As [`pair`], with an agent that is built with something special: a clock, layers, limits.
///
/// ```
/// # use std::convert::Infallible;
/// # use rmi_core::{Context, prelude::*, testing::{ManualClock, Recorder, pair_with}};
/// # #[remote] trait Dog { async fn bark(&self) -> Result<String, Infallible>; }
/// # struct Rex; impl Dog for Rex { async fn bark(&self) -> Result<String, Infallible> { Ok("woof".into()) } }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let (clock, recorder) = (ManualClock::default(), Recorder::new());
/// let (dog, _pair) =
///     pair_with::<DogClient>(DogServer::new(Rex), |agent| agent.clock(clock.clone()).layer(recorder.clone())).await;
/// dog.bark().await.unwrap();
/// assert_eq!(recorder.methods(), ["Dog.bark"]);
/// # }
/// ```
///
/// # Panics
///
/// What was built does not fit together; or there is no Tokio runtime.
pub async fn pair_with<C: Client>(service: impl Service, special: impl FnOnce(Builder) -> Builder) -> (C, Pair) {
    let bus = Memory::new();
    let bound = |name: &'static str| Endpoint::builder(name).bind(Native::default(), Passing(bus.clone()), Trust::insecure());
    let started = |endpoint: Result<Endpoint, BuildError>| endpoint.unwrap_or_else(|error| panic!("no pair: {error}"));
    let agent = started(special(bound("agent").serve(service)).start().await);
    let caller = started(bound("caller").start().await);
    (caller.client("agent"), Pair { agent, caller, bus })
}

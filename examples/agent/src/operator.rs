//! What an operator asks of a server that runs: the same orders, passed on.

use std::convert::Infallible;

use rmi_core::{Context, Endpoint, message::Progress, remote};

use crate::{
    contract::Step,
    order::{Answer, Failure, Order},
};

/// A server, for those who command its agents.
#[remote(name = "operator", params = named)]
pub trait Operator {
    /// The agents that are connected.
    #[remote(idempotent, timeout = "10s")]
    async fn agents(&self) -> Result<Vec<String>, Infallible>;

    /// Has an agent do something. Its steps are passed on, and so is a cancellation.
    #[remote(timeout = "7d")]
    async fn give(&self, #[remote(context)] cx: &Context<Step>, agent: String, order: Order) -> Result<Answer, Failure>;
}

/// Who is connected, in order.
#[must_use]
pub fn connected(server: &Endpoint) -> Vec<String> {
    let mut agents: Vec<String> = server.linked().iter().map(ToString::to_string).collect();
    agents.sort_unstable();
    agents.dedup();
    agents
}

/// Passes orders on, by an endpoint that agents are connected to. Operators are served by another one: agents do not reach this.
#[derive(Clone, Debug)]
pub struct Desk(pub Endpoint);

impl Operator for Desk {
    async fn agents(&self) -> Result<Vec<String>, Infallible> {
        Ok(connected(&self.0))
    }

    async fn give(&self, cx: &Context<Step>, agent: String, order: Order) -> Result<Answer, Failure> {
        let on = |step: Progress<Step>| cx.progress(step.total, step.completed, step.details);
        order.give(&self.0, &agent, on, cx.cancelled()).await
    }
}

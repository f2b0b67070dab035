//! Peers of gofer 3.0 on a broker: its client calls our agents, its agent is called by us, signed by its scheme or not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agent;
mod client;
mod defects;
mod durable;
mod guide;
mod replies;
mod signed;
mod stage;

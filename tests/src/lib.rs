//! What the suites share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod amqp;
pub mod certificates;
pub mod clock;
pub mod crash;
pub mod eager;
pub mod failures;
pub mod gofer;
pub mod journal;
pub mod lines;
pub mod long;
pub mod of_links;
pub mod on_core;
pub mod played;
pub mod ports;
pub mod probe;
pub mod program;
pub mod proxy;
pub mod rabbit;
pub mod random;
pub mod raw;
pub mod routes;
pub mod scoped;
pub mod soon;
pub mod steps;
pub mod tap;
pub mod tcp;
pub mod wires;
pub mod world;

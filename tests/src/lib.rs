//! What the suites share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod clock;
pub mod lines;
pub mod probe;
pub mod rabbit;
pub mod raw;
pub mod routes;
pub mod soon;
pub mod tap;
pub mod wires;
pub mod world;

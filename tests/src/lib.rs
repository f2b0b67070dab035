//! What the suites share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod lines;
pub mod routes;
pub mod wires;

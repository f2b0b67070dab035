//! What tests need (feature `testing`).
//!
//! * [`conformance`] is what every [`Transport`](crate::transport::Transport) has to hold, check by check.

// Here a panic is how a failure is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod conformance;

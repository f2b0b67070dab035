//! The provisioning agent's protocol: its lines, its conversation, and what became of the lines that the original exchanged.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod desk;
mod peer;
mod provisioning;
mod tasks;
mod vectors;

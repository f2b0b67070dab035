//! The provisioning agent's protocol: its lines, its conversation, and what became of the lines that the original exchanged.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod conversation;
mod desk;
mod document;
mod peer;
mod properties;
mod provisioning;
mod semantics;
mod tasks;
mod tcp;
mod vectors;

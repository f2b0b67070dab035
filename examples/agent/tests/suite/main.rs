//! The agent's work, on real files and loop devices.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod cache;
mod certificates;
mod devices;
mod erase;
mod firmware;
mod images;
mod loops;
mod qc;
mod tasks;
mod web;
mod world;

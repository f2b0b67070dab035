//! The lease table: its logic against a model, its file, and the service on the in-memory bus and over RabbitMQ.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod ledger;
mod model;
mod service;
mod store;
mod table;
mod world;

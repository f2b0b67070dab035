//! The command line as its users have it: processes, files, signals and terminals, and agents at the other end of TCP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agent;
mod broker;
mod calls;
mod ends;
mod gofer;
mod help;
mod keys;
mod lines;
mod output;
mod program;
mod readme;
mod serving;
mod signed;
mod terminal;
mod tls;
mod watching;

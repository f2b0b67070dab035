//! What the suites share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod clock;
pub mod probe;
pub mod raw;
pub mod soon;
pub mod tap;
pub mod world;

//! A contract whose service says what it does, and does it when it is told to.

pub use rmi_core::testing::semantics::probe::*;

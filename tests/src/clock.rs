//! A clock that says what a test tells it to.

pub use rmi_core::testing::ManualClock as FakeClock;

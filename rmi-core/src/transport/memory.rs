//! The in-memory bus.
/// The in-memory bus.
#[derive(Clone, Debug, Default)]
pub struct Memory {}

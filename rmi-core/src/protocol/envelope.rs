//! The native envelope.
/// The native envelope.
#[derive(Clone, Debug, Default)]
pub struct Native {}

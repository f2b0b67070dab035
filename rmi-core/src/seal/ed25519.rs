/// Signs with Ed25519.
#[derive(Debug)]
pub struct Ed25519 {}

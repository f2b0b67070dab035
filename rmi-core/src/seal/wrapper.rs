/// x
#[derive(Debug)]
pub struct Wrapped {}
/// x
pub fn peel() {}
/// x
pub fn wrap() {}

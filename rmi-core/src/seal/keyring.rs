/// x
#[derive(Debug)]
pub struct Keyring {}
/// x
#[derive(Debug)]
pub struct KeyringError {}
/// x
#[derive(Debug)]
pub struct TrustedKey {}

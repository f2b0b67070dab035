/// x
#[derive(Debug)]
pub struct KeyError {}
/// x
#[derive(Debug)]
pub struct PrivateKey {}
/// x
#[derive(Debug)]
pub struct PublicKey {}

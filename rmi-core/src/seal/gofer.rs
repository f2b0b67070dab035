/// x
pub trait DigestAuthenticator {}
/// x
#[derive(Debug)]
pub struct Gofer {}

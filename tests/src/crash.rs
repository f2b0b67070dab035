//! What the agent and the callers of the crash suite have in common: two processes that write down what they did, and a book-keeper
//! that compares.

mod audit;
mod log;

use std::{convert::Infallible, path::Path, time::Duration};

use rmi_core::{Ed25519, Keyring, Trust, remote, seal::PrivateKey};
use tokio::time::sleep;

pub use self::{
    audit::{Audit, Totals},
    log::Log,
};

/// What the agent is called.
pub const AGENT: &str = "agent";
/// What the callers' endpoint is called.
pub const CALLERS: &str = "callers";
/// How often the agent begins what may be repeated.
pub const ATTEMPTS: u32 = 3;

/// Something that is counted each time that it is done.
#[remote(name = "ledger")]
pub trait Ledger {
    /// May run once.
    async fn once(&self, id: u64, millis: u64) -> Result<u64, Infallible>;

    /// May run again.
    #[remote(idempotent)]
    async fn again(&self, id: u64, millis: u64) -> Result<u64, Infallible>;
}

/// Writes down each run: before it, and after it.
#[derive(Debug)]
pub struct Book(pub Log);

impl Book {
    async fn enter(&self, id: u64, millis: u64) -> u64 {
        self.0.line(&format!("begin {id}"));
        if millis > 0 {
            sleep(Duration::from_millis(millis)).await;
        }
        self.0.line(&format!("end {id}"));
        id
    }
}

impl Ledger for Book {
    async fn once(&self, id: u64, millis: u64) -> Result<u64, Infallible> {
        Ok(self.enter(id, millis).await)
    }

    async fn again(&self, id: u64, millis: u64) -> Result<u64, Infallible> {
        Ok(self.enter(id, millis).await)
    }
}

/// Writes a key for each of them, and the directory of those who are trusted.
pub fn keys(home: &Path) {
    let ring = home.join("trusted");
    std::fs::create_dir_all(&ring).unwrap();
    for name in [AGENT, CALLERS] {
        let key = PrivateKey::generate().unwrap();
        key.save(home.join(format!("{name}.key"))).unwrap();
        std::fs::write(ring.join(format!("{name}.pem")), key.public().to_pem().unwrap()).unwrap();
    }
}

/// Whom `name` is and trusts, where keys were [written](keys); nobody in particular where none were.
#[must_use]
pub fn trust(home: &Path, name: &str) -> Trust {
    let key = home.join(format!("{name}.key"));
    if !key.exists() {
        return Trust::insecure();
    }
    let ring = Keyring::load(home.join("trusted")).unwrap();
    Trust::sealed(Ed25519::new(PrivateKey::load(key).unwrap(), ring))
}

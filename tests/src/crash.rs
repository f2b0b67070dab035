//! What agents and callers of the suites have in common in which something is killed: both write down what they did, and a book-keeper
//! compares.

mod audit;
mod callers;
mod log;
mod process;

use std::{convert::Infallible, path::Path, sync::Arc, time::Duration};

use rmi_amqp::{Amqp, Options};
use rmi_core::{
    Context, Ed25519, Keyring, RemoteEvent, Trust, remote,
    seal::PrivateKey,
    transport::{Transport, tcp::Tcp},
};
use tokio::time::sleep;

pub use self::{
    audit::{Audit, Totals},
    callers::{Callers, Mix, PATIENCE},
    log::Log,
    process::{Killed, says, start},
};

/// What the agent is called.
pub const AGENT: &str = "agent";
/// What the callers' endpoint is called.
pub const CALLERS: &str = "callers";
/// How often the agent begins what may be repeated.
pub const ATTEMPTS: u32 = 3;

/// What the callers tell whoever listens.
#[derive(Clone, Debug, RemoteEvent)]
#[remote(name = "ledger", key = "ledger.told")]
pub struct Told {
    /// Which one it is, without a gap.
    pub number: u64,
}

/// Something that is counted each time that it is done.
#[remote(name = "ledger", events = Told)]
pub trait Ledger {
    /// May run once.
    async fn once(&self, id: u64, millis: u64) -> Result<u64, Infallible>;

    /// May run again.
    #[remote(idempotent)]
    async fn again(&self, id: u64, millis: u64) -> Result<u64, Infallible>;

    /// May run once, and reports each of so many steps.
    async fn walk(&self, #[remote(context)] cx: &Context<u64>, id: u64, steps: u64) -> Result<u64, Infallible>;

    /// May run once, and nobody waits for it.
    #[remote(oneway)]
    async fn note(&self, id: u64);

    /// May run again, and nobody waits for it.
    #[remote(oneway, idempotent)]
    async fn note_again(&self, id: u64);

    /// Is not counted.
    #[remote(idempotent)]
    async fn here(&self) -> Result<(), Infallible>;
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

    async fn walk(&self, cx: &Context<u64>, id: u64, steps: u64) -> Result<u64, Infallible> {
        self.0.line(&format!("begin {id}"));
        for step in 1..=steps {
            cx.progress(steps, step, id);
            sleep(Duration::from_millis(2)).await;
        }
        self.0.line(&format!("end {id}"));
        Ok(id)
    }

    async fn note(&self, id: u64) {
        self.enter(id, 0).await;
    }

    async fn note_again(&self, id: u64) {
        self.enter(id, 0).await;
    }

    async fn here(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// How brokers are talked to: what is lost is noticed soon, and tried again soon.
#[must_use]
pub fn options() -> Options {
    let (first, longest) = (Duration::from_millis(50), Duration::from_secs(1));
    Options::default().heartbeat(Duration::from_secs(1)).connect_timeout(Duration::from_secs(5)).pauses(first, longest)
}

/// The agent's end of the way: a port that it listens at, or the URL of a broker.
pub async fn listen(at: &str) -> Arc<dyn Transport> {
    if at.starts_with("amqp") {
        return Arc::new(Amqp::connect(at).options(options().name(AGENT)).await.unwrap());
    }
    Arc::new(Tcp::listen(format!("127.0.0.1:{at}")).await.unwrap())
}

/// The callers' end of it.
pub async fn dial(to: &str) -> Arc<dyn Transport> {
    if to.starts_with("amqp") {
        return Arc::new(Amqp::connect(to).options(options().name(CALLERS)).await.unwrap());
    }
    Arc::new(Tcp::connect(format!("127.0.0.1:{to}")).patiently().await.unwrap())
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

//! `dhcp serve`: the table as a process of its own, which others call.

use std::{error::Error, future::Future, path::PathBuf, pin::pin, sync::Arc, time::Duration};

use clap::Args;
use rmi_core::{Endpoint, Trust, time::SystemClock};
use rmi_options::{Scheme, Security, Tls, Unusable, reload_on_hangup, say};

use crate::{
    DhcpServer, Leases, Ledger, NotAPool, Pool, Range, Terms,
    wire::{Wire, Wires},
};

/// Serve the lease table over RabbitMQ and TCP, until ctrl-c or SIGTERM
///
/// Says on standard output where it is reached, when it is. It drains when it is told to stop: what runs may finish. Told once more it ends
/// at once. What it has answered is in the file of --store all the same, which one process has at a time.
///
/// On SIGHUP it reads the directory of --trust again.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Serve {
    #[command(flatten)]
    wires: Wires,
    /// The addresses that are leased: a network's, or from one to another, as in 10.1.1.10-10.1.1.200
    #[arg(long, value_name = "POOL")]
    pool: Pool,
    /// Addresses of the pool that are not leased: one, a network's, or from one to another; may be repeated
    ///
    /// Who has one of them keeps it until its lease ends, and an operator may pin one.
    #[arg(long, value_name = "ADDRESSES")]
    exclude: Vec<Range>,
    /// The file that keeps the table; made if it is not there
    #[arg(long, value_name = "FILE")]
    store: PathBuf,
    /// The service's address in the native envelope; in RackHD's words nobody names one
    #[arg(long, value_name = "NAME", default_value = "dhcp")]
    address: String,
    /// How long leases are
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = lease_time)]
    lease_time: Duration,
    #[command(flatten)]
    security: Security,
    #[command(flatten)]
    tls: Tls,
}

const EXAMPLES: &str = "\
Examples:
  Beside RackHD's own services, and for callers of the native envelope, on one broker:
    dhcp serve --url amqp://localhost --dialect rackhd --dialect envelope --pool 10.1.1.0/24 --store leases.redb --insecure
  The router has an address of the network:
    dhcp serve --url amqp://localhost --dialect rackhd --pool 10.1.1.0/24 --exclude 10.1.1.1 --store leases.redb
  Signed over TCP, without a broker:
    dhcp serve --url tcp://127.0.0.1:7000 --pool 10.1.1.0/24 --store leases.redb --key dhcp.key --trust trusted
  Who has an address?
    rmi call --dialect rackhd amqp://localhost dhcp dhcp.lookupIpLease 10.1.1.2";

/// A lease of less than this is asked for again before it was answered.
const SHORTEST: Duration = Duration::from_secs(10);
/// What DHCP can say, except for ever (RFC 2132, section 9.2).
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64 - 1);

fn lease_time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}: write a time, as in 12h or 1d"))?;
    if (SHORTEST..=LONGEST).contains(&time) {
        Ok(time)
    } else {
        Err(format!("a lease takes from {} to {}", humantime::format_duration(SHORTEST), humantime::format_duration(LONGEST)))
    }
}

impl Serve {
    /// Looks at what no single argument says.
    ///
    /// # Errors
    ///
    /// It is not said who is trusted, or what is left out of the pool is not in it, or all of it; or what is given for TLS does not go with where it is reached.
    pub fn check(&self) -> Result<(), Unusable> {
        let advice = || "--exclude ADDRESSES with a part of --pool POOL".to_owned();
        self.pool().map_err(|no| Unusable::Usage { message: format!("--exclude: {no}"), advice: advice() })?;
        if self.is_sealable() {
            self.security.check(Scheme::Ed25519)?;
        }
        self.tls.check(self.wires.0.iter().map(Wire::way))
    }

    /// The addresses that are leased.
    fn pool(&self) -> Result<Pool, NotAPool> {
        self.pool.clone().without(self.exclude.iter().copied())
    }

    fn is_sealable(&self) -> bool {
        self.wires.0.iter().any(Wire::is_sealable)
    }

    /// Serves until the future is ready, and drains then; one that has not begun to serve just ends.
    ///
    /// # Errors
    ///
    /// A key or the store cannot be read, a broker or a port cannot be had, or what was sent at the end could not be flushed.
    pub async fn run(self, stop: impl Future) -> Result<(), Box<dyn Error>> {
        // What was told is looked at before anything is made.
        let opened = if self.is_sealable() { Some(self.security.open(Scheme::Ed25519, &self.address)?) } else { None };
        let terms = Terms { lease: self.lease_time, ..Terms::default() };
        let pool = self.pool()?;
        let serving = format!("serving {} addresses, {pool}", pool.size());
        let ledger = Arc::new(Ledger::open(&self.store, pool, terms, SystemClock)?);
        let mut builder = Endpoint::builder(self.address.as_str());
        let mut reached = Vec::new();
        if let Some(keyring) = opened.as_ref().and_then(|opened| opened.keyring.clone()) {
            reload_on_hangup(keyring)?;
        }
        let leases = Leases::new(Arc::clone(&ledger), self.wires.0.len());
        let starting = async {
            for wire in &self.wires.0 {
                // What nothing can be signed in is named by who starts it, and is listed with what it is.
                let signed = opened.as_ref().filter(|_| wire.is_sealable()).map(|opened| opened.trust.clone());
                let trust = signed.unwrap_or_else(Trust::insecure);
                let how = if trust.is_sealed() { "signed" } else { "insecure: whoever reaches it can call" };
                let (bound, at) = wire.listen(builder, &self.address, trust, &self.tls).await?;
                builder = bound;
                reached.push(format!("{} at {at} ({how})", self.address));
            }
            let builder = builder.serve(DhcpServer::new(leases.clone())).serve(rackhd_api::DhcpServer::new(leases));
            Ok::<_, Box<dyn Error>>(builder.start().await?)
        };
        let mut stop = pin!(stop);
        let endpoint = tokio::select! {
            started = starting => started?,
            _ = &mut stop => return Ok(()),
        };
        for line in &reached {
            say(line);
        }
        say(&serving);
        let _ = endpoint.run_until(stop).await?;
        tokio::task::spawn_blocking(move || ledger.close()).await?;
        say("drained");
        Ok(())
    }
}

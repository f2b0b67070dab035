//! `dhcp lease`: the table of a service that runs.

use std::{error::Error, fmt, net::Ipv4Addr, str::FromStr, time::Duration};

use clap::{Args, Subcommand};
use rackhd_api::{MacAddress, NodeId};
use rmi_core::{
    CallError, Endpoint,
    time::{Clock, SystemClock, Timestamp},
};
use rmi_options::{Scheme, Security, Tls, Unusable, Url, Way};

use crate::{
    DhcpClient, DhcpError, Known, Lease, Pin, State,
    lease::check_node,
    wire::{Dialect, Wire},
};

/// Look at the table of a service that runs, and alter it
///
/// It is called by the native envelope: of several --dialect it has to serve `envelope` there.
#[derive(Clone, Debug, Args)]
pub struct LeaseCommand {
    #[command(subcommand)]
    what: What,
    /// Where the service is reached: amqp://USER:PASSWORD@HOST:PORT/VHOST, amqps with TLS, where all but HOST may be left out, tcp://HOST:PORT or tls://HOST:PORT
    #[arg(long, value_name = "URL", global = true, value_parser = Url::to_dial, default_value = "tcp://127.0.0.1:7000")]
    url: Url,
    /// The service's address
    #[arg(long, value_name = "NAME", global = true, default_value = "dhcp")]
    address: String,
    #[command(flatten)]
    security: Security,
    #[command(flatten)]
    tls: Tls,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// List leases and what is pinned
    List,
    /// Give a MAC address an address, or renew what it has
    Bind {
        /// Who
        mac: MacAddress,
        /// Which address, in place of one that is chosen
        #[arg(long)]
        ip: Option<Ipv4Addr>,
        /// Which machine it is: the id of RackHD's node
        #[arg(long, value_parser = node)]
        node: Option<NodeId>,
    },
    /// Remove a lease
    Remove {
        /// A MAC address, or the address that it has
        #[arg(value_name = "MAC|IP")]
        whose: Whose,
    },
    /// Keep what a MAC address uses now for it, for good
    Pin {
        /// A MAC address, or the address that it uses
        #[arg(value_name = "MAC|IP")]
        whose: Whose,
    },
    /// Keep it for it no more
    Unpin {
        /// A MAC address, or the address that is pinned to it
        #[arg(value_name = "MAC|IP")]
        whose: Whose,
    },
}

/// What a lease is known by.
#[derive(Clone, Copy, Debug)]
enum Whose {
    Mac(MacAddress),
    Ip(Ipv4Addr),
}

impl FromStr for Whose {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mac = || text.parse().map(Whose::Mac);
        text.parse()
            .map(Whose::Ip)
            .or_else(|_| mac())
            .map_err(|_| format!("{text:?} is neither a MAC address, as in 08:00:27:52:d2:a4, nor an address, as in 10.1.1.2"))
    }
}

fn node(text: &str) -> Result<NodeId, DhcpError> {
    let node = NodeId::from(text);
    check_node(&node)?;
    Ok(node)
}

impl LeaseCommand {
    /// Looks at what no single argument says.
    ///
    /// # Errors
    ///
    /// It is not said who is trusted, or what is given for TLS does not go with the URL.
    pub fn check(&self) -> Result<(), Unusable> {
        self.security.check(Scheme::Ed25519)?;
        self.tls.check([Way::Dials(&self.url)])
    }

    /// Asks the service, and shows what it says.
    ///
    /// # Errors
    ///
    /// The service is not there, or says no.
    pub async fn run(self) -> Result<(), Box<dyn Error>> {
        let name = self.security.name().unwrap_or_else(|| format!("dhcp-lease-{}", SystemClock.id().simple()));
        let trust = self.security.open(Scheme::Ed25519, &name)?.trust;
        let wire = Wire { url: self.url.clone(), dialect: Dialect::Envelope };
        let endpoint = wire.connect(Endpoint::builder(name.as_str()), &name, trust, &self.tls).await?.start().await?;
        let done = self.ask(&endpoint.client(self.address.as_str())).await;
        // What could not be flushed was answered before, or was not.
        let _ = endpoint.shutdown(Duration::ZERO).await;
        done
    }

    async fn ask(&self, dhcp: &DhcpClient) -> Result<(), Box<dyn Error>> {
        match &self.what {
            What::List => self.list(dhcp).await?,
            What::Bind { mac, ip, node } => show(&dhcp.bind_lease(*mac, *ip, node.clone()).await.map_err(plain)?),
            What::Remove { whose: Whose::Mac(mac) } => gone(&dhcp.remove_lease(*mac).await.map_err(plain)?),
            What::Remove { whose: Whose::Ip(ip) } => gone(&dhcp.remove_lease_by_ip(*ip).await.map_err(plain)?),
            What::Pin { whose: Whose::Mac(mac) } => pinned(dhcp.pin_mac(*mac).await.map_err(plain)?),
            What::Pin { whose: Whose::Ip(ip) } => pinned(dhcp.pin_ip(*ip).await.map_err(plain)?),
            What::Unpin { whose: Whose::Mac(mac) } => unpinned(dhcp.unpin_mac(*mac).await.map_err(plain)?),
            What::Unpin { whose: Whose::Ip(ip) } => unpinned(dhcp.unpin_ip(*ip).await.map_err(plain)?),
        }
        Ok(())
    }

    async fn list(&self, dhcp: &DhcpClient) -> Result<(), Box<dyn Error>> {
        let mut after = None;
        say(format_args!("{:<17}  {:<15}  {:<7}  {:<20}  {:<15}  NODE", "MAC", "ADDRESS", "STATE", "UNTIL", "PINNED"));
        loop {
            let page = dhcp.peek_lease_table(after, 1000).await.map_err(plain)?;
            page.entries.iter().for_each(line);
            match page.entries.last() {
                Some(last) if page.more => after = Some(last.mac),
                _ => return Ok(()),
            }
        }
    }
}

/// Of what the service says the error's own words; of everything else all that is known.
fn plain<E: fmt::Display + Error + 'static>(error: CallError<E>) -> Box<dyn Error> {
    match error {
        CallError::Remote(error) => error.into(),
        other => other.into(),
    }
}

fn line(known: &Known) {
    let none = || "-".to_owned();
    let lease = known.lease.as_ref();
    say(format_args!(
        "{:<17}  {:<15}  {:<7}  {:<20}  {:<15}  {}",
        known.mac,
        lease.map_or_else(none, |lease| lease.ip.to_string()),
        lease.map_or("-", |lease| state(lease.state)),
        lease.map_or_else(none, until),
        known.pinned.map_or_else(none, |ip| ip.to_string()),
        lease.and_then(|lease| lease.node.as_ref()).map_or_else(none, ToString::to_string),
    ));
}

fn state(state: State) -> &'static str {
    match state {
        State::Offered => "offered",
        State::Bound => "bound",
    }
}

fn until(lease: &Lease) -> String {
    Timestamp::from_millis(lease.until).to_seconds()
}

fn show(lease: &Lease) {
    say(format_args!("{} has {} until {}", lease.mac, lease.ip, until(lease)));
}

fn gone(lease: &Lease) {
    say(format_args!("{} has {} no more", lease.mac, lease.ip));
}

fn pinned(pin: Pin) {
    say(format_args!("{} has {} for good", pin.mac, pin.ip));
}

fn unpinned(pin: Pin) {
    say(format_args!("{} is pinned to {} no more", pin.ip, pin.mac));
}

/// Whoever reads this may have stopped.
fn say(line: fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

//! The service and who calls it, in one process.

use std::{error::Error, net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use rackhd_api::{DhcpEvent, MacAddress, NodeId};
use rmi_core::{CallError, Ed25519, Endpoint, Keyring, Memory, Native, Trust, seal::PrivateKey, time::SystemClock};

use crate::{DhcpClient, DhcpError, DhcpServer, Leases, Ledger, Pool, Store, Terms};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const NODE: &str = "507f191e810c19729de860ea";

/// Runs the demonstration: the bus is in memory, the table in a file that goes with it.
///
/// # Errors
///
/// Something did not go as it is shown.
pub async fn run() -> Outcome {
    let directory = tempfile::tempdir()?;
    let store = directory.path().join("leases.redb");
    let pool: Pool = "10.1.1.0/29".parse()?;
    let keys = Keys::new()?;
    let bus = Memory::new();

    let (service, ledger) = serve(&bus, &keys, &store, pool.clone()).await?;
    say("service", &format!("the pool {pool}, kept in a file; signed in the native envelope, plain in RackHD's words"));
    let operator = Endpoint::builder("operator").bind(Native::default(), bus.clone(), keys.operator()).start().await?;
    let http = Endpoint::builder("on-http").bind(rackhd_api::on(), bus.clone(), Trust::insecure()).start().await?;
    let typed: DhcpClient = operator.client("dhcp");
    let rackhd: rackhd_api::DhcpClient = http.client("dhcp");

    let (first, second) = (MacAddress([0x08, 0, 0x27, 0x52, 0xd2, 0xa4]), MacAddress([0x08, 0, 0x27, 0, 0, 0x02]));
    let mut bound = http.subscribe::<DhcpEvent>().await?;
    let lease = typed.bind_lease(first, None, Some(NodeId::from(NODE))).await?;
    say("bind", &format!("{first} has {} as {:?}", lease.ip, lease.state));
    let heard = bound.next().await.ok_or("no event")??;
    say("RackHD hears", &heard.key);
    typed.bind_lease(second, Some(Ipv4Addr::new(10, 1, 1, 5)), None).await?;

    say("RackHD asks", &format!("lookupIpLease {}: {:?}", lease.ip, rackhd.lookup_ip_lease(lease.ip).await?));
    let nobody = Ipv4Addr::new(10, 1, 1, 6);
    say("", &format!("lookupIpLease {nobody}: {:?}", rackhd.lookup_ip_lease(nobody).await?));
    match typed.lookup_ip_lease(nobody).await {
        Err(CallError::Remote(error @ DhcpError::NotLeased { .. })) => say("typed", &format!("{error:?}: {error}")),
        other => return Err(format!("nobody has {nobody}, and it was answered {other:?}").into()),
    }
    match typed.bind_lease(second, Some(lease.ip), None).await {
        Err(CallError::Remote(error @ DhcpError::Taken { .. })) => say("", &error.to_string()),
        other => return Err(format!("{} is taken, and it was answered {other:?}", lease.ip).into()),
    }

    say("pin", &format!("{:?}", rackhd.pin_mac(first).await?));
    let _ = service.shutdown(Duration::from_secs(1)).await?;
    ledger.close();
    let (service, _) = serve(&bus, &keys, &store, pool).await?;
    say("started again", &format!("{} still has {}", first, typed.lookup_mac_lease(first).await?.ip));
    let removed = rackhd.remove_lease(first).await?.ok_or("the lease is gone")?;
    say("remove", &format!("{} has {} no more, and nobody else gets it:", removed.mac, removed.ip_address));
    for last in 3..=6 {
        let given = typed.bind_lease(MacAddress([2, 0, 0, 0, 0, last]), None, None).await?;
        say("", &format!("{} gets {}", given.mac, given.ip));
    }
    match typed.bind_lease(MacAddress([2, 0, 0, 0, 0, 7]), None, None).await {
        Err(CallError::Remote(error @ DhcpError::Exhausted { .. })) => say("exhausted", &error.to_string()),
        other => return Err(format!("the pool is full, and it was answered {other:?}").into()),
    }
    let again = typed.bind_lease(first, None, None).await?;
    say("for good", &format!("{first} is back, and has {}", again.ip));
    let page = typed.peek_lease_table(None, 1000).await?;
    say("table", &format!("{} MAC addresses", page.entries.len()));

    std::fs::write(directory.path().join("damaged.redb"), "not a lease table")?;
    match Store::open(directory.path().join("damaged.redb")) {
        Err(error) => say("damaged file", &error.to_string().replace(&directory.path().display().to_string(), "..")),
        Ok(_) => return Err("a damaged file was opened".into()),
    }
    for endpoint in [operator, http, service] {
        let _ = endpoint.shutdown(Duration::from_secs(1)).await?;
    }
    Ok(())
}

struct Keys {
    service: PrivateKey,
    operator: PrivateKey,
    ring: Keyring,
}

impl Keys {
    fn new() -> Outcome<Self> {
        let (service, operator, ring) = (PrivateKey::generate()?, PrivateKey::generate()?, Keyring::new());
        ring.trust("dhcp", service.public())?;
        ring.trust("operator", operator.public())?;
        Ok(Keys { service, operator, ring })
    }

    fn operator(&self) -> Ed25519 {
        Ed25519::new(self.operator.clone(), self.ring.clone())
    }
}

async fn serve(bus: &Memory, keys: &Keys, store: &Path, pool: Pool) -> Outcome<(Endpoint, Arc<Ledger>)> {
    let ledger = Arc::new(Ledger::open(store, pool, Terms::default(), SystemClock)?);
    let leases = Leases::new(Arc::clone(&ledger), 2);
    let builder = Endpoint::builder("dhcp")
        .bind(Native::default(), bus.clone(), Ed25519::new(keys.service.clone(), keys.ring.clone()))
        .bind(rackhd_api::on(), bus.clone(), Trust::insecure());
    let builder = builder.serve(DhcpServer::new(leases.clone())).serve(rackhd_api::DhcpServer::new(leases));
    Ok((builder.start().await?, ledger))
}

fn say(what: &str, how: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{what:>15}  {how}");
}

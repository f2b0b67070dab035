//! Ports for processes that are started later, killed, and started again.

use std::{
    fs,
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
};

/// The lowest port that is given away here.
const LOWEST: u16 = 10_000;

/// A port that no other process of the suites is given for as long as this is kept.
///
/// It is not among those that the kernel takes for connections that are dialled: while a process is away, such a connection could take
/// its port, also one that dials that very port, and is then connected to itself.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// A name that the kernel gives to one process, and frees with it.
    _claim: UnixListener,
}

impl Port {
    /// Claims a port that nobody listens at.
    ///
    /// # Panics
    ///
    /// There is none.
    #[must_use]
    pub fn claim() -> Self {
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
        let dialled = range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768);
        let ports = dialled.max(LOWEST + 1) - LOWEST;
        let first = uuid::Uuid::new_v4().as_u128() as u16 % ports;
        let mut all = (0..ports).map(|next| LOWEST + ((u32::from(first) + u32::from(next)) % u32::from(ports)) as u16);
        all.find_map(|number| {
            let name = SocketAddr::from_abstract_name(format!("rmi-tests-port-{number}")).unwrap();
            let claim = UnixListener::bind_addr(&name).ok()?;
            TcpListener::bind(("0.0.0.0", number)).ok()?;
            Some(Port { number, _claim: claim })
        })
        .expect("a port is free")
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}

//! Which addresses are leased.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use ipnet::Ipv4Net;

/// The addresses that are leased: the hosts of a network (`10.1.1.0/24`), or what lies between two addresses
/// (`10.1.1.10-10.1.1.200`), both included.
///
/// A table has at most one lease for each of them, so their number is what bounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    first: Ipv4Addr,
    last: Ipv4Addr,
}

/// This is no pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPool {
    /// It is written otherwise.
    #[error(
        "{0:?} is no pool: write a network, as in 10.1.1.0/24, or the first and the last address, as in 10.1.1.10-10.1.1.200"
    )]
    Form(String),
    /// The last address is before the first.
    #[error("the last address of the pool, {last}, is before the first, {first}")]
    Backwards {
        /// The first address.
        first: Ipv4Addr,
        /// The last.
        last: Ipv4Addr,
    },
    /// One of its addresses is no machine's.
    #[error(
        "the pool {pool} has {ip}, which no machine can have: addresses from 1.0.0.0 to 223.255.255.255 can be leased, without 127.0.0.0/8"
    )]
    Reserved {
        /// The pool.
        pool: String,
        /// The address.
        ip: Ipv4Addr,
    },
    /// It has too many addresses.
    #[error("the pool has {0} addresses, and a table holds {max} at most: a /16, or a part of it", max = Pool::LARGEST)]
    TooLarge(u64),
}

impl Pool {
    /// How many addresses a pool has at most: those of a /16.
    pub const LARGEST: u64 = 1 << 16;

    /// What lies between two addresses, both included.
    ///
    /// # Errors
    ///
    /// The last is before the first, there are more than [`LARGEST`](Pool::LARGEST), or one is nobody's (RFC 6890: this network, loopback,
    /// multicast, reserved).
    pub fn between(first: Ipv4Addr, last: Ipv4Addr) -> Result<Self, NotAPool> {
        if last < first {
            return Err(NotAPool::Backwards { first, last });
        }
        let pool = Pool { first, last };
        if pool.size() > Pool::LARGEST {
            return Err(NotAPool::TooLarge(pool.size()));
        }
        // Each of these is longer than the largest pool: if one of its addresses is among them, its first or its last is.
        match [first, last].into_iter().find(|ip| matches!(ip.octets()[0], 0 | 127 | 224..)) {
            Some(ip) => Err(NotAPool::Reserved { pool: pool.to_string(), ip }),
            None => Ok(pool),
        }
    }

    /// Whether an address is one of them.
    #[must_use]
    pub fn contains(&self, ip: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&ip)
    }

    /// How many there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        u64::from(u32::from(self.last) - u32::from(self.first)) + 1
    }

    /// All of them, in order.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        (u32::from(self.first)..=u32::from(self.last)).map(Ipv4Addr::from)
    }
}

impl FromStr for Pool {
    type Err = NotAPool;

    fn from_str(text: &str) -> Result<Self, NotAPool> {
        let wrong = || NotAPool::Form(text.chars().take(64).collect());
        if let Some((first, last)) = text.split_once('-') {
            let address = |text: &str| text.trim().parse().map_err(|_| wrong());
            return Pool::between(address(first)?, address(last)?);
        }
        let net: Ipv4Net = text.parse().map_err(|_| wrong())?;
        let (first, last) = (net.network(), net.broadcast());
        // A network's first and last address are nobody's, unless it has no others (RFC 3021).
        let inner = u32::from(net.prefix_len() < 31);
        Pool::between(Ipv4Addr::from(u32::from(first) + inner), Ipv4Addr::from(u32::from(last) - inner))
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_a_network_or_two_addresses() {
        let cases = [
            ("10.1.1.0/24", "10.1.1.1-10.1.1.254", 254),
            ("10.1.1.7/30", "10.1.1.5-10.1.1.6", 2),
            ("10.1.1.4/31", "10.1.1.4-10.1.1.5", 2),
            ("10.1.1.4/32", "10.1.1.4-10.1.1.4", 1),
            ("223.255.255.254/31", "223.255.255.254-223.255.255.255", 2),
            ("10.1.1.10 - 10.1.1.200", "10.1.1.10-10.1.1.200", 191),
            ("10.1.0.0/16", "10.1.0.1-10.1.255.254", 65534),
        ];
        for (text, shown, size) in cases {
            let pool: Pool = text.parse().unwrap();
            assert_eq!((pool.to_string().as_str(), pool.size(), pool.addresses().count() as u64), (shown, size, size));
            assert_eq!(pool.to_string().parse(), Ok(pool));
        }
    }

    #[test]
    fn what_is_no_pool_is_told_what_to_write() {
        for (text, part) in [
            ("", "10.1.1.0/24"),
            ("10.1.1.0", "10.1.1.0/24"),
            ("10.1.1.0/33", "10.1.1.0/24"),
            ("fd00::/64", "10.1.1.0/24"),
            ("10.1.1.9-10.1.1.2", "is before the first"),
            ("10.0.0.0/8", "16777214 addresses"),
            ("0.0.0.0/0", "4294967294 addresses"),
            ("255.255.255.255/32", "255.255.255.255, which no machine"),
            ("223.255.255.0-224.0.0.1", "224.0.0.1, which no machine"),
            ("0.0.0.0/24", "which no machine"),
            ("127.0.0.1/32", "which no machine"),
        ] {
            let error = text.parse::<Pool>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn both_ends_belong_to_it() {
        let pool: Pool = "10.1.1.10-10.1.1.20".parse().unwrap();
        for (ip, inside) in [("10.1.1.9", false), ("10.1.1.10", true), ("10.1.1.20", true), ("10.1.1.21", false)] {
            assert_eq!(pool.contains(ip.parse().unwrap()), inside, "{ip}");
        }
    }
}

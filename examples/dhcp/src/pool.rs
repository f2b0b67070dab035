//! Which addresses are leased.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use ipnet::Ipv4Net;

/// The addresses that are leased: the hosts of a network (`10.1.1.0/24`), or what lies between two addresses
/// (`10.1.1.10-10.1.1.200`), both included.
///
/// Some of them may be [left out](Pool::without): those of routers, say, which have them by other means.
///
/// A table has at most one lease for each of them, so their number is what bounds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    all: Range,
    /// In order, apart from each other, and within `all`.
    out: Vec<Range>,
}

/// Addresses one after the other: one address (`10.1.1.1`), the first and the last (`10.1.1.1-10.1.1.9`), or all of a network
/// (`10.1.1.0/28`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
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
    /// Addresses are written otherwise.
    #[error(
        "{0:?} are no addresses: write one, as in 10.1.1.1, the first and the last, as in 10.1.1.1-10.1.1.9, or a network, as in 10.1.1.0/28"
    )]
    Addresses(String),
    /// The last address is before the first.
    #[error("the last address, {last}, is before the first, {first}")]
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
    /// What is to be left out is not in it.
    #[error("{out} cannot be left out: the pool is {pool}")]
    NotInside {
        /// What is to be left out.
        out: Range,
        /// The pool.
        pool: Pool,
    },
    /// Nothing is left.
    #[error("of the pool {all} everything is left out")]
    Nothing {
        /// The pool, with nothing left out.
        all: Range,
    },
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
        let pool = Pool { all: Range { first, last }, out: Vec::new() };
        if pool.size() > Pool::LARGEST {
            return Err(NotAPool::TooLarge(pool.size()));
        }
        // Each of these is longer than the largest pool: if one of its addresses is among them, its first or its last is.
        match [first, last].into_iter().find(|ip| matches!(ip.octets()[0], 0 | 127 | 224..)) {
            Some(ip) => Err(NotAPool::Reserved { pool: pool.to_string(), ip }),
            None => Ok(pool),
        }
    }

    /// The same without some of them, which are leased to nobody. An operator may pin one of them all the same.
    ///
    /// # Errors
    ///
    /// One of what is to be left out is not in the pool at all, or nothing is left.
    pub fn without(self, out: impl IntoIterator<Item = Range>) -> Result<Self, NotAPool> {
        let Pool { all, out: before } = self;
        let mut ranges = before;
        for out in out {
            if out.last < all.first || all.last < out.first {
                return Err(NotAPool::NotInside { out, pool: Pool { all, out: Vec::new() } });
            }
            ranges.push(Range { first: out.first.max(all.first), last: out.last.min(all.last) });
        }
        ranges.sort_unstable();
        let mut out: Vec<Range> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match out.last_mut() {
                Some(before) if u32::from(range.first) <= u32::from(before.last).saturating_add(1) => {
                    before.last = before.last.max(range.last);
                }
                _ => out.push(range),
            }
        }
        let pool = Pool { all, out };
        if pool.size() == 0 { Err(NotAPool::Nothing { all }) } else { Ok(pool) }
    }

    /// Whether an address is one of them.
    #[must_use]
    pub fn contains(&self, ip: Ipv4Addr) -> bool {
        self.all.contains(ip) && !self.out.iter().any(|out| out.contains(ip))
    }

    /// How many there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.all.size() - self.out.iter().map(Range::size).sum::<u64>()
    }

    /// All of them, in order.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        let all = u32::from(self.all.first)..=u32::from(self.all.last);
        all.map(Ipv4Addr::from).filter(|ip| !self.out.iter().any(|out| out.contains(*ip)))
    }
}

impl Range {
    fn contains(&self, ip: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&ip)
    }

    fn size(&self) -> u64 {
        u64::from(u32::from(self.last) - u32::from(self.first)) + 1
    }

    /// What `-` stands in, if it does.
    fn between(text: &str, wrong: impl Fn() -> NotAPool) -> Option<Result<(Ipv4Addr, Ipv4Addr), NotAPool>> {
        let (first, last) = text.split_once('-')?;
        let address = |text: &str| text.trim().parse().map_err(|_| wrong());
        Some(address(first).and_then(|first| Ok((first, address(last)?))))
    }
}

impl FromStr for Range {
    type Err = NotAPool;

    fn from_str(text: &str) -> Result<Self, NotAPool> {
        let wrong = || NotAPool::Addresses(text.chars().take(64).collect());
        let (first, last) = match Range::between(text, wrong) {
            Some(both) => both?,
            None => match text.parse::<Ipv4Net>() {
                Ok(net) => (net.network(), net.broadcast()),
                Err(_) => text.parse().map(|one| (one, one)).map_err(|_| wrong())?,
            },
        };
        if last < first { Err(NotAPool::Backwards { first, last }) } else { Ok(Range { first, last }) }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl FromStr for Pool {
    type Err = NotAPool;

    fn from_str(text: &str) -> Result<Self, NotAPool> {
        let wrong = || NotAPool::Form(text.chars().take(64).collect());
        if let Some(both) = Range::between(text, wrong) {
            let (first, last) = both?;
            return Pool::between(first, last);
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
        write!(f, "{}-{}", self.all.first, self.all.last)?;
        for (at, out) in self.out.iter().enumerate() {
            write!(f, "{}{out}", if at == 0 { " without " } else { ", " })?;
        }
        Ok(())
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
            assert_eq!(pool.to_string().parse::<Pool>(), Ok(pool));
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

    fn without(pool: &str, out: &[&str]) -> Result<Pool, NotAPool> {
        let out: Result<Vec<Range>, _> = out.iter().map(|out| out.parse()).collect();
        pool.parse::<Pool>()?.without(out?)
    }

    #[test]
    fn what_is_left_out_is_not_in_it() {
        let cases: &[(&[&str], &str, u64)] = &[
            (&[], "10.1.1.1-10.1.1.14", 14),
            (&["10.1.1.1"], "10.1.1.1-10.1.1.14 without 10.1.1.1", 13),
            (&["10.1.1.8-10.1.1.9", "10.1.1.1"], "10.1.1.1-10.1.1.14 without 10.1.1.1, 10.1.1.8-10.1.1.9", 11),
            (
                &["10.1.1.3 - 10.1.1.6", "10.1.1.4", "10.1.1.5-10.1.1.7", "10.1.1.8"],
                "10.1.1.1-10.1.1.14 without 10.1.1.3-10.1.1.8",
                8,
            ),
            // What of it is outside of the pool is left out already.
            (&["10.1.1.0/30", "10.1.1.14-10.2.0.0"], "10.1.1.1-10.1.1.14 without 10.1.1.1-10.1.1.3, 10.1.1.14", 10),
        ];
        for (out, shown, size) in cases {
            let pool = without("10.1.1.0/28", out).unwrap();
            assert_eq!((pool.to_string().as_str(), pool.size()), (*shown, *size));
            assert_eq!(pool.addresses().count() as u64, *size);
            assert!(pool.addresses().all(|ip| pool.contains(ip)));
        }
        let pool = without("10.1.1.0/28", &["10.1.1.2"]).unwrap();
        assert!(pool.contains([10, 1, 1, 1].into()) && !pool.contains([10, 1, 1, 2].into()));
        for (out, part) in [
            (&["10.1.2.1"][..], "10.1.2.1 cannot be left out: the pool is 10.1.1.1-10.1.1.14"),
            (&["10.1.1.0/24"], "everything is left out"),
            (&["10.1.1.1-10.1.1.7", "10.1.1.8-10.1.1.14"], "everything is left out"),
            (&["10.1.1.9-10.1.1.2"], "is before the first"),
            (&[""], "10.1.1.1-10.1.1.9"),
            (&["fd00::1"], "10.1.1.1-10.1.1.9"),
        ] {
            let error = without("10.1.1.0/28", out).unwrap_err().to_string();
            assert!(error.contains(part), "{out:?}: {error}");
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

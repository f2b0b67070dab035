//! The lease table: who has which address, and what may become of that. It reads no clock and writes no file.
//!
//! Whatever alters it is planned first, written down by whoever keeps the table, and applied then: see [`Planned`].

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::Ipv4Addr,
};

use rackhd_api::{MacAddress, NodeId};
use rmi_core::time::Timestamp;

use crate::{DhcpError, Lease, Pool, State, Terms};

/// Who has which address.
///
/// * An address has one holder at most, and a MAC address one address at most.
/// * An address that is pinned is leased to its holder only, and its holder leases no other.
/// * Time is the clock's of the machine. Where it is set back, leases that were given later than now [begin now](Table::ahead): one never
///   lasts longer than it was given for.
/// * A lease that has ended stays as a memory: its holder gets the same address again as long as nobody else needs it. It is asked for
///   nowhere else, and there are never more of both than the pool has addresses.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pool: Pool,
    terms: Terms,
    leases: BTreeMap<MacAddress, Lease>,
    holders: BTreeMap<Ipv4Addr, MacAddress>,
    pins: BTreeMap<MacAddress, Ipv4Addr>,
    pinned: BTreeMap<Ipv4Addr, MacAddress>,
}

/// What becomes of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A MAC address has this lease, and no other.
    Leased(Lease),
    /// A MAC address has no lease, and none that has ended.
    Removed(MacAddress),
    /// A MAC address has this address for good.
    Pinned(MacAddress, Ipv4Addr),
    /// A MAC address has no address for good.
    Unpinned(MacAddress),
}

/// What would be answered, and what would become of the table: nothing has been altered yet.
#[must_use = "nothing is altered until the changes are written down and applied"]
#[derive(Clone, Debug, PartialEq)]
pub struct Planned<T> {
    /// The answer.
    pub answer: T,
    /// What it takes.
    pub changes: Vec<Change>,
}

/// An address that a MAC address has for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pin {
    /// Whose it is.
    pub mac: MacAddress,
    /// The address.
    pub ip: Ipv4Addr,
}

impl Table {
    /// Nobody has anything.
    #[must_use]
    pub fn new(pool: Pool, terms: Terms) -> Self {
        Table { pool, terms, leases: BTreeMap::new(), holders: BTreeMap::new(), pins: BTreeMap::new(), pinned: BTreeMap::new() }
    }

    /// What becomes of the table.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            match change {
                Change::Leased(lease) => {
                    self.forget(lease.mac);
                    if let Some(before) = self.holders.insert(lease.ip, lease.mac) {
                        self.leases.remove(&before);
                    }
                    self.leases.insert(lease.mac, lease);
                }
                Change::Removed(mac) => self.forget(mac),
                Change::Pinned(mac, ip) => {
                    if let Some(before) = self.pins.insert(mac, ip) {
                        self.pinned.remove(&before);
                    }
                    if let Some(before) = self.pinned.insert(ip, mac).filter(|before| *before != mac) {
                        self.pins.remove(&before);
                    }
                }
                Change::Unpinned(mac) => {
                    if let Some(ip) = self.pins.remove(&mac) {
                        self.pinned.remove(&ip);
                    }
                }
            }
        }
    }

    fn forget(&mut self, mac: MacAddress) {
        if let Some(lease) = self.leases.remove(&mac)
            && let Entry::Occupied(holder) = self.holders.entry(lease.ip)
            && *holder.get() == mac
        {
            holder.remove();
        }
    }

    /// The addresses that are leased.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// How long leases are.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// What a MAC address has now, offered or bound.
    #[must_use]
    pub fn lease(&self, mac: MacAddress, now: Timestamp) -> Option<&Lease> {
        self.leases.get(&mac).filter(|lease| lease.is_live(now))
    }

    /// All leases that have not ended, by MAC address.
    pub fn leases(&self, now: Timestamp) -> impl Iterator<Item = &Lease> {
        self.leases.values().filter(move |lease| lease.is_live(now))
    }

    /// All addresses that are pinned, by MAC address.
    pub fn pins(&self) -> impl Iterator<Item = Pin> + '_ {
        self.pins.iter().map(|(&mac, &ip)| Pin { mac, ip })
    }

    /// What is pinned to a MAC address.
    #[must_use]
    pub fn pin(&self, mac: MacAddress) -> Option<Ipv4Addr> {
        self.pins.get(&mac).copied()
    }

    /// The MAC addresses that have a lease or a pinned address, those after one of them, in order.
    pub fn known(&self, after: Option<MacAddress>, now: Timestamp) -> impl Iterator<Item = MacAddress> + '_ {
        use std::ops::Bound;
        let from = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let mut leased = self.leases.range(from).filter(move |(_, lease)| lease.is_live(now)).map(|(mac, _)| *mac).peekable();
        let mut pinned = self.pins.range(from).map(|(mac, _)| *mac).peekable();
        std::iter::from_fn(move || match (leased.peek(), pinned.peek()) {
            (Some(a), Some(b)) if a == b => {
                pinned.next();
                leased.next()
            }
            (Some(a), Some(b)) if b < a => pinned.next(),
            (Some(_), _) => leased.next(),
            (None, _) => pinned.next(),
        })
    }

    /// Who uses an address: who was only offered it does not yet.
    ///
    /// # Errors
    ///
    /// Nobody does: [`DhcpError::NotLeased`], or [`DhcpError::OutOfPool`] where nobody could.
    pub fn lookup(&self, ip: Ipv4Addr, now: Timestamp) -> Result<MacAddress, DhcpError> {
        self.bound(ip, now).map(|lease| lease.mac).ok_or_else(|| self.not_leased(ip))
    }

    fn held(&self, ip: Ipv4Addr, now: Timestamp) -> Option<&Lease> {
        self.lease(*self.holders.get(&ip)?, now)
    }

    fn bound(&self, ip: Ipv4Addr, now: Timestamp) -> Option<&Lease> {
        self.held(ip, now).filter(|lease| lease.is_bound(now))
    }

    fn not_leased(&self, ip: Ipv4Addr) -> DhcpError {
        if self.pool.contains(ip) { DhcpError::NotLeased { ip } } else { self.outside(ip) }
    }

    fn outside(&self, ip: Ipv4Addr) -> DhcpError {
        DhcpError::OutOfPool { ip, pool: self.pool.to_string() }
    }

    /// Why a MAC address cannot have an address, if it cannot.
    fn refuse(&self, mac: MacAddress, ip: Ipv4Addr, now: Timestamp) -> Option<DhcpError> {
        match (self.pin(mac), self.pinned.get(&ip)) {
            (Some(pinned), _) if pinned != ip => return Some(DhcpError::PinnedElsewhere { mac, pinned }),
            (_, Some(&holder)) if holder != mac => return Some(DhcpError::Taken { ip, holder }),
            // An operator has said so, whatever the pool is.
            (Some(_), _) => {}
            (None, _) if !self.pool.contains(ip) => return Some(self.outside(ip)),
            (None, _) => {}
        }
        let holder = self.held(ip, now).map(|lease| lease.mac).filter(|holder| *holder != mac)?;
        Some(DhcpError::Taken { ip, holder })
    }

    /// Which address a MAC address would be given, in the order of RFC 2131, section 4.3.1: what is pinned to it, what it has or had, what
    /// it asks for, one that nobody has had, and the one whose lease ended first.
    ///
    /// # Errors
    ///
    /// [`DhcpError::Exhausted`].
    pub fn choose(&self, mac: MacAddress, wanted: Option<Ipv4Addr>, now: Timestamp) -> Result<Ipv4Addr, DhcpError> {
        let own = self.leases.get(&mac).map(|lease| lease.ip);
        let known = [self.pin(mac), own, wanted].into_iter().flatten().find(|ip| self.refuse(mac, *ip, now).is_none());
        let untouched = || {
            let mut free = self.pool.addresses();
            free.find(|ip| !self.holders.contains_key(ip) && !self.pinned.contains_key(ip))
        };
        let ended = || {
            let ended = self.leases.values().filter(|lease| self.refuse(mac, lease.ip, now).is_none());
            ended.min_by_key(|lease| lease.until).map(|lease| lease.ip)
        };
        known.or_else(untouched).or_else(ended).ok_or_else(|| DhcpError::Exhausted { pool: self.pool.to_string() })
    }

    /// Keeps an address for a MAC address until it takes it (DHCPDISCOVER). What it has is offered to it again as it is.
    ///
    /// # Errors
    ///
    /// [`DhcpError::Exhausted`].
    pub fn offer(&self, mac: MacAddress, wanted: Option<Ipv4Addr>, now: Timestamp) -> Result<Planned<Lease>, DhcpError> {
        let ip = self.choose(mac, wanted, now)?;
        match self.leases.get(&mac) {
            Some(lease) if lease.ip == ip && lease.is_bound(now) => Ok(Planned { answer: lease.clone(), changes: Vec::new() }),
            _ => Ok(self.give(mac, ip, None, State::Offered, now)),
        }
    }

    /// Gives a MAC address an address (DHCPREQUEST): the one that is named, otherwise what it would be [offered](Table::offer). What it
    /// has is renewed; what it had elsewhere ends.
    ///
    /// # Errors
    ///
    /// [`DhcpError::OutOfPool`], [`Taken`](DhcpError::Taken) and [`PinnedElsewhere`](DhcpError::PinnedElsewhere) of an address that is
    /// named, otherwise [`Exhausted`](DhcpError::Exhausted).
    pub fn bind(
        &self,
        mac: MacAddress,
        ip: Option<Ipv4Addr>,
        node: Option<NodeId>,
        now: Timestamp,
    ) -> Result<Planned<Lease>, DhcpError> {
        let ip = match ip {
            Some(ip) => match self.refuse(mac, ip, now) {
                Some(why) => return Err(why),
                None => ip,
            },
            None => self.choose(mac, None, now)?,
        };
        Ok(self.give(mac, ip, node, State::Bound, now))
    }

    fn give(&self, mac: MacAddress, ip: Ipv4Addr, node: Option<NodeId>, state: State, now: Timestamp) -> Planned<Lease> {
        let time = match state {
            State::Offered => self.terms.offer,
            State::Bound => self.terms.lease,
        };
        let node = node.or_else(|| self.leases.get(&mac)?.node.clone());
        let lease = Lease { mac, ip, node, state, since: now.as_millis(), until: now.plus(time).as_millis() };
        // Whose lease of it has ended.
        let before = self.holders.get(&ip).filter(|before| **before != mac);
        let changes = before.map(|before| Change::Removed(*before)).into_iter().chain([Change::Leased(lease.clone())]).collect();
        Planned { answer: lease, changes }
    }

    /// Takes a lease away, and says which it was. What is pinned stays so.
    ///
    /// # Errors
    ///
    /// [`DhcpError::NoLease`].
    pub fn remove(&self, mac: MacAddress, now: Timestamp) -> Result<Planned<Lease>, DhcpError> {
        let lease = self.lease(mac, now).ok_or(DhcpError::NoLease { mac })?;
        Ok(Planned { answer: lease.clone(), changes: vec![Change::Removed(mac)] })
    }

    /// Takes the lease of an address away, and says which it was.
    ///
    /// # Errors
    ///
    /// [`DhcpError::NotLeased`] or [`OutOfPool`](DhcpError::OutOfPool).
    pub fn remove_by_ip(&self, ip: Ipv4Addr, now: Timestamp) -> Result<Planned<Lease>, DhcpError> {
        let lease = self.held(ip, now).ok_or_else(|| self.not_leased(ip))?;
        Ok(Planned { answer: lease.clone(), changes: vec![Change::Removed(lease.mac)] })
    }

    /// Gives a MAC address for good what it uses now. Doing so again alters nothing, also when it uses it no more.
    ///
    /// # Errors
    ///
    /// [`DhcpError::NoLease`].
    pub fn pin_mac(&self, mac: MacAddress, now: Timestamp) -> Result<Planned<Pin>, DhcpError> {
        if let Some(ip) = self.pin(mac) {
            return Ok(Planned { answer: Pin { mac, ip }, changes: Vec::new() });
        }
        let lease = self.lease(mac, now).filter(|lease| lease.is_bound(now)).ok_or(DhcpError::NoLease { mac })?;
        Ok(Planned { answer: Pin { mac, ip: lease.ip }, changes: vec![Change::Pinned(mac, lease.ip)] })
    }

    /// Gives an address for good to who uses it now. Doing so again alters nothing, also when it is used no more.
    ///
    /// # Errors
    ///
    /// [`DhcpError::NotLeased`] or [`OutOfPool`](DhcpError::OutOfPool).
    pub fn pin_ip(&self, ip: Ipv4Addr, now: Timestamp) -> Result<Planned<Pin>, DhcpError> {
        if let Some(&mac) = self.pinned.get(&ip) {
            return Ok(Planned { answer: Pin { mac, ip }, changes: Vec::new() });
        }
        let mac = self.lookup(ip, now)?;
        Ok(Planned { answer: Pin { mac, ip }, changes: vec![Change::Pinned(mac, ip)] })
    }

    /// Undoes that a MAC address has an address for good; it keeps its lease as long as that is.
    ///
    /// # Errors
    ///
    /// [`DhcpError::NotPinned`].
    pub fn unpin_mac(&self, mac: MacAddress) -> Result<Planned<Pin>, DhcpError> {
        let ip = self.pin(mac).ok_or(DhcpError::NotPinned { mac })?;
        Ok(Planned { answer: Pin { mac, ip }, changes: vec![Change::Unpinned(mac)] })
    }

    /// Undoes that an address is somebody's for good.
    ///
    /// # Errors
    ///
    /// [`DhcpError::AddressNotPinned`].
    pub fn unpin_ip(&self, ip: Ipv4Addr) -> Result<Planned<Pin>, DhcpError> {
        let mac = *self.pinned.get(&ip).ok_or(DhcpError::AddressNotPinned { ip })?;
        Ok(Planned { answer: Pin { mac, ip }, changes: vec![Change::Unpinned(mac)] })
    }

    /// What the table comes to hold of leases that were given later than now: the clock had been ahead, and has been set back. They
    /// begin now, so that each ends in its own time, and not when the clock is there again.
    #[must_use]
    pub fn ahead(&self, now: Timestamp) -> Vec<Change> {
        let begins = |lease: &Lease| {
            let until = now.as_millis().saturating_add(lease.until.saturating_sub(lease.since));
            Lease { since: now.as_millis(), until, ..lease.clone() }
        };
        let given = self.leases.values().filter(|lease| lease.since > now.as_millis());
        given.map(|lease| Change::Leased(begins(lease))).collect()
    }

    /// How many leases and pins there are of addresses that are not leased, or no more: another pool had them.
    #[must_use]
    pub fn strays(&self, now: Timestamp) -> usize {
        let leases = self.leases(now).filter(|lease| !self.pool.contains(lease.ip)).count();
        leases + self.pins.values().filter(|ip| !self.pool.contains(**ip)).count()
    }

    /// What the table comes to hold of leases that have ended and are outside the pool: nothing.
    #[must_use]
    pub fn leftovers(&self, now: Timestamp) -> Vec<Change> {
        let ended = self.leases.values().filter(|lease| !lease.is_live(now) && !self.pool.contains(lease.ip));
        ended.map(|lease| Change::Removed(lease.mac)).collect()
    }
}

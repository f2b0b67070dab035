//! The links of a binding, and who is at their other ends as far as that is known.

use std::{
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::timeout;

use crate::{
    address::Address,
    endpoint::binding::Binding,
    lock::lock,
    seal::Principal,
    table::Table,
    text::Text,
    transport::{Link, LinkId},
};

/// By which link an address is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The bus finds the way.
    Any,
    By(LinkId),
    /// By the next link: there is none now, and whoever dials brings one.
    Later,
    Nowhere,
}

/// How well it is known who is at the other end of a link. What is known better takes a name from what is known less well, and the
/// newer link takes it from the older: it is the one that is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Known {
    /// An unsigned message says so. It never takes a name from another link.
    Claimed,
    /// The transport says so.
    Vouched,
    /// A signature does, or a handshake of the dialect.
    Proven,
}

/// The links that are up, of a transport that has links with peers.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    /// What each is called: by the transport, and by what was said.
    links: Table<LinkId, [Option<Text>; 2]>,
    /// The newest that was reported: what comes by a newer one comes before its report.
    newest: LinkId,
    names: Table<Text, (LinkId, Known)>,
}

const VOUCHED: usize = 0;
const SAID: usize = 1;

impl Peers {
    pub(crate) fn up(&mut self, link: LinkId, peer: Option<&Text>) {
        self.newest = self.newest.max(link);
        self.links.entry(link).or_default();
        if let Some(peer) = peer {
            self.call(link, peer, Known::Vouched);
        }
    }

    pub(crate) fn down(&mut self, link: LinkId) {
        for name in self.links.remove(&link).into_iter().flatten().flatten() {
            self.forget(&name, link);
        }
    }

    pub(crate) fn all(&self) -> Vec<LinkId> {
        self.links.keys().copied().collect()
    }

    pub(crate) fn is_up(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// Everything that a link is called.
    pub(crate) fn names(&self) -> impl Iterator<Item = Text> {
        self.names.keys().cloned()
    }

    fn forget(&mut self, name: &Text, link: LinkId) {
        if self.names.get(name).is_some_and(|(has, _)| *has == link) {
            self.names.remove(name);
        }
    }

    /// Calls a link by a name, unless it is gone or another one has the name with more right.
    pub(crate) fn call(&mut self, link: LinkId, name: &Text, known: Known) -> bool {
        let place = if known == Known::Vouched { VOUCHED } else { SAID };
        if link > self.newest {
            self.up(link, None);
        } else if !self.links.contains_key(&link) {
            return false;
        }
        if let Some((has, right)) = self.names.get(name).copied()
            && has != link
        {
            // What is known as well is the newer link's, whatever still comes by the older.
            if known == Known::Claimed || known < right || (known == right && link < has) {
                return false;
            }
            for called in self.links.get_mut(&has).into_iter().flatten() {
                called.take_if(|called| called == name);
            }
        }
        let before = self.links.get_mut(&link).and_then(|names| names[place].replace(name.clone()));
        if let Some(before) = before.filter(|before| before != name) {
            self.forget(&before, link);
        }
        let right = self.names.get(name).map_or(known, |(_, right)| known.max(*right));
        self.names.insert(name.clone(), (link, right));
        true
    }

    fn is_called(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|names| names[SAID].is_some())
    }
}

/// The link that was last found to have a name, so that this is not asked of each message.
#[derive(Debug, Default)]
pub(crate) struct LastCalled(AtomicU64);

impl Binding {
    /// A link is up.
    pub(crate) fn link_up(&self, link: &Link) {
        lock(&self.peers).up(link.id, link.peer.as_ref());
        // A name that the transport vouches for may be taken from a link that was only said to have it.
        self.last_called.0.store(0, Ordering::Relaxed);
        self.found();
    }

    /// By which link an address is reached. Where the bus finds the way, any.
    pub(crate) fn link_to(&self, address: &Address) -> Route {
        if !self.has_links {
            return Route::Any;
        }
        let peers = lock(&self.peers);
        match peers.names.get(address.as_str()) {
            Some((link, _)) => Route::By(*link),
            None if !self.one_peer => Route::Nowhere,
            // Where nobody says their name, the other end of the only link is whoever we talk to.
            None => match peers.links.keys().next() {
                Some(only) if self.sessions.is_none() => Route::By(*only),
                // Whoever is there has said who it is, and is somebody else.
                Some(_) if !peers.names.is_empty() => Route::Nowhere,
                _ => Route::Later,
            },
        }
    }

    /// By which link an address is reached, when that can be said: not before there is one, where one will be.
    pub(crate) async fn way_to(&self, address: &Address) -> Route {
        loop {
            let way = self.link_to(address);
            if way != Route::Later {
                return way;
            }
            let mut made = pin!(self.way_made.notified());
            made.as_mut().enable();
            if self.link_to(address) == Route::Later {
                made.await;
            }
        }
    }

    /// Whether a frame that a link did not take can take the next one: the link is down, and whoever dials brings another. What is
    /// known to the transport is reported a moment later.
    pub(crate) async fn has_next(&self, link: Option<LinkId>) -> bool {
        /// How long a link may take to be reported that is down.
        const REPORTED: Duration = Duration::from_secs(1);
        let Some(link) = link.filter(|_| self.by_links && self.one_peer) else { return false };
        let gone = async {
            loop {
                let mut made = pin!(self.way_made.notified());
                made.as_mut().enable();
                if self.is_gone(link) {
                    return;
                }
                made.await;
            }
        };
        timeout(REPORTED, gone).await.is_ok()
    }

    /// Whether a link of a transport that has links is down: what was to take it has nowhere else to go.
    pub(crate) fn is_gone(&self, link: LinkId) -> bool {
        self.has_links && !lock(&self.peers).is_up(link)
    }

    /// Somebody has said something by a link, and was let in: from then on the link leads to them. Where nobody signs, whoever
    /// says a name first has it, as long as that link lasts.
    pub(crate) fn hears(&self, link: LinkId, from: Option<&Address>, principal: &Principal) {
        if !self.by_links || self.last_called.0.load(Ordering::Relaxed) == link.0 {
            return;
        }
        let (name, known) = match (principal, from) {
            (Principal::Key(name), _) => (name, Known::Proven),
            (Principal::Transport(_) | Principal::Anonymous, Some(from)) => (from.text(), Known::Claimed),
            (Principal::Transport(_) | Principal::Anonymous, None) => return,
        };
        let mut peers = lock(&self.peers);
        let new = !peers.is_called(link) && peers.call(link, name, known);
        if peers.is_called(link) {
            self.last_called.0.store(link.0, Ordering::Relaxed);
        }
        drop(peers);
        if new {
            tracing::debug!(link = link.0, %name, ?known, "a link has a name");
            self.found();
        }
    }

    /// What whoever is at the other end of a link has said that it is called.
    pub(crate) fn called(&self, link: LinkId) -> Option<Address> {
        lock(&self.peers).links.get(&link)?[SAID].clone().map(Address::from)
    }

    /// There may be a way now where there was none.
    pub(crate) fn found(&self) {
        self.way_made.notify_waiters();
        self.pending.has_address();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: LinkId = LinkId(1);
    const NEW: LinkId = LinkId(2);

    fn two() -> Peers {
        let mut peers = Peers::default();
        peers.up(OLD, None);
        peers.up(NEW, None);
        peers
    }

    fn dog(peers: &Peers) -> Option<LinkId> {
        peers.names.get("dog").map(|(link, _)| *link)
    }

    fn call(peers: &mut Peers, link: LinkId, known: Known) -> bool {
        peers.call(link, &Text::from_static("dog"), known)
    }

    #[test]
    fn what_is_proven_is_the_newer_links_whatever_still_comes_by_the_older() {
        let mut peers = two();
        assert!(call(&mut peers, OLD, Known::Proven));
        assert!(call(&mut peers, NEW, Known::Proven));
        assert!(!call(&mut peers, OLD, Known::Proven), "it was on its way when the link was lost");
        peers.down(OLD);
        assert_eq!(dog(&peers), Some(NEW));
    }

    #[test]
    fn what_is_known_better_takes_a_name_and_what_is_claimed_takes_none() {
        let mut peers = two();
        assert!(call(&mut peers, OLD, Known::Claimed));
        assert!(!call(&mut peers, NEW, Known::Claimed));
        assert!(call(&mut peers, NEW, Known::Vouched));
        assert!(!call(&mut peers, OLD, Known::Vouched));
        assert!(call(&mut peers, OLD, Known::Proven), "also by an older link");
        assert_eq!(dog(&peers), Some(OLD));
    }

    #[test]
    fn a_name_is_free_when_its_link_is_down() {
        let mut peers = two();
        call(&mut peers, OLD, Known::Proven);
        peers.down(OLD);
        assert_eq!(dog(&peers), None);
        assert!(!call(&mut peers, OLD, Known::Proven), "what comes late by it names nobody");
        assert!(call(&mut peers, NEW, Known::Claimed));
    }

    #[test]
    fn what_comes_by_a_link_before_its_report_names_it() {
        let mut peers = Peers::default();
        assert!(call(&mut peers, NEW, Known::Claimed));
        peers.up(NEW, None);
        assert_eq!(dog(&peers), Some(NEW));
    }
}

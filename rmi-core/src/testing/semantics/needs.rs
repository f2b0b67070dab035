//! What a sentence needs of a pair, and what a pair says it has: what a dialect does not have it cannot be held to.

use std::sync::Arc;

use super::Setting;
use crate::{
    protocol::{Features, Replies, Serials},
    transport::Capabilities,
};

/// Something that a sentence is about, and that not every pair has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// The dialect says how far a request has come.
    Statuses,
    /// The dialect says that a request was rejected, and why.
    Rejections,
    /// The dialect has the class `Admin`.
    Admin,
    /// The dialect has an address for `Admin` alone, beside the agent's own.
    Lane,
    /// Agents can be asked for the outcomes of calls whose reply address is lost.
    Resume,
    /// The dialect has events, and the transport topics.
    Events,
    /// There are no events: the dialect has none, or the transport no topics.
    NoEvents,
    /// Everybody signs, with a scheme that dates its messages.
    Sealed,
    /// Nobody signs.
    Unsealed,
    /// Requests have serial numbers on the wire.
    Serials,
    /// A serial number is good wherever it comes from.
    GlobalSerials,
    /// Replies can be sent to another address than the caller's own.
    ReplyAddresses,
    /// Addresses outlive their subscribers.
    Durable,
    /// What was not settled is delivered again.
    Redelivery,
    /// It is known when nobody is there.
    Unroutable,
    /// There is a bus, where whatever has no reader waits, rather than a link to a peer.
    Bus,
    /// There is a link to each peer, rather than a bus.
    Links,
}

/// What a pair says it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Powers {
    features: Features,
    capabilities: Capabilities,
    sealed: bool,
    dated: bool,
}

impl Powers {
    pub(super) async fn of<S: Setting>(setting: &S) -> Powers {
        let mut powers = None;
        let _ = setting.endpoint("agent").await.rewire(|protocol, transport, trust| {
            let dated = trust.authenticator.as_ref().is_some_and(|authenticator| authenticator.demands().dated);
            powers.get_or_insert(Powers {
                features: protocol.features(),
                capabilities: Arc::clone(transport).capabilities(),
                sealed: trust.is_sealed(),
                dated,
            });
        });
        powers.expect("an endpoint of a pair is bound")
    }

    pub(super) fn is_sealed(self) -> bool {
        self.sealed
    }

    /// Whether what is not settled comes again.
    pub(super) fn redelivers(self) -> bool {
        self.capabilities.redelivery
    }

    /// Whether frames expire while they wait for who is not there.
    pub(super) fn expires(self) -> bool {
        self.capabilities.expiry && self.capabilities.durable
    }

    /// Why a sentence cannot be asked of the pair.
    pub(super) fn lack(self, needs: &[Need]) -> Option<&'static str> {
        needs.iter().find(|need| !self.has(**need)).map(|need| need.missing())
    }

    fn has(self, need: Need) -> bool {
        let Powers { features, capabilities, sealed, dated } = self;
        match need {
            Need::Statuses => features.statuses,
            Need::Rejections => features.rejections,
            Need::Admin => features.admin,
            Need::Lane => features.admin && !capabilities.links,
            Need::Resume => features.admin && features.serials == Serials::Global && features.replies == Replies::Shared,
            Need::Events => features.events && capabilities.topics,
            Need::NoEvents => !(features.events && capabilities.topics),
            Need::Sealed => sealed && dated,
            Need::Unsealed => !sealed,
            Need::Serials => features.serials != Serials::None,
            Need::GlobalSerials => features.serials == Serials::Global,
            Need::ReplyAddresses => features.replies == Replies::Shared && !capabilities.links,
            Need::Durable => capabilities.durable,
            Need::Redelivery => capabilities.redelivery,
            // Whoever dials asks its one peer, which says that it is somebody else: only the outcome tells.
            Need::Unroutable => capabilities.unroutable || (capabilities.links && features.replies == Replies::SameLink),
            Need::Bus => !capabilities.links,
            Need::Links => capabilities.links,
        }
    }
}

impl Need {
    fn missing(self) -> &'static str {
        match self {
            Need::Statuses => "the dialect has no statuses",
            Need::Rejections => "the dialect has no rejections: a mistake is an exception like others",
            Need::Admin => "the dialect has no `Admin`",
            Need::Lane => "`Admin` has no address of its own: it is called where everything else is",
            Need::Resume => "agents cannot be asked for outcomes whose reply address is lost",
            Need::Events => "the dialect has no events, or the transport no topics",
            Need::NoEvents => "there are events",
            Need::Sealed => "nobody signs, or the scheme dates nothing",
            Need::Unsealed => "everybody signs",
            Need::Serials => "the dialect has no serial numbers",
            Need::GlobalSerials => "the dialect's serial numbers are good for one link, or there are none",
            Need::ReplyAddresses => "replies come by an address or a link of each call's own",
            Need::Durable => "nothing waits for who is not there",
            Need::Redelivery => "nothing is delivered again",
            Need::Unroutable => "it is not known whether anybody is there",
            Need::Bus => "there are links to peers, and no bus",
            Need::Links => "there is a bus, and no links to peers",
        }
    }
}

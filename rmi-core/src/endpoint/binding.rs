//! A protocol, a transport and a trust, opened for one endpoint.

mod allowance;
mod answers;
mod crowd;
mod inflow;
mod peers;
mod sending;

use std::{
    future::ready,
    hash::BuildHasher,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use self::{
    allowance::Allowance,
    crowd::Crowd,
    inflow::Inflow,
    peers::{LastCalled, Peers},
};
pub(crate) use self::{
    answers::Answered,
    peers::{Known, Route},
    sending::{SendError, Sending, Unsent},
};
use crate::{
    address::Address,
    endpoint::{
        admission::{Window, WindowSize},
        counters::Counters,
        pending::PendingTable,
        records::Records,
        sessions::Sessions,
    },
    lock::lock,
    message::{Body, Message},
    protocol::{Features, Limits, Protocol, ProtocolError, Replies, Role, Serials},
    seal::{AuthError, Authenticator, Principal, Trust, wrap},
    service::BoxFuture,
    table::Seeded,
    text::Text,
    time::{Clock, Timestamp},
    transport::{Attempt, Destination, Frame, LinkId, Receipt, Transport, TransportError, TransportErrorKind},
};

/// A protocol, a transport and a trust, opened for one endpoint.
#[derive(Debug)]
pub(crate) struct Binding {
    /// Where the binding stands among its endpoint's.
    pub(crate) index: usize,
    pub(crate) protocol: Arc<dyn Protocol>,
    pub(crate) features: Features,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) trust: Trust,
    pub(crate) limits: Limits,
    /// The endpoint's address.
    pub(crate) own: Address,
    /// Where the endpoint takes requests to `Admin` alone, if the dialect has such an address.
    pub(crate) own_admin: Address,
    /// Whether agents of this dialect take requests to `Admin` at an address of its own.
    pub(crate) admin_lane: bool,
    /// Whether agents of this dialect can be asked for the outcomes of calls that lost their reply address.
    pub(crate) resumes: bool,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where replies to our calls come, while the link lasts.
    pub(crate) reply_to: RwLock<Option<Address>>,
    /// There is a new one.
    pub(crate) reply_to_made: Notify,
    pub(crate) pending: Arc<PendingTable>,
    pub(crate) window: Mutex<Window>,
    pub(crate) counters: Counters,
    /// Exchanges that replies may be sent to.
    pub(crate) reply_exchanges: Vec<String>,
    /// Where what becomes of requests is written down, if it is.
    pub(crate) records: Option<Arc<Records>>,
    /// What it is called there: the same after a restart.
    pub(crate) recorded_as: Text,
    /// Since when every request that came would be known here, unless it was forgotten. None where others take requests from the
    /// same address.
    pub(crate) knows_since: Option<Timestamp>,
    /// The transport has links with peers.
    pub(crate) has_links: bool,
    /// All of them lead to one peer.
    pub(crate) one_peer: bool,
    /// The dialect addresses its messages, and here they go by links: whoever is at the other end of one.
    pub(crate) by_links: bool,
    pub(crate) peers: Mutex<Peers>,
    last_called: LastCalled,
    /// Whether what has arrived has been handled.
    pub(crate) inflow: Inflow,
    /// There may be a way now to an address that there was none to.
    pub(crate) way_made: Notify,
    /// The sessions of a protocol that talks about its links.
    pub(crate) sessions: Option<Sessions>,
    hasher: Seeded,
    rejections: Mutex<Allowance>,
    /// Where answers wait that nobody has to wait for.
    crowd: Crowd,
}

/// What a binding is opened with.
pub(crate) struct Opening {
    pub(crate) index: usize,
    pub(crate) protocol: Arc<dyn Protocol>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) trust: Trust,
    pub(crate) limits: Limits,
    pub(crate) window: WindowSize,
    pub(crate) reply_exchanges: Vec<String>,
    pub(crate) records: Option<Arc<Records>>,
    pub(crate) knows_since: Option<Timestamp>,
    /// How long calls wait, where the endpoint says so.
    pub(crate) timeout: Option<Duration>,
}

impl Opening {
    /// What the binding is called in a journal: where it stands, how it is written, whether it is sealed, and the address. What is
    /// kept of one binding is never taken for another's.
    pub(crate) fn recorded_as(&self, own: &Address) -> Text {
        let trust = if self.trust.is_sealed() { "sealed" } else { "insecure" };
        Text::from(format!("{} {} {trust} {own}", self.index, self.protocol.name()))
    }
}

impl Binding {
    pub(crate) fn open(opening: Opening, own: Address, clock: Arc<dyn Clock>, sessions: Option<Sessions>) -> Self {
        let recorded_as = opening.recorded_as(&own);
        let mut features = opening.protocol.features();
        features.timeout = opening.timeout.or(features.timeout);
        let capabilities = opening.transport.capabilities();
        let by_links = capabilities.links && features.replies == Replies::Shared;
        if by_links {
            features.replies = Replies::SameLink;
        }
        let own_admin = own.admin();
        let lane = Role::Admin { address: &own_admin, prefetch: 0 };
        let admin_lane = features.admin && !capabilities.links && !opening.protocol.listen(&lane).is_empty();
        let resumes = features.admin && features.serials == Serials::Global && (by_links || features.replies == Replies::Shared);
        let demands_dates = opening.trust.authenticator.as_ref().is_some_and(|a| a.demands().dated);
        Binding {
            index: opening.index,
            features,
            protocol: opening.protocol,
            transport: opening.transport,
            trust: opening.trust,
            limits: opening.limits,
            own,
            own_admin,
            admin_lane,
            resumes,
            clock,
            reply_to: RwLock::default(),
            reply_to_made: Notify::new(),
            pending: Arc::default(),
            window: Mutex::new(Window::new(
                opening.window,
                demands_dates.then_some(opening.limits),
                opening.records.is_some().then(|| recorded_as.clone()),
            )),
            counters: Counters::default(),
            reply_exchanges: opening.reply_exchanges,
            recorded_as,
            records: opening.records,
            knows_since: opening.knows_since,
            has_links: capabilities.links,
            one_peer: capabilities.one_peer,
            by_links,
            peers: Mutex::default(),
            last_called: LastCalled::default(),
            inflow: Inflow::default(),
            way_made: Notify::new(),
            sessions,
            hasher: Seeded::default(),
            rejections: Mutex::default(),
            crowd: Crowd::default(),
        }
    }

    /// The authenticator of a sealed binding.
    pub(crate) fn authenticator(&self) -> Option<&Arc<dyn Authenticator>> {
        self.trust.authenticator.as_ref()
    }

    /// Where replies to our calls come now; `None` while the link is down.
    pub(crate) fn reply_to(&self) -> Option<Address> {
        self.reply_to.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether an address is where replies to our calls come now.
    pub(crate) fn awaits_replies_at(&self, address: &Address) -> bool {
        self.reply_to.read().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(address)
    }

    /// Whether a sender may answer for an agent.
    pub(crate) fn may_answer(&self, sender: &Principal, agent: &Address) -> bool {
        // Who was asked by no name is whoever is at the other end of the link.
        if self.by_links && agent.as_str().is_empty() {
            return true;
        }
        match (self.authenticator(), sender.name()) {
            (None, _) => true,
            (Some(authenticator), Some(sender)) => authenticator.answers(sender, agent.key()),
            (Some(authenticator), None) => !authenticator.demands().sender,
        }
    }

    /// Whether the binding lets its callers reach a method.
    pub(crate) fn lets_in(&self, class: &str, method: &str) -> bool {
        let names = |entry: &String| entry.split_once('.').is_some_and(|(c, m)| c == class && (m == method || m == "*"));
        self.trust.only.as_ref().is_none_or(|only| only.iter().any(names))
    }

    /// Tells the text of one request from that of another. Keyed, so that nobody can make two alike; what is written down is to be
    /// told after a restart as well. Replies need none.
    pub(crate) fn digest(&self, message: &Message, text: &Text) -> u64 {
        match &self.records {
            _ if !matches!(message.body, Body::Request(_)) => 0,
            None => self.hasher.hash_one(text.as_bytes()),
            Some(_) => {
                let digest = Sha256::digest(text.as_bytes());
                digest[..8].iter().fold(0, |digest, byte| digest << 8 | u64::from(*byte))
            }
        }
    }

    /// Whether a request of this date would be known here if it had come.
    pub(crate) fn would_know(&self, sent: Timestamp, floor: Timestamp) -> bool {
        let skew = self.limits.skew;
        // Since when everything is here is a date by our clock, and the request's is by its sender's: nothing that a request says
        // tells how far they are apart, so it counts as far as they may be. A floor is a date by the clock of who sent what had to
        // make room, so that what came and was forgotten is dated at it or before, whatever the clocks say.
        self.knows_since.is_some_and(|since| sent > since.plus(skew))
            // Nothing is promised of what is still to be sent: the floor of those who are remembered would rise to its date.
            && sent <= self.clock.now().plus(skew)
            && sent > floor
    }

    /// Writes and signs a message. `None` when the dialect has no such message.
    pub(crate) fn write(&self, message: &Message, link: Option<LinkId>) -> Result<Option<Frame>, SendError> {
        let Some(mut frame) = self.protocol.encode(message).map_err(SendError::Protocol)? else { return Ok(None) };
        if let Some(authenticator) = self.authenticator() {
            let signatures = authenticator.sign(&[&frame.payload]).map_err(SendError::Auth)?;
            let [signature] = signatures.as_slice() else {
                return Err(SendError::Auth(AuthError::Failed(Text::from_static("one text, another number of signatures"))));
            };
            let text = std::str::from_utf8(&frame.payload)
                .map_err(|e| SendError::Protocol(ProtocolError(format!("what is sealed is not text: {e}"))))?;
            frame.payload = wrap(text, signature);
        }
        if frame.link.is_none() {
            frame.link = link;
        }
        if self.by_links && matches!(frame.to, Destination::Address(_)) {
            frame.to = Destination::Link;
        }
        Ok(Some(frame))
    }

    /// Publishes a frame if that takes no waiting.
    pub(crate) fn try_publish(&self, frame: Frame) -> Attempt {
        match (&self.sessions, frame.link) {
            // The session is to hear of it, and only when it has been sent.
            (Some(_), Some(_)) => Attempt::Waits(frame),
            _ => self.transport.try_publish(frame),
        }
    }

    /// Publishes a frame that [`try_publish`](Self::try_publish) gave back.
    pub(crate) fn publish(&self, mut frame: Frame) -> BoxFuture<'_, Result<Receipt, TransportError>> {
        match (&self.sessions, frame.link) {
            (Some(sessions), Some(link)) => Box::pin(async move {
                if !sessions.sending(self, link, &mut frame) {
                    return Err(TransportError::new(TransportErrorKind::Disconnected, "the link is being closed"));
                }
                let sent = frame.clone();
                let receipt = (*self.transport).publish(frame).await;
                if receipt.is_ok() {
                    sessions.sent(self, link, &sent);
                }
                receipt
            }),
            _ => (*self.transport).publish(frame),
        }
    }

    /// Writes, signs and publishes a message. `None` when the dialect has no such message.
    pub(crate) fn send(&self, message: &Message, link: Option<LinkId>) -> Result<Option<Sending<'_>>, SendError> {
        let Some(frame) = self.write(message, link)? else { return Ok(None) };
        Ok(Some(match self.try_publish(frame) {
            Attempt::Done(receipt) => Sending::Done(ready(receipt)),
            Attempt::Given(receipt) => Sending::Given(receipt),
            Attempt::Waits(frame) => Sending::Waits(self.publish(frame)),
        }))
    }

    /// Whether one more answer to somebody unverified may go out now.
    pub(crate) fn may_answer_unverified(&self) -> bool {
        lock(&self.rejections).take(self.clock.now().as_millis())
    }

    /// Whether replies may go to an address: not to one that we serve, nor through an exchange that is not listed.
    pub(crate) fn may_reply_to(&self, to: &Address) -> bool {
        // It goes back by the link that the request came by, whatever is written on it.
        if self.by_links {
            return true;
        }
        if to.key() == self.own.key() || to.key() == self.own_admin.key() {
            return false;
        }
        to.exchange().is_none_or(|exchange| self.reply_exchanges.iter().any(|listed| listed == exchange))
    }
}

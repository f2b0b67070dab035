use std::fmt;

use bytes::Bytes;

use crate::{
    address::Address,
    message::{Outcome, ReplyPath, Sn},
    seal::Principal,
    text::Text,
    time::Timestamp,
    transport::{Delivery, LinkId, Purpose, SharedProperties},
};

/// What a journal calls a request: counted by the endpoint, from 1. Nothing that came by the wire is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One thing that became of a request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// From this date on everything that came by a binding is in the journal. What is dated before may have come without being
    /// written down.
    Since {
        /// The binding.
        binding: Text,
        /// The date; [`Timestamp::MIN`] when that is not so any more.
        at: Timestamp,
    },
    /// The endpoint is responsible for it.
    Accepted {
        /// The request.
        id: RequestId,
        /// What is kept of it.
        request: Box<Accepted>,
    },
    /// It was not taken, and its caller has been told so: it ended like this without having run, and may not run any more.
    Refused {
        /// The request.
        id: RequestId,
        /// What it is known by.
        entry: Entry,
        /// How it ended.
        outcome: Outcome,
    },
    /// Its method is about to run.
    Started {
        /// The request.
        id: RequestId,
        /// How often that is with this time, from 1.
        attempt: u32,
    },
    /// It has this outcome, and no other.
    Concluded {
        /// The request.
        id: RequestId,
        /// How it ended.
        outcome: Outcome,
    },
    /// The bus has its outcome. All that is still needed of it is how it ended.
    Confirmed {
        /// The request.
        id: RequestId,
    },
    /// Its caller wants it to stop.
    Cancelled {
        /// The request.
        id: RequestId,
    },
    /// Its caller has lost the reply address that it named, and awaits its replies here.
    Moved {
        /// The request.
        id: RequestId,
        /// Where.
        to: Address,
    },
    /// Its outcome had to make room. It is still known that it has run.
    Faded {
        /// The request.
        id: RequestId,
    },
    /// It had to make room.
    Forgotten {
        /// The request.
        id: RequestId,
    },
    /// It has not come, its caller has been told so, and it may not run any more.
    Barred {
        /// The request.
        id: RequestId,
        /// What it would be known by.
        entry: Entry,
    },
    /// What is dated so or before it is not remembered any more, unless it is there. Floors only rise; one at [`Timestamp::MIN`] is
    /// not needed any more, because everybody's is as high.
    Floor {
        /// At which binding.
        binding: Text,
        /// Whose requests; everybody's when it is none.
        principal: Option<Principal>,
        /// The date.
        at: Timestamp,
    },
}

/// What a request is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The binding that it came by: a name that is the same after a restart.
    pub binding: Text,
    /// Who sent it.
    pub principal: Principal,
    /// Its serial number, if it has one.
    pub sn: Option<Sn>,
    /// The link that its serial number is good for, where it is good for one only. Links have other names after a restart.
    pub link: Option<LinkId>,
    /// It is told by its text from another of the same number, which ran when it came.
    pub by_text: bool,
    /// The digest of its text: the same in every process.
    pub digest: u64,
    /// When it was sent, as it says.
    pub sent: Option<Timestamp>,
}

/// What is kept of a request until its outcome has been confirmed.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// What it is known by.
    pub entry: Entry,
    /// Where its replies go, and what the protocol needs for them.
    pub reply: Option<ReplyPath>,
    /// It exactly as it came.
    pub received: Received,
    /// When it came.
    pub at: Timestamp,
    /// When it is too late to start it.
    pub expires: Option<Timestamp>,
}

/// A delivery as it came: what is needed to read it again.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The payload, with the signing wrapper if it came in one.
    pub payload: Bytes,
    /// The exchange that it came by, if any.
    pub exchange: Text,
    /// The queue, routing key or topic that it came by.
    pub key: Text,
    /// What the subscription was for.
    pub purpose: Purpose,
    /// What travelled beside the payload.
    pub properties: SharedProperties,
    /// The link it came by, of the process that accepted it.
    pub link: LinkId,
    /// Whom the transport vouched for.
    pub peer: Option<Text>,
}

impl Received {
    /// What a delivery is, as long as it has not been taken apart. Nothing is copied.
    #[must_use]
    pub fn of(delivery: &Delivery) -> Self {
        Received {
            payload: delivery.payload.clone(),
            exchange: delivery.exchange.clone(),
            key: delivery.key.clone(),
            purpose: delivery.purpose,
            properties: delivery.properties.clone(),
            link: delivery.link,
            peer: delivery.peer.clone(),
        }
    }
}

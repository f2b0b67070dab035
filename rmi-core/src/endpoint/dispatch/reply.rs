//! What becomes of a reply: it finds its call.

use crate::{
    address::Address,
    endpoint::{admission::uuid_of, dispatch::Inbox, inbound::Origin, pending},
    message::{Head, Outcome, RejectionCode, Status},
    protocol::Replies,
    seal::Principal,
};

pub(super) enum Reply {
    Status(Status),
    Outcome(Outcome),
}

impl Inbox {
    /// A reply counts only from somebody who may answer for the address that was called.
    pub(super) fn reply(&self, reply: Reply, head: &Head, principal: &Principal, origin: &Origin) {
        let binding = &self.binding;
        let key = match binding.features.replies {
            Replies::PerCall => Some(pending::Key::Address(origin.address.clone())),
            Replies::Shared | Replies::SameLink => head.sn.as_ref().and_then(uuid_of).map(pending::Key::Serial),
        };
        if let (true, Some(key), Reply::Outcome(Outcome::Rejected(rejection))) = (binding.by_links, &key, &reply)
            && rejection.code == RejectionCode::Nobody
        {
            // Said by whoever is at the other end of the link that the request took, under whatever name.
            if !binding.pending.nobody(key, origin.link) {
                binding.counters.orphans.add();
            }
            return;
        }
        let mut impostor = false;
        let allowed = |agent: &Address| {
            let may = binding.may_answer(principal, agent);
            impostor = !may;
            may
        };
        let heard = key.is_some_and(|key| match reply {
            Reply::Status(status) => binding.pending.status(&key, status, origin.link, allowed),
            Reply::Outcome(outcome) => binding.pending.outcome(&key, outcome, origin.link, allowed),
        });
        if impostor {
            binding.counters.impostors.add();
            tracing::warn!(%principal, sn = ?head.sn, "a reply by somebody who may not answer for the agent was dropped");
        } else if !heard {
            binding.counters.orphans.add();
        } else {
            binding.hears(origin.link, head.from.as_ref(), principal);
        }
    }
}

//! Who may touch requests that somebody else has sent.

use std::fmt::Debug;

use crate::seal::Principal;

/// What is asked of `Admin` about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AdminAction {
    /// To cancel it.
    Cancel,
    /// To be told its outcome.
    Resume,
}

/// Who may cancel or resume requests that somebody else has sent. One's own are always one's own; without a policy nobody may
/// touch others'. Set with [`Builder::admin`](crate::endpoint::Builder::admin).
///
/// Asked once for each principal whose requests could be meant, without a lock held, so it may take a moment; a policy that can
/// change while the endpoint runs decides by what holds when it is asked.
pub trait AdminPolicy: Send + Sync + 'static {
    /// Whether `asker` may do this to requests of `owner`: another principal, or one of the same name at another binding.
    fn permits(&self, asker: &Principal, action: AdminAction, owner: &Principal) -> bool;
}

impl<F: Fn(&Principal, AdminAction, &Principal) -> bool + Send + Sync + 'static> AdminPolicy for F {
    fn permits(&self, asker: &Principal, action: AdminAction, owner: &Principal) -> bool {
        self(asker, action, owner)
    }
}

/// These principals may cancel everybody's requests. They are told nobody's outcomes.
#[derive(Clone, Debug, Default)]
pub struct Operators(Vec<Principal>);

impl Operators {
    /// The principals. [`Principal::Anonymous`] among them would be everybody on an unsealed binding.
    #[must_use]
    pub fn new<I: IntoIterator<Item = Principal>>(operators: I) -> Self {
        Operators(operators.into_iter().collect())
    }
}

impl AdminPolicy for Operators {
    fn permits(&self, asker: &Principal, action: AdminAction, _: &Principal) -> bool {
        action == AdminAction::Cancel && self.0.contains(asker)
    }
}

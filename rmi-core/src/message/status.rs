use crate::json::Json;

/// How far a request has come. None of these is its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The agent has taken responsibility for the request.
    Accepted,
    /// The method has been invoked.
    Started,
    /// The method reports how far it is.
    Progress(Progress),
}

/// One step of a method's work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress<D = Json> {
    /// How many items there are; 0 when it is not known.
    pub total: u64,
    /// How many are done.
    pub completed: u64,
    /// Whatever else there is to say.
    pub details: D,
}

/// A set of statuses that a caller wants to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Statuses {
    /// [`Status::Accepted`]
    pub accepted: bool,
    /// [`Status::Started`]
    pub started: bool,
    /// [`Status::Progress`]
    pub progress: bool,
}

impl Statuses {
    /// Only the outcome.
    pub const NONE: Statuses = Statuses { accepted: false, started: false, progress: false };
    /// Every status.
    pub const ALL: Statuses = Statuses { accepted: true, started: true, progress: true };

    /// Whether the set holds the kind of this status.
    #[must_use]
    pub fn contain(self, status: &Status) -> bool {
        match status {
            Status::Accepted => self.accepted,
            Status::Started => self.started,
            Status::Progress(_) => self.progress,
        }
    }
}

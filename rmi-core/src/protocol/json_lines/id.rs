//! The ids of commands: any JSON value of a peer's, and our own serial numbers.

use uuid::Uuid;

use super::line;
use crate::{message::Sn, scan::Value, text::Text};

/// What is behind the serial number in the id of a command whose `result` says only that its task was accepted. So the answer says
/// by itself what it means.
const TASK: &str = "/task";

/// An id that we wrote, or could have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ours {
    pub(super) serial: Uuid,
    /// The `result` says only that the task was accepted.
    pub(super) task: bool,
}

/// Reads an id as one of ours: a UUID as we write it.
pub(super) fn ours(id: Value<'_>) -> Option<Ours> {
    let said = line::string(id)?;
    let (serial, task) = match said.strip_suffix(TASK) {
        Some(serial) => (serial, true),
        None => (&*said, false),
    };
    uuid(serial).map(|serial| Ours { serial, task })
}

/// A UUID in the one form that we write.
pub(super) fn uuid(text: &str) -> Option<Uuid> {
    let canonical = text.len() == 36 && !text.bytes().any(|b| b.is_ascii_uppercase());
    canonical.then(|| Uuid::try_parse(text).ok()).flatten()
}

/// The id of a command of ours.
pub(super) fn written(serial: &str, task: bool) -> String {
    format!("{serial}{}", if task { TASK } else { "" })
}

/// The serial number of a peer's command: the raw text of its id, which tells the number 7 from the string "7"; of an id of ours what we
/// call it. One that is too long for a serial number is none: the command is answered all the same.
pub(super) fn serial(whole: &Text, id: Value<'_>) -> Option<Sn> {
    match ours(id) {
        Some(ours) => Some(Sn::from(ours.serial)),
        None => Sn::new(whole.share(id.get())),
    }
}

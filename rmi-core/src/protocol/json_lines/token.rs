//! What an answer needs of its command: the raw id, what it was called, the raw id of its task.

use std::borrow::Cow;

use super::line;
use crate::{
    json::Json,
    message::Head,
    protocol::{ProtocolError, write::Writer},
    scan::{Scanner, Value},
};

/// What an answer needs of its command.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// The command's id, as it was written.
    pub(super) id: &'a str,
    /// The command, in the peer's spelling.
    pub(super) command: Cow<'a, str>,
    /// The task's id, as it was written.
    pub(super) task: Option<&'a str>,
}

impl<'a> Token<'a> {
    /// As it is kept: an array.
    pub(super) fn write(&self) -> Json {
        let mut w = Writer::with_capacity(self.id.len() + self.command.len() + 16);
        w.literal("[");
        w.raw_text(self.id);
        w.literal(",");
        w.string(&self.command);
        if let Some(task) = self.task {
            w.literal(",");
            w.raw_text(task);
        }
        w.literal("]");
        Json::trusted(String::from_utf8(w.finish()).unwrap_or_else(|_| "[]".to_owned()))
    }

    /// The token that a message about a request has.
    pub(super) fn of(head: &'a Head) -> Result<Self, ProtocolError> {
        let token = head.reply.as_ref().and_then(|path| path.token.as_ref());
        token.and_then(Self::read).ok_or_else(|| ProtocolError("an answer needs the id of its command".into()))
    }

    fn read(token: &'a Json) -> Option<Self> {
        let mut parts: [Option<Value<'a>>; 3] = [None; 3];
        Scanner::new(token.as_str())
            .array(|scanner, index| {
                let value = scanner.value()?;
                if let Some(part) = parts.get_mut(index) {
                    *part = Some(value);
                }
                Ok(())
            })
            .ok()?;
        let [id, command, task] = parts;
        Some(Token { id: id?.get(), command: line::string(command?)?, task: task.map(Value::get) })
    }
}

//! What the broker and its client library call an error, told in this project's words.

use lapin::{
    Error, ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
};
use rmi_core::transport::{TransportError, TransportErrorKind};

/// Nothing can be refused for ever that a reconnect or a change at the broker can mend.
pub(crate) fn refused(message: impl Into<String>) -> TransportError {
    TransportError::new(TransportErrorKind::Refused, message)
}

pub(crate) fn disconnected(message: impl Into<String>) -> TransportError {
    TransportError::new(TransportErrorKind::Disconnected, message)
}

pub(crate) fn ambiguous(message: impl Into<String>) -> TransportError {
    TransportError::new(TransportErrorKind::Ambiguous, message)
}

pub(crate) fn full(message: impl Into<String>) -> TransportError {
    TransportError::new(TransportErrorKind::Full, message)
}

pub(crate) fn closed() -> TransportError {
    TransportError::new(TransportErrorKind::Closed, "the connection to RabbitMQ was closed by its user")
}

/// What was tried, and what the broker said to it: refused where trying again is of no use by itself.
pub(crate) fn told(what: &str, error: Error) -> TransportError {
    let why = said(&error);
    let kind = if is_refusal(&error) { TransportErrorKind::Refused } else { TransportErrorKind::Disconnected };
    TransportError::new(kind, format!("{what}: {why}{}", advice(&error))).caused_by(error)
}

/// The broker has understood, and does not do it.
pub(crate) fn is_refusal(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            AMQPErrorKind::Soft(_) => true,
            AMQPErrorKind::Hard(hard) => matches!(
                hard,
                AMQPHardError::NOTALLOWED
                    | AMQPHardError::NOTIMPLEMENTED
                    | AMQPHardError::SYNTAXERROR
                    | AMQPHardError::COMMANDINVALID
            ),
        },
        ErrorKind::AuthProviderError(_) | ErrorKind::ChannelsLimitReached => true,
        _ => false,
    }
}

/// The soft error that closed a channel, where one did.
pub(crate) fn soft(error: &Error) -> Option<(&AMQPSoftError, &str)> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            AMQPErrorKind::Soft(soft) => Some((soft, error.get_message().as_str())),
            AMQPErrorKind::Hard(_) => None,
        },
        _ => None,
    }
}

/// Whether it is a channel that has come to its end, and not the connection.
pub(crate) fn is_of_channel(error: &Error) -> bool {
    soft(error).is_some() || matches!(error.kind(), ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidChannel(_))
}

/// The broker's words, or the library's, without a dump of types.
pub(crate) fn said(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_message().as_str().to_owned(),
        ErrorKind::IOError(error) | ErrorKind::RuntimeShutdownError(error) => error.to_string(),
        ErrorKind::MissingHeartbeatError => "the broker has sent nothing for two heartbeats".to_owned(),
        _ => error.to_string(),
    }
}

/// What to do about it, where that is known.
fn advice(error: &Error) -> &'static str {
    let Some((soft, text)) = soft(error) else { return "" };
    match soft {
        AMQPSoftError::PRECONDITIONFAILED if text.contains("inequivalent arg") => {
            ". It exists with other properties: declare it with those, passively, or under another name, or delete it"
        }
        AMQPSoftError::PRECONDITIONFAILED if text.contains("acknowledgement on channel") => {
            ". A handler ran longer than the broker waits for an acknowledgement (`consumer_timeout`): give the agent a durable journal and a queue of its own, or raise it"
        }
        AMQPSoftError::ACCESSREFUSED if text.contains("exclusive use") => ". Somebody consumes it exclusively",
        AMQPSoftError::ACCESSREFUSED => ". Ask the broker's operator for the permission",
        AMQPSoftError::RESOURCELOCKED => ". Another connection owns it",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use lapin::protocol::AMQPError;

    use super::*;

    #[test]
    fn the_end_of_a_connection_is_not_its_channels() {
        let broken = Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        let silent = Error::from(ErrorKind::MissingHeartbeatError);
        let forced = AMQPError::new(AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED), "it goes".into());
        for error in [broken, silent, Error::from(ErrorKind::ProtocolError(forced))] {
            assert!(!is_of_channel(&error), "{error}");
        }
        let missing = AMQPError::new(AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND), "no exchange".into());
        assert!(is_of_channel(&Error::from(ErrorKind::ProtocolError(missing))));
    }
}

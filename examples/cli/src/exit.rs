//! The exit statuses, which scripts rely on.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// There is a result.
    Result = 0,
    /// The method raised an exception, or was aborted.
    Exception = 1,
    /// The command line, or a file that it names, cannot be used.
    Usage = 2,
    /// The agent rejected the request: it never ran.
    Rejected = 3,
    /// Nobody listens at the address.
    NoAgent = 4,
    /// The time ran out.
    Timeout = 5,
    /// The bus could not be reached, or was lost.
    Transport = 6,
    /// Left by ctrl-c: what shells say of a program that ended by SIGINT.
    Left = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

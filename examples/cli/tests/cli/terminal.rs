//! A terminal to look at: a pseudo-terminal, and the program at its other end.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    os::unix::ffi::OsStringExt,
    process::Command,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::program::words;

/// A terminal of so many columns.
pub(crate) struct Terminal {
    ours: File,
    theirs: File,
}

/// What was written to a terminal.
#[derive(Debug)]
pub(crate) struct Screen {
    pub(crate) status: Option<i32>,
    pub(crate) text: String,
}

impl Terminal {
    pub(crate) fn new(columns: u16) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let path = std::ffi::OsString::from_vec(name.into_bytes());
        let theirs = OpenOptions::new().read(true).write(true).open(path).unwrap();
        tcsetwinsize(&theirs, Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        Terminal { ours: File::from(ours), theirs }
    }

    /// Runs the program with all of its output at the terminal.
    pub(crate) fn run(self, line: &str, environment: &[(&str, &str)]) -> Screen {
        self.run_words(&words(line), environment)
    }

    pub(crate) fn run_words(self, arguments: &[String], environment: &[(&str, &str)]) -> Screen {
        let Terminal { mut ours, theirs } = self;
        let mut command = Command::new(env!("CARGO_BIN_EXE_rmi"));
        command.args(arguments).env_remove("NO_COLOR").env("TERM", "xterm-256color").envs(environment.iter().copied());
        command.stdin(theirs.try_clone().unwrap()).stdout(theirs.try_clone().unwrap()).stderr(theirs);
        let mut child = command.spawn().unwrap();
        // The command keeps its copies of the terminal's other end, and reading ends with the last of them.
        drop(command);
        let mut bytes = Vec::new();
        let mut part = [0; 4096];
        // A terminal that nobody has any more is an error to read from, and the end.
        while let Ok(length @ 1..) = ours.read(&mut part) {
            bytes.extend_from_slice(&part[..length]);
        }
        Screen { status: child.wait().unwrap().code(), text: String::from_utf8(bytes).unwrap() }
    }
}

impl Screen {
    /// The text without colours, and with the line breaks of files.
    pub(crate) fn plain(&self) -> String {
        let mut plain = String::new();
        let mut rest = self.text.as_str();
        while let Some((before, after)) = rest.split_once("\u{1b}[") {
            plain.push_str(before);
            rest = after.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest);
        }
        (plain + rest).replace("\r\n", "\n")
    }
}

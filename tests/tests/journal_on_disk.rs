//! The suites of what a journal keeps over a crash once more, with everything that is recovered read from a disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "journal_prefixes.rs"]
mod prefixes;
#[path = "journal_recovery.rs"]
mod recovery;
#[path = "journal_resume.rs"]
mod resume;
#[path = "journal_window.rs"]
mod window;

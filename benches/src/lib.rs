//! What the benches share: a load, its figures, the peers that it is put on, and how it is printed.
//!
//! Only ratios within one round of one run count, so this is no statistics of single figures: every case runs once in each round,
//! in the same order, and a ratio is formed between two cases of one round.

pub mod broker;
pub mod curve;
pub mod flow;
pub mod grid;
pub mod load;
pub mod options;
pub mod peers;
pub mod process;
pub mod rmi;
pub mod spread;
pub mod tap;

/// Whatever went wrong: a bench has nobody to tell one error from another.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The payloads of a call, in bytes: what most calls carry, and a page of text.
pub const PAYLOADS: [usize; 2] = [32, 4096];

/// Text of so many bytes, which JSON carries without an escape.
#[must_use]
pub fn text(bytes: usize) -> String {
    ('a'..='z').cycle().take(bytes).collect()
}

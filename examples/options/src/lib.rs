//! What the companion programs are told in the same words: [whom to trust](Security), [where to](Url), with which [TLS](Tls), and
//! [when to stop](told_to_stop). What is wrong with it is [said](Unusable) in the same words as well.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod process;
mod reload;
mod security;
mod tls;
mod unusable;
mod url;

pub use self::{
    process::{explain, log, say, told_to_drain, told_to_stop},
    reload::reload_on_hangup,
    security::{Opened, Scheme, Security},
    tls::{Tls, Way},
    unusable::Unusable,
    url::{Kind, Url},
};

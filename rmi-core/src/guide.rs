//! The book: from a first service to one that runs for a year. It is in the documentation only; every example in it is compiled,
//! and run where it can be.
//!
//! | page | for whom |
//! |---|---|
//! | [`tutorial`] | wants to write a service and call it, from an empty crate |
//! | [`contracts`] | designs a trait that others will call for years |
//! | [`calls`] | calls: every verb, every time, every way in which it can go wrong |
//! | [`serving`] | serves: instances, concurrency, progress, cancelling, limits, the end |
//! | [`layers`] | decides and measures for all methods at once |
//! | [`discovery`] | puts an endpoint together from many crates, or asks one what it serves |
//! | [`events`] | tells everybody that something happened |
//! | [`transports`] | chooses how messages travel: in memory, over TCP, with TLS |
//! | [`security`] | decides who may call what, and looks after keys |
//! | [`testing`] | tests a service or its callers without a broker, or a transport against its promises |
//! | [`operations`] | runs it: a policy, rates, metrics, what each figure means, spans, the end |
//! | [`journal`] | runs it with a journal on disk: where that is, full and damaged disks, what to watch |
//!
//! What may be relied on is said sentence by sentence, each with its test, in
//! [`docs/semantics.md`](https://github.com/rmi-rs/rmi/blob/main/docs/semantics.md); the bytes are in
//! [`docs/wire.md`](https://github.com/rmi-rs/rmi/blob/main/docs/wire.md), the macro's grammar in
//! [`docs/macro.md`](https://github.com/rmi-rs/rmi/blob/main/docs/macro.md).

#[doc = include_str!("../guide/tutorial.md")]
pub mod tutorial {}

#[doc = include_str!("../guide/contracts.md")]
pub mod contracts {}

#[doc = include_str!("../guide/calls.md")]
pub mod calls {}

#[doc = include_str!("../guide/serving.md")]
pub mod serving {}

#[doc = include_str!("../guide/layers.md")]
pub mod layers {}

#[doc = include_str!("../guide/discovery.md")]
pub mod discovery {}

#[doc = include_str!("../guide/events.md")]
pub mod events {}

#[doc = include_str!("../guide/transports.md")]
pub mod transports {}

#[doc = include_str!("../guide/security.md")]
pub mod security {}

#[doc = include_str!("../guide/testing.md")]
pub mod testing {}

#[doc = include_str!("../guide/operations.md")]
pub mod operations {}

#[doc = include_str!("../guide/journal.md")]
pub mod journal {}

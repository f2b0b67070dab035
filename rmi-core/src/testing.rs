//! What tests need (feature `testing`, for `[dev-dependencies]`).
//!
//! * A client's code without a broker: a [`Fake`] answers what the test says.
//! * A service without a broker: [`pair`] puts it behind a client, on an in-memory bus.
//! * [`Recorder`] remembers what was invoked, and how it ended; [`ManualClock`] shows the date that a test tells it to.
//! * [`faults`] lose, double, delay and swap what goes over any transport, and cut its link: from a seed, so that a run can be repeated.
//! * A `Disk` (feature `journal`) fails a durable journal when it is told to, and loses power with what was not synced.
//! * [`conformance`] is what every [`Transport`](crate::transport::Transport) has to hold, check by check; [`semantics`] is what a call means
//!   on any pair of a protocol and a transport, sentence by sentence.
//!
//! ```
//! use std::convert::Infallible;
//! use rmi_core::{prelude::*, testing::{Fake, pair}};
//!
//! #[remote(name = "dog")]
//! pub trait Dog {
//!     async fn bark(&self, words: &str) -> Result<String, Infallible>;
//! }
//!
//! struct Rex;
//!
//! impl Dog for Rex {
//!     async fn bark(&self, words: &str) -> Result<String, Infallible> {
//!         Ok(format!("{words}!"))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! // The service, without a broker.
//! let (dog, _pair) = pair::<DogClient>(DogServer::new(Rex)).await;
//! assert_eq!(dog.bark("woof").await.unwrap(), "woof!");
//!
//! // What calls it, without the service.
//! let (dog, fake) = Fake::<DogClient>::new().on("bark", |asked| Ok::<_, Infallible>(asked.arg::<String>("words").to_uppercase())).start().await;
//! assert_eq!(dog.bark("woof").await.unwrap(), "WOOF");
//! assert_eq!(fake.asked()[0].arg::<String>("words"), "woof");
//! # }
//! ```

// Here a panic is how a failure is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clock;
pub mod conformance;
#[cfg(feature = "journal")]
mod disk;
mod fake;
pub mod faults;
mod pair;
mod passing;
mod recorder;
pub mod semantics;

#[cfg(feature = "journal")]
#[cfg_attr(docsrs, doc(cfg(feature = "journal")))]
pub use self::disk::Disk;
#[cfg(feature = "journal")]
pub(crate) use self::disk::DiskFile;
pub use self::{
    clock::ManualClock,
    fake::{Answer, Asked, Fake, Faked},
    pair::{Pair, pair, pair_with},
    recorder::{Recorded, Recorder},
};

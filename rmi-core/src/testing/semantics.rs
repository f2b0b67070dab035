//! What a call means, on any pair of a protocol and a transport: the sentences of `docs/semantics.md` that can be shown from outside.
//!
//! A pair says with a [`Setting`] how an endpoint is bound, and gets a `#[test]` for each sentence, under the sentence's own name:
//!
//! ```
//! use rmi_core::{Endpoint, Memory, Native, Trust, endpoint::Builder, testing::semantics::{self, Setting}};
//!
//! struct Unsealed(Memory);
//!
//! #[async_trait::async_trait]
//! impl Setting for Unsealed {
//!     const NOT_APPLICABLE: &'static [(&'static str, &'static str)] =
//!         &[("only_its_own_principal_cancels", "nobody signs: all callers are the same principal")];
//!
//!     async fn start() -> Self {
//!         Unsealed(Memory::new())
//!     }
//!
//!     async fn endpoint(&self, name: &'static str) -> Builder {
//!         Endpoint::builder(name).bind(Native::default(), self.0.clone(), Trust::insecure())
//!     }
//! }
//!
//! semantics::suite!(Unsealed);
//! # fn main() { semantics::run::<Unsealed>("a_typed_error_arrives_as_itself") }
//! ```
//!
//! What a sentence needs it says ([`Need`]), and a pair that says in its
//! [`Features`](crate::protocol::Features), its [`Capabilities`](crate::transport::Capabilities) or its trust that it does not have
//! that is not asked; [`not_applicable`] lists those, with the reason. A sentence that a pair cannot keep for another reason is in
//! [`Setting::NOT_APPLICABLE`], by name and with that reason. It is tried nevertheless, and is a failure if it holds, so that the list
//! stays true.
//!
//! The sentences look at the wire, hold messages back, lose them, play them again and lose the link through a tap that the suite puts
//! between an endpoint and its protocol and transport: a setting does nothing for that. It binds endpoints, on a bus or on links.
//! What concerns no wire at all (policies, metrics, discovery, comparing contracts) runs once, and is not here.

mod cancel;
mod criteria;
mod end;
mod events;
mod fresh;
mod groups;
mod heard;
mod layers;
mod list;
mod needs;
mod once;
mod outcome;
mod overflow;
mod overload;
pub mod probe;
mod rates;
mod replies;
mod resume;
mod retry;
mod running;
mod sequence;
mod tap;
mod time;
mod trust;
mod versions;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

use async_trait::async_trait;

pub use self::needs::Need;
use self::{
    needs::Powers,
    probe::{ProbeClient, ProbeServer, Watch},
    tap::{Tap, tapped},
};
use crate::{Endpoint, endpoint::Builder, service::BoxFuture, testing::conformance};

/// How the endpoints of a pair of protocol and transport are bound. Each sentence starts one of its own.
#[async_trait]
pub trait Setting: Send + Sync + Sized + 'static {
    /// The sentences that this pair cannot keep, and why.
    const NOT_APPLICABLE: &'static [(&'static str, &'static str)] = &[];

    /// What the sentences run on: one thread, with timers and I/O, unless this says otherwise.
    ///
    /// # Errors
    ///
    /// The runtime cannot be made.
    fn runtime() -> io::Result<tokio::runtime::Runtime> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    }

    /// Starts a bus, or reaches one that nobody else uses.
    async fn start() -> Self;

    /// An endpoint that is bound and not started yet. `agent` serves a probe, and may be asked for again when it has gone, or without
    /// having been started; `caller` and `other` call it by that name, and there may be several of each. Where everybody signs, each
    /// of the three names has a key that the others trust. Its clock and its limits are the sentence's to set.
    async fn endpoint(&self, name: &'static str) -> Builder;
}

/// Longer than any sentence takes, with all that it waits for.
const PATIENCE: Duration = Duration::from_secs(120);

/// An endpoint that serves a probe.
struct Agent {
    endpoint: Endpoint,
    watch: Watch,
    tap: Tap,
}

/// An endpoint that calls the agent's probe.
struct Caller {
    endpoint: Endpoint,
    probe: ProbeClient,
    tap: Tap,
}

async fn agent<S: Setting>(setting: &S) -> Agent {
    agent_with(setting, |builder| builder).await
}

async fn agent_with<S: Setting>(setting: &S, special: impl FnOnce(Builder) -> Builder) -> Agent {
    let (probing, watch) = Watch::new();
    let (builder, tap) = tapped(setting.endpoint("agent").await.serve(ProbeServer::new(probing)));
    Agent { endpoint: special(builder).start().await.expect("an agent starts"), watch, tap }
}

impl Agent {
    /// Waits until no more than so many requests run: one is over when the bus has its outcome, which its caller may have before.
    async fn at_most(&self, running: usize) {
        conformance::soon("the bus has the outcomes", async {
            while self.endpoint.running() > running {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

async fn caller<S: Setting>(setting: &S, name: &'static str) -> (Endpoint, ProbeClient) {
    let Caller { endpoint, probe, .. } = calling(setting, name).await;
    (endpoint, probe)
}

async fn calling<S: Setting>(setting: &S, name: &'static str) -> Caller {
    calling_with(setting, name, |builder| builder).await
}

async fn calling_with<S: Setting>(setting: &S, name: &'static str, special: impl FnOnce(Builder) -> Builder) -> Caller {
    let (builder, tap) = tapped(setting.endpoint(name).await);
    let endpoint = special(builder).start().await.expect("a caller starts");
    let probe = endpoint.client("agent");
    Caller { endpoint, probe, tap }
}

/// How long a link is lost: longer than it takes to notice.
const OUTAGE: Duration = Duration::from_millis(200);

/// One sentence.
#[derive(Clone, Copy, Debug)]
pub struct Sentence {
    /// Its name, which is that of its `#[test]`, and is at the end of the sentence in `docs/semantics.md`.
    pub name: &'static str,
    /// What it needs of a pair. One that says it does not have that is not asked.
    pub needs: &'static [Need],
    run: fn(&'static [Need]) -> BoxFuture<'static, Verdict>,
}

/// What came of a sentence that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Held,
    /// It cannot be asked of this pair, and why.
    NotApplicable(&'static str),
}

impl Sentence {
    /// Tries it, inside a runtime.
    ///
    /// # Panics
    ///
    /// It does not hold.
    pub async fn run(self) -> Verdict {
        (self.run)(self.needs).await
    }

    /// Of which pairs it is asked.
    fn asked_of(&self) -> String {
        if self.needs.is_empty() {
            return "of every pair".to_owned();
        }
        format!("because the pair's features, capabilities and trust say that it has what the sentence needs: {:?}", self.needs)
    }
}

/// Every sentence.
#[must_use]
pub fn sentences<S: Setting>() -> Vec<Sentence> {
    crate::__rmi_semantics_each!(list[S])
}

/// Tries one sentence on a runtime of its own. Where it fails it says what is asked of whom, and what can be done about it.
///
/// # Panics
///
/// It does not hold, and [`Setting::NOT_APPLICABLE`] does not list it, or the other way round; or there is no such sentence.
pub fn run<S: Setting>(name: &str) {
    let sentence = sentences::<S>().into_iter().find(|sentence| sentence.name == name);
    let sentence = sentence.unwrap_or_else(|| panic!("there is no sentence `{name}`"));
    let runtime = S::runtime().expect("a runtime for the sentence");
    let tried = async {
        let ended = tokio::time::timeout(PATIENCE, sentence.run()).await;
        ended.unwrap_or_else(|_| panic!("`{name}` has not come to its end in {PATIENCE:?}"))
    };
    let tried = catch_unwind(AssertUnwindSafe(|| runtime.block_on(tried)));
    // A transport's own tasks need not end by themselves.
    runtime.shutdown_background();
    match (tried, S::NOT_APPLICABLE.iter().find(|(listed, _)| *listed == name)) {
        (Ok(Verdict::Held), None) => {}
        (Ok(Verdict::Held), Some((_, why))) => {
            panic!("`{name}` holds: take it out of `NOT_APPLICABLE`, where it says: {why}")
        }
        (Ok(Verdict::NotApplicable(why)), _) => println!("`{name}` is not applicable: {why}"),
        (Err(_), Some((_, why))) => println!("`{name}` is not applicable, and does not hold: {why}"),
        (Err(panic), None) => {
            eprintln!(
                "`{name}` does not hold for this pair. What it promises is the sentence that ends with this name in docs/semantics.md; \
                 what was expected, and where that is asked, is above. It is asked {}. A pair that cannot keep it lists it in \
                 `Setting::NOT_APPLICABLE`, with the reason.",
                sentence.asked_of()
            );
            resume_unwind(panic);
        }
    }
}

/// The sentences that are not asked of a pair, each with what the pair does not have.
pub async fn not_applicable<S: Setting>() -> Vec<(&'static str, &'static str)> {
    let powers = Powers::of(&S::start().await).await;
    sentences::<S>().iter().filter_map(|sentence| Some((sentence.name, powers.lack(sentence.needs)?))).collect()
}

/// Fails when `NOT_APPLICABLE` lists what is no sentence.
///
/// # Panics
///
/// It does.
pub fn run_listed<S: Setting>() {
    let sentences = sentences::<S>();
    for (name, _) in S::NOT_APPLICABLE {
        let known = sentences.iter().any(|sentence| sentence.name == *name);
        assert!(known, "`NOT_APPLICABLE` lists `{name}`, and there is no such sentence");
    }
}

/// A `#[test]` for each sentence, where this is written: `suite!(MySetting)`.
#[doc(hidden)]
#[macro_export]
macro_rules! __rmi_semantics_suite {
    ($setting:ty) => {
        $crate::__rmi_semantics_each!(tests[$setting]);
    };
}

#[doc(inline)]
pub use crate::__rmi_semantics_suite as suite;

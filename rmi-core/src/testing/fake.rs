use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};

use super::pair::{Pair, pair_with};
use crate::{
    Client, Endpoint,
    context::{Context, ContextArgument},
    contract::{Contract, Method},
    error::RemoteError,
    json::Json,
    lock::lock,
    message::{Abort, AbortReason, Arguments, Outcome, Rejection, RejectionCode},
    service::{BoxFuture, Invocation, MethodResult, Service},
};

type Respond = Box<dyn Fn(Asked) -> Answer + Send + Sync>;

/// A service that answers what a test says: what a client's code is tested with.
///
/// ```
/// # use std::{convert::Infallible, time::Duration};
/// # use rmi_core::{CallError, prelude::*, message::RejectionCode, testing::{Answer, Fake}};
/// #[derive(Debug, PartialEq, thiserror::Error, RemoteError)]
/// # #[error("bad dog")]
/// enum DogError { Bites { whom: String } }
///
/// #[remote(name = "dog")]
/// trait Dog {
///     async fn bark(&self, words: &str) -> Result<String, DogError>;
///     async fn walk(&self, #[remote(context)] cx: &Context<String>, miles: u32) -> Result<u32, DogError>;
///     async fn sit(&self) -> Result<(), DogError>;
///     async fn beg(&self) -> Result<(), DogError>;
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let (dog, fake) = Fake::<DogClient>::new()
///     .on("bark", |asked| match asked.arg::<String>("words") {
///         words if words.is_empty() => Err(DogError::Bites { whom: "the postman".into() }),
///         words => Ok(words),
///     })
///     .on("walk", |_| Answer::result(3).step(3, 1, "a tree").step(3, 2, "a cat").after(Duration::from_millis(5)))
///     .on("sit", |_| Answer::rejected(RejectionCode::Busy, "asleep"))
///     .on("beg", |_| Answer::never())
///     .start()
///     .await;
///
/// assert!(matches!(dog.bark("").await, Err(CallError::Remote(DogError::Bites { .. }))));
/// assert!(matches!(dog.sit().await, Err(CallError::Rejected(why)) if why.code == RejectionCode::Busy));
/// assert!(matches!(dog.beg().timeout(Duration::from_millis(5)).await, Err(CallError::Timeout { .. })));
/// assert_eq!(dog.walk(3).await.unwrap(), 3);
/// assert_eq!(fake.asked().iter().map(|asked| asked.method().name).collect::<Vec<_>>(), ["bark", "sit", "beg", "walk"]);
///
/// fake.leave().await;
/// assert!(matches!(dog.bark("?").await, Err(CallError::NoAgent(_))));
/// # }
/// ```
///
/// A method that nothing was said about is rejected as unknown, with a word about what to do.
#[must_use = "a fake answers once it has been started, or is served"]
pub struct Fake<C> {
    contract: &'static Contract,
    answers: Vec<Option<Respond>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    client: PhantomData<fn() -> C>,
}

impl<C: Client> Default for Fake<C> {
    fn default() -> Self {
        Fake::new()
    }
}

impl<C: Client> Fake<C> {
    /// A service of the client's contract that has nothing to say yet.
    pub fn new() -> Self {
        let answers = C::CONTRACT.methods.iter().map(|_| None).collect();
        Fake { contract: C::CONTRACT, answers, asked: Arc::default(), client: PhantomData }
    }

    /// Says what a method answers, by its wire name: a `Result` as the method itself would, or an [`Answer`].
    ///
    /// # Panics
    ///
    /// The contract has no such method.
    pub fn on<A: Into<Answer>>(mut self, method: &str, answer: impl Fn(Asked) -> A + Send + Sync + 'static) -> Self {
        let Some(index) = self.contract.position(method) else {
            let methods: Vec<_> = self.contract.methods.iter().map(|method| method.name).collect();
            panic!("`{}` has no method `{method}`; it has {methods:?}", self.contract.name);
        };
        self.answers[index] = Some(Box::new(move |asked| answer(asked).into()));
        self
    }

    /// Serves it on an in-memory bus of its own, and gives a client that reaches it. Dropping [`Faked`] ends it.
    ///
    /// # Panics
    ///
    /// There is no Tokio runtime.
    pub async fn start(self) -> (C, Faked) {
        let asked = Arc::clone(&self.asked);
        let (client, pair) = pair_with(self, |agent| agent).await;
        (client, Faked { asked, pair })
    }
}

impl<C: 'static> Service for Fake<C> {
    fn contract(&self) -> &'static Contract {
        self.contract
    }

    fn dispatch(&self, call: Invocation) -> BoxFuture<'_, Outcome> {
        let asked = Asked { method: call.method(), args: call.args.clone() };
        lock(&self.asked).push(asked.clone());
        Box::pin(async move {
            let Some(respond) = &self.answers[call.index()] else {
                let name = call.method().name;
                let details = format!("this fake was not told what `{name}` answers: `.on(\"{name}\", |asked| ..)`");
                return Rejection::new(RejectionCode::UnknownMethod, details).into();
            };
            let answer = respond(asked);
            let cx = Context::<Json>::of(&call);
            for (total, completed, details) in answer.steps {
                cx.progress(total, completed, details);
            }
            if let Some(after) = answer.after {
                tokio::time::sleep(after).await;
            }
            match answer.outcome {
                Some(outcome) => outcome(call.contract()),
                None => std::future::pending().await,
            }
        })
    }
}

impl<C> fmt::Debug for Fake<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fake").field("contract", &self.contract.name).finish_non_exhaustive()
    }
}

/// A fake at work.
#[derive(Debug)]
pub struct Faked {
    asked: Arc<Mutex<Vec<Asked>>>,
    pair: Pair,
}

impl Faked {
    /// What it was asked, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }

    /// Leaves the bus: from now on there is nobody there, and calls end with [`CallError::NoAgent`](crate::CallError::NoAgent).
    pub async fn leave(&self) {
        // A bus in memory has nothing to flush.
        let _ = self.pair.agent.shutdown(Duration::ZERO).await;
    }

    /// The endpoint that calls: for other clients of the same fake, and calls without a contract.
    #[must_use]
    pub fn caller(&self) -> &Endpoint {
        &self.pair.caller
    }
}

/// What a fake was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    method: &'static Method,
    args: Arguments,
}

impl Asked {
    /// The method.
    #[must_use]
    pub fn method(&self) -> &'static Method {
        self.method
    }

    /// The arguments as they came.
    #[must_use]
    pub fn arguments(&self) -> &Arguments {
        &self.args
    }

    /// An argument, by its name in the contract; what was left out reads as `null`.
    ///
    /// # Panics
    ///
    /// The method has no such parameter, or its argument has another type.
    #[must_use]
    pub fn arg<T: DeserializeOwned>(&self, name: &str) -> T {
        let method = self.method.name;
        let at = self.method.params.iter().position(|param| param.name == name);
        let at = at.unwrap_or_else(|| {
            let params: Vec<_> = self.method.params.iter().map(|param| param.name).collect();
            panic!("`{method}` has no parameter `{name}`; it has {params:?}")
        });
        let positional: Vec<Json> = self.args.positional.decode().expect("positional arguments are an array");
        let mut named: std::collections::HashMap<String, Json> = self.args.named.decode().expect("named arguments are an object");
        let value = named.remove(name).or_else(|| positional.get(at).cloned()).unwrap_or_default();
        value.decode().unwrap_or_else(|error| panic!("`{name}` of `{method}` is {value}: {error}"))
    }
}

/// How a fake answers: with an outcome, or never, at once or after a while, with steps before it.
#[must_use = "an answer is given by returning it"]
pub struct Answer {
    /// `None` is never.
    outcome: Option<Box<dyn FnOnce(&'static Contract) -> Outcome + Send>>,
    after: Option<Duration>,
    steps: Vec<(u64, u64, Json)>,
}

impl Answer {
    fn of(outcome: impl FnOnce(&'static Contract) -> Outcome + Send + 'static) -> Self {
        Answer { outcome: Some(Box::new(outcome)), after: None, steps: Vec::new() }
    }

    /// The method returns this.
    ///
    /// # Panics
    ///
    /// It is not JSON.
    pub fn result(value: impl Serialize) -> Self {
        let value = Json::encode(&value).expect("a result is JSON");
        Answer::of(move |_| Outcome::Result(value))
    }

    /// The method fails with this: an error of its contract's, or a raw [`Exception`](crate::message::Exception).
    pub fn error(error: impl RemoteError) -> Self {
        Answer::of(move |contract| error.to_exception(contract.name).into())
    }

    /// The request is rejected: the method does not run.
    pub fn rejected(code: RejectionCode, details: &str) -> Self {
        let rejection = Rejection::new(code, details);
        Answer::of(move |_| rejection.into())
    }

    /// The method does not come to an end of its own.
    pub fn aborted(reason: AbortReason) -> Self {
        Answer::of(move |_| Abort::new(reason, "as the test says").into())
    }

    /// There is no answer, ever: the caller's time runs out.
    pub fn never() -> Self {
        Answer { outcome: None, after: None, steps: Vec::new() }
    }

    /// Waits so long before it answers.
    pub fn after(mut self, time: Duration) -> Self {
        self.after = Some(time);
        self
    }

    /// Reports a step before it answers.
    ///
    /// # Panics
    ///
    /// The details are not JSON.
    pub fn step(mut self, total: u64, completed: u64, details: impl Serialize) -> Self {
        self.steps.push((total, completed, Json::encode(&details).expect("details are JSON")));
        self
    }
}

/// What the method itself would return.
impl<T: Serialize + Send + 'static, E: RemoteError> From<Result<T, E>> for Answer {
    fn from(result: Result<T, E>) -> Self {
        Answer::of(move |contract| result.into_outcome(contract))
    }
}

/// For what returns nothing.
impl From<()> for Answer {
    fn from((): ()) -> Self {
        Answer::result(())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (never, steps) = (self.outcome.is_none(), self.steps.len());
        f.debug_struct("Answer").field("never", &never).field("after", &self.after).field("steps", &steps).finish_non_exhaustive()
    }
}

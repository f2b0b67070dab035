use std::{
    collections::{HashMap, VecDeque},
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::de::DeserializeOwned;
use tokio::{
    task::{Id, JoinSet},
    time::Instant,
};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    address::Address,
    call::{Call, Gathered, GroupFailed, Plan, Retry, answer, retry::attempts},
    endpoint::AdminClient,
    error::{CallError, RemoteError},
    json::Json,
    lock::lock,
    message::{Exception, Outcome, Sn, Statuses},
    text::Text,
};

/// The same call, made to many agents at once. Does nothing until one of its verbs is used.
///
/// Each agent gets a request with a serial number of its own, and all of them the same group id, which their handlers find in
/// [`Context::group`](crate::Context::group). The arguments are encoded once. The call's total time ([`Call::timeout`]) is the
/// whole group's, from the verb on. So many requests are under way at a time as [`Group::parallel`] says; where the time runs out
/// before an agent's turn comes, its error is [`CallError::NotSent`].
///
/// | verb | gives |
/// |---|---|
/// | [`send`](Group::send) | each agent's answer as it comes |
/// | [`gather`](Group::gather) | all answers, failures among them |
/// | [`first`](Group::first) | the first result |
/// | [`quorum`](Group::quorum) | so many results |
///
/// An agent whose address is given twice is called twice. Dropping a group, or what its verbs return, stops the waiting and
/// nothing else, as with a single call.
///
/// ```no_run
/// # async fn run(call: rmi_core::call::Call<bool>) {
/// let all = call.group(["dhcp-1", "dhcp-2"]).gather().await;
/// for (agent, error) in all.failed() {
///     eprintln!("{agent}: {error}");
/// }
/// for (agent, in_range) in all.ok() {
///     println!("{agent}: {in_range}");
/// }
/// # }
/// ```
#[must_use = "a group does nothing until one of its verbs is used"]
pub struct Group<T, E = Exception, P = Json> {
    call: Call<T, E, P>,
    addresses: Vec<Address>,
    id: Uuid,
    parallel: usize,
    cancel_rest: bool,
    policy: Option<Retry>,
}

impl<T, E, P> Group<T, E, P> {
    /// How many requests are under way at a time, unless it is said.
    const PARALLEL: usize = 256;

    pub(crate) fn new(call: Call<T, E, P>, addresses: Vec<Address>) -> Self {
        let id = call.plan.stub.binding().clock.id();
        Group { call, addresses, id, parallel: Self::PARALLEL, cancel_rest: false, policy: None }
    }

    /// The group's id, as the handlers find it in their contexts.
    #[must_use]
    pub fn id(&self) -> String {
        self.id.to_string()
    }

    /// How long the whole group may take.
    pub fn timeout(self, timeout: Duration) -> Self {
        Group { call: self.call.timeout(timeout), ..self }
    }

    /// Tries each agent's request again as far as that is safe, as [`Call::retry`] does with one call. All attempts together take
    /// no longer than the group's time.
    pub fn retry(self, policy: Retry) -> Self {
        Group { policy: Some(policy), ..self }
    }

    /// How many requests are under way at a time, from being sent to their outcome; at least one. 256 unless it is set.
    pub fn parallel(self, requests: usize) -> Self {
        Group { parallel: requests.max(1), ..self }
    }

    /// Lets [`first`](Group::first) and [`quorum`](Group::quorum) ask the agents whose answers are no longer needed to cancel
    /// them. Without it they run on, and nobody hears of it.
    pub fn cancel_rest(self) -> Self {
        Group { cancel_rest: true, ..self }
    }
}

impl<T, E, P> Group<T, E, P>
where
    T: DeserializeOwned,
    E: RemoteError,
{
    /// Sends the requests. The first ones, as many as may be under way, are sent at once, and others as answers are taken.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open which requests were sent.
    pub async fn send(self) -> Outcomes<T, E> {
        let Group { call, addresses, id, parallel, policy, .. } = self;
        let mut outcomes = Outcomes {
            began: Instant::now(),
            plan: call.plan,
            addresses,
            group: Text::from(id.to_string()),
            parallel,
            policy,
            next: 0,
            tasks: JoinSet::new(),
            under_way: HashMap::new(),
            failed: VecDeque::new(),
            answer: PhantomData,
        };
        outcomes.fill();
        outcomes
    }

    /// Waits for every answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting; what was answered is lost.
    pub async fn gather(self) -> Gathered<T, E> {
        let mut outcomes = self.send().await;
        let mut answers = Vec::with_capacity(outcomes.addresses.len());
        while let Some((place, answer)) = outcomes.take().await {
            answers.push((place, outcomes.addresses[place].clone(), answer));
        }
        Gathered::new(answers)
    }

    /// Waits for the first result. The other agents' answers are not waited for; see [`Group::cancel_rest`].
    ///
    /// # Errors
    ///
    /// No agent succeeded.
    ///
    /// # Cancel safety
    ///
    /// As [`Group::gather`].
    pub async fn first(self) -> Result<(Address, T), GroupFailed<T, E>> {
        let gathered = self.quorum(1).await?;
        let mut first = None;
        let mut rest = Vec::new();
        for (place, (address, answer)) in gathered.into_iter().enumerate() {
            match answer {
                Ok(value) if first.is_none() => first = Some((address, value)),
                answer => rest.push((place, address, answer)),
            }
        }
        first.ok_or_else(|| GroupFailed { gathered: Gathered::new(rest), missing: 0 })
    }

    /// Waits for so many results, at least one, or until there cannot be as many. What failed before is in what is returned as
    /// well.
    ///
    /// # Errors
    ///
    /// Fewer agents succeeded. Where there are fewer agents than that, none is called.
    ///
    /// # Cancel safety
    ///
    /// As [`Group::gather`].
    pub async fn quorum(self, results: usize) -> Result<Gathered<T, E>, GroupFailed<T, E>> {
        let (wanted, cancel_rest) = (results.max(1), self.cancel_rest);
        if wanted > self.addresses.len() {
            return Err(GroupFailed { gathered: Gathered::new(Vec::new()), missing: wanted - self.addresses.len() });
        }
        let mut outcomes = self.send().await;
        let (mut answers, mut succeeded) = (Vec::new(), 0);
        let agents = outcomes.addresses.len();
        while succeeded < wanted && succeeded + (agents - answers.len()) >= wanted {
            let Some((place, answer)) = outcomes.take().await else { break };
            succeeded += usize::from(answer.is_ok());
            answers.push((place, outcomes.addresses[place].clone(), answer));
        }
        if cancel_rest {
            outcomes.cancel();
        }
        let gathered = Gathered::new(answers);
        if succeeded < wanted { Err(GroupFailed { gathered, missing: 0 }) } else { Ok(gathered) }
    }
}

impl<T, E, P> fmt::Debug for Group<T, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("call", &self.call).field("addresses", &self.addresses.len()).finish_non_exhaustive()
    }
}

/// The answers of a group, as they come. Dropping it stops the waiting.
#[must_use = "requests beyond the first ones are sent as answers are taken"]
pub struct Outcomes<T, E = Exception> {
    began: Instant,
    plan: Plan,
    addresses: Vec<Address>,
    group: Text,
    parallel: usize,
    policy: Option<Retry>,
    /// The place of the next address to be called.
    next: usize,
    tasks: JoinSet<Result<Outcome, CallError<E>>>,
    /// Which address and which request each task is for.
    under_way: HashMap<Id, (usize, Number)>,
    /// What could not be sent, and the places of its addresses.
    failed: VecDeque<(usize, CallError<E>)>,
    answer: PhantomData<fn() -> T>,
}

/// The serial number of a request. One that is tried again may have another each time.
type Number = Arc<Mutex<Uuid>>;

impl<T, E> Outcomes<T, E> {
    /// How many agents have not answered yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.addresses.len() - self.next + self.under_way.len() + self.failed.len()
    }
}

impl<T, E> Outcomes<T, E>
where
    T: DeserializeOwned,
    E: RemoteError,
{
    /// The next answer, and whose it is; `None` after the last one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<(Address, Result<T, CallError<E>>)> {
        let (place, answer) = self.take().await?;
        Some((self.addresses[place].clone(), answer))
    }

    /// The next answer, and the place of its address.
    async fn take(&mut self) -> Option<(usize, Result<T, CallError<E>>)> {
        self.fill();
        if let Some((place, error)) = self.failed.pop_front() {
            return Some((place, Err(error)));
        }
        let (id, ended) = match self.tasks.join_next_with_id().await? {
            Ok((id, ended)) => (id, ended),
            // The runtime is being shut down.
            Err(error) => (error.id(), Err(CallError::Closed)),
        };
        let (place, _) = self.under_way.remove(&id)?;
        let answer = ended.and_then(|outcome| answer(outcome, &self.plan.stub.0.class));
        Some((place, answer))
    }

    /// Sends until as many requests are under way as may be.
    fn fill(&mut self) {
        while self.under_way.len() + self.failed.len() < self.parallel && self.next < self.addresses.len() {
            let place = self.next;
            self.next += 1;
            match self.begin(place) {
                Ok((task, request)) => {
                    self.under_way.insert(task, (place, request));
                }
                Err(error) => self.failed.push_back((place, error)),
            }
        }
    }

    /// Sends one request. What waits for its outcome is a task of its own.
    fn begin(&mut self, place: usize) -> Result<(Id, Number), CallError<E>> {
        let left = self.plan.times.total.saturating_sub(self.began.elapsed());
        if left.is_zero() {
            return Err(CallError::NotSent);
        }
        let mut plan = self.plan.copy();
        plan.stub = plan.stub.at(self.addresses[place].clone(), self.group.clone());
        plan.times.total = left;
        let request = Number::new(Mutex::new(plan.id));
        if let Some(policy) = self.policy {
            let number = Arc::clone(&request);
            let task = async move { attempts(plan, policy, |id| *lock(&number) = id).await };
            return Ok((self.tasks.spawn(task).id(), request));
        }
        let span = plan.span();
        let (mut sent, unsent) = span.in_scope(|| plan.begin(Statuses::NONE, false))?;
        let task = async move {
            if let Some(unsent) = unsent {
                sent.publish(unsent).await?;
            }
            sent.outcome().await
        };
        Ok((self.tasks.spawn(task.instrument(span)).id(), request))
    }

    /// Asks the agents that have not answered to cancel their requests. Nobody waits for their word.
    fn cancel(&mut self) {
        let stub = &self.plan.stub;
        for (place, request) in std::mem::take(&mut self.under_way).into_values() {
            let address = self.addresses[place].clone();
            let admin = AdminClient::new(Arc::clone(&stub.0.core), stub.binding().index, address).timeout(CANCELLING);
            let sn = Sn::from(*lock(&request));
            tokio::spawn(async move {
                if let Err(error) = admin.cancel(&sn).await {
                    tracing::debug!(%error, "an agent of a group could not be asked to cancel");
                }
            });
        }
    }
}

/// How long an agent may take to answer an order to cancel.
const CANCELLING: Duration = Duration::from_secs(5);

impl<T, E> fmt::Debug for Outcomes<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcomes").field("group", &self.group).field("remaining", &self.remaining()).finish_non_exhaustive()
    }
}

use std::{fmt, future::IntoFuture, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    call::{Call, Plan, answer, answered, sent::Unsent},
    error::{CallError, Fate, RemoteError, Retried},
    json::Json,
    message::{Exception, Message, Outcome, Sn, Statuses},
    service::BoxFuture,
    transport::TransportErrorKind,
};

/// How often a call is tried again, and when.
///
/// Trying again never runs a method twice that is not marked `idempotent`:
///
/// | what went wrong | tried again |
/// |---|---|
/// | it never ran and may do better: nobody listens, no room, a rate, not decided, shutting down, expired, the link was down | always, under a new serial number |
/// | it may have run: no outcome in time, an ambiguous transport error | only if the method is idempotent: the same message again, so that an agent that remembers gives the outcome that it has or will have, and runs nothing |
/// | it may have run, and the reply address is lost or the agent no longer knows: the link was lost, interrupted, stale | only if the method is idempotent, under a new serial number |
/// | the method answered, whatever it said | never |
/// | everything else (not authorised, unknown, malformed, poisoned, cancelled, closed) | never |
///
/// Of a one-way call nothing is heard once the bus has it, so only what never left is sent again ([`OneWay::retry`]).
///
/// The same message is one of the same serial number, date and text: so an agent tells it from a reused number, on a sealed
/// binding as well. A peer without such a memory runs it again, which an idempotent method allows.
///
/// Between two attempts there is a pause. It doubles with each, up to a greatest one, and half of it is random, so that those who
/// failed together do not come back together. A hint of the agent's ([`Rejection::retry_after`]) is waited for as well. The
/// call's total time ([`Call::timeout`]) holds for all attempts and pauses together: what would not fit is not waited for.
///
/// ```no_run
/// # async fn run(client: rmi_core::call::Call<u32>) {
/// use std::time::Duration;
/// use rmi_core::call::Retry;
///
/// let policy = Retry::default().attempts(5).each(Duration::from_secs(2));
/// match client.timeout(Duration::from_secs(20)).retry(policy).await {
///     Ok(value) => println!("{value}"),
///     Err(error) => eprintln!("{error}, after {} attempts: {:?}", error.attempts(), error.fate()),
/// }
/// # }
/// ```
///
/// [`OneWay::retry`]: crate::call::OneWay::retry
/// [`Rejection::retry_after`]: crate::message::Rejection::retry_after
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    attempts: u32,
    first: Duration,
    most: Duration,
    each: Option<Duration>,
}

impl Default for Retry {
    /// Four attempts, with pauses from 100 milliseconds up to 10 seconds.
    fn default() -> Self {
        Retry { attempts: 4, first: Duration::from_millis(100), most: Duration::from_secs(10), each: None }
    }
}

impl Retry {
    /// How many attempts are made at most, the first one among them.
    #[must_use]
    pub fn attempts(self, attempts: u32) -> Self {
        Retry { attempts: attempts.max(1), ..self }
    }

    /// How long the first pause is at most, and how long any.
    #[must_use]
    pub fn pause(self, first: Duration, most: Duration) -> Self {
        Retry { first, most, ..self }
    }

    /// How long one attempt may take. Without it the first has the call's whole time, and nothing is tried again because an
    /// outcome was late. What has no answer in this time may have run: only an idempotent method is tried again then.
    #[must_use]
    pub fn each(self, time: Duration) -> Self {
        Retry { each: Some(time), ..self }
    }

    /// How long an attempt may take, of what is left.
    fn within(&self, left: Duration) -> Duration {
        self.each.map_or(left, |each| each.min(left))
    }

    /// The pause before an attempt, the second being number 1. `random` is any number.
    fn before(&self, number: u32, random: Uuid) -> Duration {
        let whole = self.first.saturating_mul(1_u32.checked_shl(number - 1).unwrap_or(u32::MAX)).min(self.most);
        // Of 2^16 steps: enough to part a crowd.
        #[allow(clippy::cast_possible_truncation)] // cut on purpose
        let share = random.as_u128() as u16;
        whole / 2 + (whole / 2).mul_f64(f64::from(share) / f64::from(u16::MAX))
    }
}

/// A call that is tried again; see [`Retry`]. Does nothing until it is awaited.
#[must_use = "a call does nothing until it is awaited"]
pub struct Retrying<T, E = Exception, P = Json> {
    call: Call<T, E, P>,
    policy: Retry,
}

/// How the next attempt is made, if there is one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Under a new serial number.
    Anew,
    /// Exactly as it was sent.
    Same,
    Never,
}

impl<T, E, P> Retrying<T, E, P> {
    pub(crate) fn new(call: Call<T, E, P>, policy: Retry) -> Self {
        Retrying { call, policy }
    }

    /// How long all attempts and pauses may take together; see [`Call::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        Retrying { call: self.call.timeout(timeout), ..self }
    }

    /// How long each request may wait before the method starts; see [`Call::ttl`].
    pub fn ttl(self, ttl: Duration) -> Self {
        Retrying { call: self.call.ttl(ttl), ..self }
    }

    /// Data of the caller's own; see [`Call::data`].
    pub fn data<D: Serialize>(self, data: D) -> Self {
        Retrying { call: self.call.data(data), ..self }
    }
}

impl<T, E, P> Retrying<T, E, P>
where
    T: DeserializeOwned,
    E: RemoteError,
{
    async fn perform(self) -> Result<T, CallError<E>> {
        let Retrying { call: Call { plan, .. }, policy } = self;
        let class = plan.stub.0.class.clone();
        answer(attempts(plan, policy, |_| {}).await?, &class)
    }
}

/// Makes attempts until the method answers, or there is no other. Each serial number is told before it is used.
pub(super) async fn attempts<E>(mut plan: Plan, policy: Retry, using: impl Fn(Uuid)) -> Result<Outcome, CallError<E>> {
    let (began, total) = (Instant::now(), plan.times.total);
    let idempotent = plan.contract.is_some_and(|method| method.idempotent);
    let (mut before, mut ambiguous) = (None, false);
    let mut attempts = 1;
    loop {
        plan.times.total = policy.within(total.saturating_sub(began.elapsed()));
        let span = plan.span();
        let outcome = attempt::<E>(&mut plan, &mut before, &using).instrument(span).await;
        let error = match outcome.and_then(answered) {
            Ok(outcome) => return Ok(outcome),
            Err(error) => error,
        };
        let again = again(&error, idempotent);
        let hint = match &error {
            CallError::Rejected(rejection) => rejection.retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let pause = policy.before(attempts, plan.stub.binding().clock.id());
        // Not all at the same moment, if they were told the same.
        let pause = if hint.is_zero() { pause } else { pause.max(hint.saturating_add(pause / 4)) };
        let left = total.saturating_sub(began.elapsed());
        if again == Again::Never || attempts >= policy.attempts || pause >= left {
            return Err(given_up(error, attempts, ambiguous));
        }
        tracing::debug!(method = %plan.method, to = %plan.stub.0.address, attempts, ?pause, said = %error, "tried again");
        ambiguous |= error.is_ambiguous();
        sleep(pause).await;
        attempts += 1;
        if again == Again::Anew || before.is_none() {
            plan.renumber();
            before = None;
        }
    }
}

/// Sends a request that nobody waits for, until the bus has it: only what never left is sent again.
pub(super) async fn deliveries<E>(plan: Plan, policy: Retry) -> Result<Sn, CallError<E>> {
    let (began, total) = (Instant::now(), plan.times.total);
    let mut next = plan.copy();
    next.id = plan.id;
    let mut attempts = 1;
    loop {
        next.times.total = policy.within(total.saturating_sub(began.elapsed()));
        let span = next.span();
        let error = match next.deliver::<E>(None).instrument(span).await {
            Ok(sn) => return Ok(sn),
            Err(error) => error,
        };
        next = plan.copy();
        let pause = policy.before(attempts, next.id);
        let left = total.saturating_sub(began.elapsed());
        if !error.is_retryable() || attempts >= policy.attempts || pause >= left {
            return Err(given_up(error, attempts, false));
        }
        tracing::debug!(method = %plan.method, to = %plan.stub.0.address, attempts, ?pause, said = %error, "sent again");
        sleep(pause).await;
        attempts += 1;
    }
}

/// The last error of so many attempts.
fn given_up<E>(error: CallError<E>, attempts: u32, ambiguous: bool) -> CallError<E> {
    match error.fate() {
        _ if attempts == 1 => error,
        Fate::Ran => error,
        Fate::NeverRan | Fate::MayHaveRun => CallError::Retried(Box::new(Retried::new(attempts, ambiguous, error))),
    }
}

/// One attempt: what was sent before, exactly as it was, if there is anything and that can be; or else a new request.
async fn attempt<E>(plan: &mut Plan, before: &mut Option<Message>, using: &impl Fn(Uuid)) -> Result<Outcome, CallError<E>> {
    let mut again = None;
    if let Some(message) = before.take() {
        match plan.begin_again(&message) {
            Some(sent) => again = Some((sent, message)),
            None => plan.renumber(),
        }
    }
    using(plan.id);
    let (mut sent, message) = match again {
        Some(again) => again,
        None => Plan { id: plan.id, ..plan.copy() }.enter(Statuses::NONE, false)?,
    };
    // Without a reply address it is not yet the text that will be sent.
    *before = message.head.reply.is_some().then(|| message.clone());
    sent.publish(Unsent::new(message)).await?;
    sent.outcome().await
}

/// Whether and how what ended so is tried again. The method is never run twice unless that does no harm.
fn again<E>(error: &CallError<E>, idempotent: bool) -> Again {
    if error.is_retryable() {
        return Again::Anew;
    }
    if !idempotent || error.fate() != Fate::MayHaveRun {
        return Again::Never;
    }
    match error {
        CallError::Timeout { .. } => Again::Same,
        CallError::Transport(error) if error.kind == TransportErrorKind::Ambiguous => Again::Same,
        CallError::ReplyLost | CallError::Interrupted(_) | CallError::Rejected(_) => Again::Anew,
        _ => Again::Never,
    }
}

impl<T, E, P> IntoFuture for Retrying<T, E, P>
where
    T: DeserializeOwned + 'static,
    E: RemoteError,
    P: 'static,
{
    type Output = Result<T, CallError<E>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.perform())
    }
}

impl<T, E, P> fmt::Debug for Retrying<T, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retrying").field("call", &self.call).field("policy", &self.policy).finish()
    }
}

use std::{
    fmt,
    future::{Future, IntoFuture, poll_fn},
    marker::PhantomData,
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
};

use super::{
    binding,
    outage::{Gaps, marked},
    queue::{End, Overflow, Queue},
    receive::Collect,
    seen::Seen,
    stream::{Events, Figuring},
    without_events,
};
use crate::{
    context::Cancellation,
    endpoint::{binding::Binding, dispatch::Core, inbound::receive, links::Stop},
    event::{
        KeyFlaw, RemoteEvent,
        key::{self, overlap},
    },
    protocol::Role,
    service::BoxFuture,
    text::Text,
    time::Timestamp,
    transport::{TransportError, TransportErrorKind},
};

/// A subscription that has not been made: await it. Made by [`Endpoint::subscribe`](crate::Endpoint::subscribe).
#[must_use = "nothing is subscribed to until this is awaited"]
pub struct Subscribe<E> {
    core: Arc<Core>,
    over: usize,
    keys: Vec<Text>,
    pool: Option<Text>,
    overflow: Overflow,
    capacity: usize,
    from: Option<Arc<[Text]>>,
    events: PhantomData<fn() -> E>,
}

/// How many events wait for a subscriber unless it says otherwise.
const CAPACITY: usize = 256;

impl<E: RemoteEvent> Subscribe<E> {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Subscribe {
            core,
            over: 0,
            keys: Vec::new(),
            pool: None,
            overflow: Overflow::default(),
            capacity: CAPACITY,
            from: None,
            events: PhantomData,
        }
    }

    /// Only events of this key, or whose keys match this pattern: in it `*` stands for one word, and `#` for any number of them.
    /// Given several times, an event is received once if any of them matches.
    pub fn key(mut self, pattern: impl Into<Text>) -> Self {
        self.keys.push(pattern.into());
        self
    }

    /// As a member of a pool: each event goes to one of the subscribers with this name, who subscribe to the same keys. What a member
    /// has not taken when it goes is for the others. Without a pool each subscriber gets every event.
    pub fn pool(mut self, name: impl Into<Text>) -> Self {
        self.pool = Some(name.into());
        self
    }

    /// What becomes of events for which there is no room. They wait on the bus unless this is set.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// How many events wait here for the subscriber, at least one. 256 unless it is set. Together their messages are no longer than
    /// the longest that is taken ([`Limits::payload`](crate::Limits::payload)), or there is one.
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events.max(1);
        self
    }

    /// Only events of these publishers: principals on a sealed binding; elsewhere whoever the transport vouches for, or the
    /// names that publishers claim, which is a filter and no protection.
    pub fn from<I: IntoIterator<Item = S>, S: Into<Text>>(mut self, publishers: I) -> Self {
        self.from = Some(publishers.into_iter().map(Into::into).collect());
        self
    }

    /// Over another binding than the first: its number in the order in which they were added, from 0. A number that there is not
    /// means the last.
    pub fn over(mut self, binding: usize) -> Self {
        self.over = binding;
        self
    }

    /// The patterns that are subscribed to.
    fn patterns(&self) -> Result<Vec<Text>, SubscribeError> {
        if self.keys.is_empty() {
            return Ok(E::patterns());
        }
        let all = E::patterns();
        for pattern in &self.keys {
            key::check_pattern(pattern).map_err(|flaw| SubscribeError::Pattern { pattern: pattern.clone(), flaw })?;
            if !all.iter().any(|possible| overlap(possible, pattern)) {
                let possible = all.join("`, `");
                return Err(SubscribeError::Never { pattern: pattern.clone(), events: E::EVENTS.name, possible });
            }
        }
        Ok(self.keys.clone())
    }

    async fn subscribe(self) -> Result<Events<E>, SubscribeError> {
        let patterns = self.patterns()?;
        if let Some(pool) = &self.pool {
            key::check(pool).map_err(|flaw| SubscribeError::Pool { name: pool.clone(), flaw })?;
        }
        let core = self.core;
        if core.stage.is_closed() {
            return Err(SubscribeError::Closed);
        }
        let binding = Arc::clone(binding(&core, self.over).ok_or(SubscribeError::Closed)?);
        if let Some(why) = without_events(&binding) {
            return Err(SubscribeError::Unsupported(why));
        }
        let role = Role::Events {
            patterns: &patterns,
            pool: self.pool.as_ref(),
            // What waits on the bus has to stay there, and what a member of a pool has not taken has to go back.
            acknowledged: self.pool.is_some() || self.overflow == Overflow::Wait,
            prefetch: u32::try_from(self.capacity).unwrap_or(u32::MAX),
        };
        let stop = Arc::new(Cancellation::default());
        let stopping = Stop::new(Arc::clone(&stop));
        let queue = Arc::new(Queue::new(self.capacity, binding.limits.payload, self.overflow));
        let figures = Arc::<Figuring>::default();
        // Before anything can have come: what is dated before is not of this subscription.
        let since = match &self.pool {
            None => Timestamp::from_millis(binding.clock.now().as_millis().saturating_sub(skew(&binding))),
            Some(_) => Timestamp::MIN,
        };
        for subscription in binding.protocol.listen(&role) {
            let links = binding.transport.links();
            let deliveries = binding.transport.subscribe(subscription).await?;
            let gaps = Gaps { links, interruptions: deliveries.interruptions() };
            let dated = binding.authenticator().is_some_and(|authenticator| authenticator.demands().dated);
            let collect = Collect {
                core: Arc::clone(&core),
                binding: Arc::clone(&binding),
                queue: Arc::clone(&queue),
                figures: Arc::clone(&figures),
                stop: Arc::clone(&stop),
                knows: E::knows,
                from: self.from.clone(),
                seen: dated.then(|| Mutex::new(Seen::new(since, binding.limits))),
            };
            let counted = Arc::clone(&figures);
            let (core, binding, stop, queue) = (Arc::clone(&core), Arc::clone(&binding), Arc::clone(&stop), Arc::clone(&queue));
            let pooled = self.pool.is_some();
            tokio::spawn(async move {
                let receiving = receive(Arc::clone(&binding), deliveries, None, collect, over(&core, &stop));
                let (deliveries, _) = marked(&binding, &queue, &counted, gaps, receiving).await;
                let wanted = !core.stage.is_closed() && !stop.is_set();
                let why = if wanted { End::Lost } else { End::Closed };
                if pooled {
                    // With the subscription what it has not taken goes to the others: once is enough.
                    queue.abandon(why);
                }
                drop(deliveries);
                queue.end(why);
            });
        }
        Ok(Events::new(queue, figures, self.pool.is_some().then_some(core), stopping))
    }
}

fn skew(binding: &Binding) -> i64 {
    i64::try_from(binding.limits.skew.as_millis()).unwrap_or(i64::MAX)
}

/// Waits until the endpoint is closed or nobody reads any more.
async fn over(core: &Core, stop: &Cancellation) {
    let (mut closed, mut stopped) = (pin!(core.stage.closed()), pin!(stop.wait()));
    poll_fn(|cx| {
        let over = closed.as_mut().poll(cx).is_ready() || stopped.as_mut().poll(cx).is_ready();
        if over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl<E: RemoteEvent> IntoFuture for Subscribe<E> {
    type Output = Result<Events<E>, SubscribeError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.subscribe())
    }
}

impl<E> fmt::Debug for Subscribe<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe")
            .field("keys", &self.keys)
            .field("pool", &self.pool)
            .field("overflow", &self.overflow)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// A subscription could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// This is no pattern of keys.
    #[error("`{pattern}` is no pattern of keys: it {flaw}")]
    Pattern {
        /// What was to be the pattern.
        pattern: Text,
        /// What is wrong with it.
        flaw: KeyFlaw,
    },
    /// No event of the type can have such a key.
    #[error("no `{events}` has a key that matches `{pattern}`; their keys are `{possible}`")]
    Never {
        /// The pattern.
        pattern: Text,
        /// The type's name.
        events: &'static str,
        /// The patterns of the keys that there are.
        possible: String,
    },
    /// This is no name of a pool.
    #[error("`{name}` is no name of a pool: it {flaw}")]
    Pool {
        /// What was to be the name.
        name: Text,
        /// What is wrong with it.
        flaw: KeyFlaw,
    },
    /// The binding has no events.
    #[error("{0}")]
    Unsupported(String),
    /// The transport refuses.
    #[error("the transport refused the subscription")]
    Transport(#[source] TransportError),
    /// The endpoint has been closed.
    #[error("the endpoint has been closed")]
    Closed,
}

impl From<TransportError> for SubscribeError {
    fn from(error: TransportError) -> Self {
        if error.kind == TransportErrorKind::Closed { SubscribeError::Closed } else { SubscribeError::Transport(error) }
    }
}

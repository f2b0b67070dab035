//! A subscription: its queue and its consumer, kept up over reconnects and over what the broker closes.

use std::{
    collections::HashMap,
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{FutureExt, Stream};
use lapin::{
    Channel, Consumer,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use rmi_core::{
    text::Text,
    transport::{Deliveries, Delivery, Purpose, Source, Subscription, TransportError, TransportErrorKind},
};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::{sleep, timeout},
};

use crate::{
    convert,
    error::{closed, disconnected, said, told},
    handle::Handle,
    link::{Generation, Link, State, jittered, left, up},
    settle::Settler,
    topology::Plan,
};

/// How long the broker may take to let a consumer go.
const LEAVING: Duration = Duration::from_secs(2);

/// The subscriptions, and which of them are being left: a queue that is not quite gone is not declared anew.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    queues: Mutex<HashMap<u64, Entry>>,
    gone: Notify,
}

#[derive(Debug)]
struct Entry {
    queue: ShortString,
    leaving: bool,
}

impl Subscribers {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, id: u64, queue: &ShortString) {
        self.lock().insert(id, Entry { queue: queue.clone(), leaving: false });
    }

    /// Nobody receives any more; what is at the broker still has to go.
    fn leave(&self, id: u64) {
        if let Some(entry) = self.lock().get_mut(&id) {
            entry.leaving = true;
        }
    }

    fn gone(&self, id: u64) {
        self.lock().remove(&id);
        self.gone.notify_waiters();
    }

    /// Waits until nobody is leaving this queue.
    async fn over(&self, queue: &ShortString) {
        loop {
            let mut gone = pin!(self.gone.notified());
            gone.as_mut().enable();
            if !self.lock().values().any(|entry| entry.leaving && entry.queue == *queue) {
                return;
            }
            gone.await;
        }
    }

    /// Waits until all have gone.
    pub(crate) async fn all_gone(&self) {
        loop {
            let mut gone = pin!(self.gone.notified());
            gone.as_mut().enable();
            if self.lock().is_empty() {
                return;
            }
            gone.await;
        }
    }
}

/// Subscribes: returns when the broker has taken it.
pub(crate) async fn subscribe(handle: &Arc<Handle>, subscription: Subscription) -> Result<Inbox, TransportError> {
    let link = &handle.link;
    let plan = Plan::of(&subscription, &link.options)?;
    let wait = link.options.wait;
    if timeout(wait, handle.subscribers.over(&plan.queue)).await.is_err() {
        return Err(disconnected(format!("whoever subscribed to `{}` before is not gone after {wait:?}", plan.queue)));
    }
    let (flows, incoming) = mpsc::channel(1);
    let (first, answered) = oneshot::channel();
    let stopped = Arc::new(AtomicBool::new(false));
    let id = link.joins();
    handle.subscribers.enter(id, &plan.queue);
    let keeper = Keeper {
        id,
        link: Arc::clone(link),
        subscribers: Arc::clone(&handle.subscribers),
        closing: handle.closing.subscribe(),
        plan,
        flows,
        stopped: Arc::clone(&stopped),
        first: Some(first),
    };
    // If nobody waits any more, its end is the subscription's.
    let inbox = Inbox {
        id,
        handle: Arc::clone(handle),
        incoming,
        current: None,
        stopped,
        address: match &subscription.source {
            Source::Address(address) => Some(address.text().clone()),
            _ => None,
        },
        purpose: subscription.purpose,
    };
    tokio::spawn(keeper.keep());
    match timeout(wait, answered).await {
        Ok(Ok(answer)) => answer.map(|()| inbox),
        Ok(Err(_)) => Err(closed()),
        Err(_) => Err(link.away(wait)),
    }
}

/// A consumer on a channel of its own.
struct Flow {
    consumer: Consumer,
    channel: Channel,
    settler: Option<Arc<Settler>>,
    ended: Arc<Notify>,
}

impl Drop for Flow {
    /// Nobody reads it any more: it has come to its end.
    fn drop(&mut self) {
        self.ended.notify_one();
    }
}

/// Keeps one subscription up, in a task of its own.
struct Keeper {
    id: u64,
    link: Arc<Link>,
    subscribers: Arc<Subscribers>,
    closing: watch::Receiver<bool>,
    plan: Plan,
    flows: mpsc::Sender<Flow>,
    stopped: Arc<AtomicBool>,
    /// Whoever subscribes waits for this.
    first: Option<oneshot::Sender<Result<(), TransportError>>>,
}

/// Why a consumer is of no use any more.
enum End {
    /// Nobody wants it.
    Unwanted,
    /// The link has gone.
    Link,
    /// The broker has closed its channel, or cancelled it.
    Broker,
}

impl Keeper {
    async fn keep(mut self) {
        let mut state = self.link.watch();
        let mut pause = self.link.options.pause;
        while let Some(generation) = self.generation(&mut state).await {
            if self.stopped.load(Ordering::Acquire) {
                // What was received can no longer be settled, and nothing more is wanted.
                self.link.leaves(self.id);
                tokio::select! {
                    () = self.flows.closed() => {}
                    () = over(&mut self.closing) => {}
                }
                break;
            }
            let opened = tokio::select! {
                opened = self.open(&generation) => opened,
                () = left(&mut state, generation.number) => continue,
            };
            match opened {
                Ok((flow, channel)) => {
                    pause = self.link.options.pause;
                    self.link.has(self.id, generation.number);
                    if let Some(first) = self.first.take() {
                        let _ = first.send(Ok(()));
                    }
                    let settler = flow.settler.clone();
                    let end = self.hold(flow, &generation, &mut state).await;
                    release(&channel, settler.as_deref()).await;
                    match end {
                        End::Unwanted => break,
                        End::Link => continue,
                        End::Broker => {
                            self.link.tally.channels_lost.add();
                            tracing::warn!(queue = %self.plan.queue, "the broker has ended a subscription; it is made again");
                        }
                    }
                }
                Err(error) => {
                    self.link.has(self.id, generation.number);
                    if error.kind == TransportErrorKind::Refused
                        && let Some(first) = self.first.take()
                    {
                        let _ = first.send(Err(error));
                        break;
                    }
                    self.link.tally.resubscribe_failed.add();
                    tracing::warn!(queue = %self.plan.queue, %error, "a subscription cannot be made now; it is tried again");
                }
            }
            tokio::select! {
                () = sleep(jittered(pause)) => {}
                () = self.flows.closed() => break,
                () = over(&mut self.closing) => break,
            }
            pause = (pause * 2).min(self.link.options.max_pause);
        }
        self.link.leaves(self.id);
        self.subscribers.gone(self.id);
    }

    /// The next connection; `None` when there is nothing to be done any more.
    async fn generation(&mut self, state: &mut watch::Receiver<State>) -> Option<Arc<Generation>> {
        tokio::select! {
            biased;
            () = self.flows.closed() => None,
            () = over(&mut self.closing) => None,
            generation = up(state) => generation,
        }
    }

    /// Declares, and consumes.
    async fn open(&self, generation: &Generation) -> Result<(Flow, Channel), TransportError> {
        let within = self.link.options.connect_timeout;
        let opening = async {
            let channel = generation.channel(within).await?;
            self.plan.declare(&channel).await?;
            if self.plan.acknowledged {
                let limited = channel.basic_qos(self.plan.prefetch, BasicQosOptions { global: false }).await;
                limited.map_err(|error| told("the prefetch cannot be set", error))?;
            }
            let options = BasicConsumeOptions {
                no_ack: !self.plan.acknowledged,
                exclusive: self.plan.alone,
                ..BasicConsumeOptions::default()
            };
            let consumer = channel.basic_consume(self.plan.queue.clone(), "".into(), options, FieldTable::default()).await;
            let consumer =
                consumer.map_err(|error| told(&format!("the queue `{}` cannot be consumed", self.plan.queue), error))?;
            let settler = self.plan.acknowledged.then(|| Settler::start(channel.clone(), Arc::clone(&self.link.tally)));
            Ok((Flow { consumer, channel: channel.clone(), settler, ended: Arc::default() }, channel))
        };
        let late = || disconnected(format!("the queue `{}` was not declared and consumed in {within:?}", self.plan.queue));
        timeout(within, opening).await.unwrap_or_else(|_| Err(late()))
    }

    /// Hands the consumer over, and waits until it is of no use any more.
    async fn hold(&mut self, flow: Flow, generation: &Generation, state: &mut watch::Receiver<State>) -> End {
        let ended = Arc::clone(&flow.ended);
        let flows = self.flows.clone();
        let given = async move {
            // One that was not taken before comes first.
            let _ = flows.send(flow).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = self.flows.closed() => End::Unwanted,
            () = over(&mut self.closing) => End::Unwanted,
            () = left(state, generation.number) => End::Link,
            () = ended.notified() => if generation.is_connected() { End::Broker } else { End::Link },
            () = given => End::Unwanted,
        }
    }
}

/// Lets go of a channel: what is settled is told, what is not the broker gives to others.
async fn release(channel: &Channel, settler: Option<&Settler>) {
    if let Some(settler) = settler {
        settler.flush(false);
        settler.end();
    }
    if channel.status().connected() {
        let _ = timeout(LEAVING, channel.close(200, "OK".into())).await;
    }
}

/// Waits until something has been said for good.
pub(crate) async fn over(said: &mut watch::Receiver<bool>) {
    let _ = said.wait_for(|said| *said).await;
}

/// The receiving end of a subscription.
pub(crate) struct Inbox {
    id: u64,
    handle: Arc<Handle>,
    incoming: mpsc::Receiver<Flow>,
    current: Option<Flow>,
    /// Nothing more is wanted.
    stopped: Arc<AtomicBool>,
    /// Where everything comes that is not a topic's.
    address: Option<Text>,
    purpose: Purpose,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("address", &self.address).field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.handle.subscribers.leave(self.id);
        if let Some(settler) = self.current.as_ref().and_then(|flow| flow.settler.as_ref()) {
            // What is settled from now on is too late; what was settled is told. What goes back the broker takes with the channel.
            settler.flush(false);
            settler.end();
        }
    }
}

impl Inbox {
    /// Takes what there is; `Ready(0)` when this consumer brings nothing any more.
    fn poll_current(&mut self, cx: &mut Context<'_>, into: &mut Vec<Delivery>, max: usize) -> Poll<usize> {
        let Some(flow) = &mut self.current else { return Poll::Ready(0) };
        let mut count = 0;
        while count < max {
            // What the link had brought and nobody took comes again.
            if flow.settler.as_ref().is_some_and(|settler| settler.is_dead()) {
                return Poll::Ready(count);
            }
            match Pin::new(&mut flow.consumer).poll_next(cx) {
                Poll::Ready(Some(Ok(delivery))) => {
                    into.push(convert::delivery(delivery, self.address.as_ref(), self.purpose, flow.settler.as_ref()));
                    count += 1;
                }
                Poll::Ready(Some(Err(error))) => tracing::debug!(error = %said(&error), "a consumer has ended"),
                Poll::Ready(None) => return Poll::Ready(count),
                Poll::Pending if count == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(count)
    }
}

#[async_trait]
impl Deliveries for Inbox {
    async fn recv(&mut self, into: &mut Vec<Delivery>, max: usize) -> Result<usize, TransportError> {
        if max == 0 {
            return Ok(0);
        }
        loop {
            if self.current.is_some() {
                let count = poll_fn(|cx| self.poll_current(cx, into, max)).await;
                if count > 0 {
                    let tally = &self.handle.link.tally;
                    tally.delivered.add_many(count);
                    let again = into[into.len() - count..].iter().filter(|delivery| delivery.redelivered).count();
                    if again > 0 {
                        tally.redelivered.add_many(again);
                    }
                    return Ok(count);
                }
                self.current = None;
            }
            match self.incoming.recv().await {
                Some(flow) => self.current = Some(flow),
                None => return Ok(0),
            }
        }
    }

    fn stop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        if let Some(flow) = &self.current {
            // Asked once, it is on its way before whatever is settled from now on.
            let options = BasicCancelOptions { nowait: true };
            let _ = flow.channel.basic_cancel(flow.consumer.tag(), options).now_or_never();
        }
    }
}

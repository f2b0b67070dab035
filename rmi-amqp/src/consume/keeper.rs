//! The task that keeps the queue and the consumer of one subscription up.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use futures_util::StreamExt;
use lapin::{
    Channel, Consumer,
    options::{BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use rmi_core::transport::{Disposition, Settle, TransportError, TransportErrorKind, WhenFull};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{sleep, timeout},
};

use super::{Brake, Flow, Subscribers, backlog::Backlog};
use crate::{
    error::{disconnected, told},
    link::{Generation, Link, State, jittered, left, up},
    settle::Settler,
    topology::Plan,
};

/// How long the broker may take to let a consumer go.
const LEAVING: Duration = Duration::from_secs(2);

/// Keeps one subscription up, in a task of its own.
pub(super) struct Keeper {
    pub(super) id: u64,
    pub(super) link: Arc<Link>,
    pub(super) subscribers: Arc<Subscribers>,
    pub(super) closing: watch::Receiver<bool>,
    pub(super) plan: Plan,
    /// What came while the consumer was away is lost, and whoever waits for it has to hear of that.
    pub(super) fleeting: bool,
    pub(super) when_full: WhenFull,
    pub(super) flows: mpsc::Sender<Flow>,
    /// Nothing more is wanted; what was received can still be settled.
    pub(super) stopped: watch::Receiver<bool>,
    /// Whoever subscribes waits for this.
    pub(super) first: Option<oneshot::Sender<Result<(), TransportError>>>,
    /// Why it has not come about yet, for whoever waits no longer.
    pub(super) trouble: Arc<Mutex<Option<TransportError>>>,
    /// How often it was lost while the link was up.
    pub(super) interrupted: watch::Sender<u64>,
}

/// Why a consumer is of no use any more.
enum End {
    /// Nobody wants it.
    Unwanted,
    /// The link has gone.
    Link,
    /// The broker has closed its channel, or cancelled it.
    Broker,
    /// It brought more than was taken.
    Flooded,
}

impl Keeper {
    pub(super) async fn keep(mut self) {
        let mut state = self.link.watch();
        let mut pause = self.link.options.pause;
        while let Some(generation) = self.generation(&mut state).await {
            if *self.stopped.borrow() {
                // What was received can no longer be settled, and nothing more is wanted.
                self.link.restoring.leaves(self.id);
                unwanted(&self.flows, &mut self.closing).await;
                break;
            }
            let mut closing = self.closing.clone();
            let opened = tokio::select! {
                biased;
                () = over(&mut closing) => break,
                () = left(&mut state, generation.number) => continue,
                // Whoever goes away meanwhile is noticed afterwards: a queue that was declared and never consumed stays.
                opened = self.open(&generation) => opened,
            };
            match opened {
                Ok((flow, channel)) => {
                    pause = self.link.options.pause;
                    self.link.restoring.has(self.id, generation.number);
                    if *self.stopped.borrow() {
                        // It was stopped meanwhile: what has come by this one is for others.
                        drop(flow);
                        release(&channel, None).await;
                        continue;
                    }
                    if let Some(first) = self.first.take() {
                        let _ = first.send(Ok(()));
                    }
                    let settler = flow.settler.clone();
                    let end = self.hold(flow, &generation, &mut state).await;
                    release(&channel, settler.as_deref()).await;
                    match end {
                        End::Unwanted => break,
                        End::Link => {
                            self.plan.renew();
                            continue;
                        }
                        End::Broker => {
                            self.link.tally.channels_lost.add();
                            tracing::warn!(queue = %self.plan.queue, "the broker has ended a subscription");
                        }
                        End::Flooded => tracing::warn!(
                            queue = %self.plan.queue,
                            "a subscription is ended: it brought more than was taken, and more than `Options::backlog` lets wait"
                        ),
                    }
                    if self.fleeting {
                        break;
                    }
                    // Before anything comes by the next one.
                    self.interrupted.send_modify(|times| *times += 1);
                    self.plan.renew();
                }
                Err(error) => {
                    self.link.restoring.has(self.id, generation.number);
                    if error.kind == TransportErrorKind::Refused
                        && let Some(first) = self.first.take()
                    {
                        let _ = first.send(Err(error));
                        break;
                    }
                    self.link.tally.resubscribe_failed.add();
                    tracing::warn!(queue = %self.plan.queue, %error, "a subscription cannot be made now; it is tried again");
                    if self.first.is_some() {
                        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    }
                }
            }
            tokio::select! {
                () = sleep(jittered(pause)) => {}
                () = unwanted(&self.flows, &mut self.closing) => break,
            }
            pause = (pause * 2).min(self.link.options.max_pause);
        }
        self.link.restoring.leaves(self.id);
        self.subscribers.gone(self.id);
    }

    /// The next connection; `None` when there is nothing to be done any more.
    async fn generation(&mut self, state: &mut watch::Receiver<State>) -> Option<Arc<Generation>> {
        tokio::select! {
            biased;
            () = unwanted(&self.flows, &mut self.closing) => None,
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
            let Link { options, tally, .. } = &*self.link;
            let settler = self.plan.acknowledged.then(|| Settler::start(channel.clone(), Arc::clone(tally)));
            let backlog = (!self.plan.acknowledged).then(|| Arc::new(Backlog::new(options, self.when_full, tally)));
            let (tag, pulled) = (consumer.tag(), AtomicBool::new(false));
            let brake = Arc::new(Brake { channel: channel.clone(), consumer: tag, pulled });
            Ok((Flow { consumer, brake, settler, backlog, ended: Arc::default(), over: false }, channel))
        };
        let queue = &self.plan.queue;
        let late =
            || disconnected(format!("the queue `{queue}` was not declared and consumed in {within:?}{}", generation.silence()));
        timeout(within, opening).await.unwrap_or_else(|_| Err(late()))
    }

    /// Hands the consumer over, and waits until it is of no use any more.
    async fn hold(&mut self, flow: Flow, generation: &Generation, state: &mut watch::Receiver<State>) -> End {
        let ended = Arc::clone(&flow.ended);
        let guarded = flow.backlog.clone().map(|backlog| (backlog, flow.consumer.clone()));
        let overflows = async move {
            match guarded {
                Some((backlog, consumer)) => backlog.overflows(consumer).await,
                None => std::future::pending().await,
            }
        };
        let (consumer, brake, settler) = (flow.consumer.clone(), Arc::clone(&flow.brake), flow.settler.clone());
        let mut stopped = self.stopped.clone();
        // One may be stopped that was never taken, and is given only now: nobody else cancels it.
        let returned = async move {
            over(&mut stopped).await;
            brake.pull();
            if let Some(settler) = settler {
                give_back(consumer, &settler).await;
            }
            std::future::pending::<()>().await;
        };
        let flows = self.flows.clone();
        let given = async move {
            // One that was not taken before comes first.
            let _ = flows.send(flow).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = unwanted(&self.flows, &mut self.closing) => End::Unwanted,
            () = left(state, generation.number) => End::Link,
            () = overflows => End::Flooded,
            () = ended.notified() => if generation.is_connected() { End::Broker } else { End::Link },
            () = given => End::Unwanted,
            () = returned => End::Unwanted,
        }
    }
}

/// What comes, and has come and not been received, is for others: now, and not when what was received is done with.
async fn give_back(mut consumer: Consumer, settler: &Settler) {
    while let Some(come) = consumer.next().await {
        if let Ok(delivery) = come {
            settler.settle(delivery.delivery_tag, Disposition::Release);
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

/// Waits until nobody receives any more, or the transport is closed.
async fn unwanted(flows: &mpsc::Sender<Flow>, closing: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = flows.closed() => {}
        () = over(closing) => {}
    }
}

/// Waits until something has been said for good.
async fn over(said: &mut watch::Receiver<bool>) {
    let _ = said.wait_for(|said| *said).await;
}

//! The caller's half of a resumption: after a loss of the link, agents are asked for the outcomes of the calls that wait.

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};

use crate::{
    address::Address,
    endpoint::{
        AdminClient,
        admin::{Asked, Known, MOST},
        binding::{Binding, Route},
        dispatch::Core,
        pending::{Astray, Key, Lost},
        resubscribe::{LONGEST, PAUSE},
    },
    error::CallError,
    message::Exception,
    transport::{LinkId, TransportErrorKind},
};

/// How many requests ask at a time, each for at most [`MOST`] calls.
const AT_A_TIME: usize = 8;

/// How long the first answer is waited for; each is given twice as long as the one before. What waits in an agent's lane is lost with
/// it when the agent's own link goes, and nobody hears of that: it is asked again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks whenever the endpoint has another reply address, or a call noticed too late that it named an old one; until the endpoint
/// is closed.
pub(crate) async fn drive(core: Arc<Core>, binding: Arc<Binding>) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    loop {
        let mut gone = pin!(binding.pending.gone_astray());
        let mut closed = pin!(core.stage.closed());
        let over = poll_fn(|cx| match closed.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => gone.as_mut().poll(cx).map(|()| false),
        })
        .await;
        if over {
            return;
        }
        let (to, astray) = if binding.by_links {
            let way = |agent: &Address| match binding.link_to(agent) {
                Route::By(link) => Some(link),
                Route::Any | Route::Later | Route::Nowhere => None,
            };
            (binding.own.clone(), binding.pending.take_strays(way))
        } else {
            let losses = binding.pending.losses();
            // While there is none, a new address is what is waited for.
            let Some(to) = binding.reply_to() else { continue };
            (to, binding.pending.take_astray(losses))
        };
        let mut agents: HashMap<(Address, Option<LinkId>), Vec<Astray>> = HashMap::new();
        for call in astray {
            agents.entry((call.agent.clone(), call.link)).or_default().push(call);
        }
        for ((agent, link), mut calls) in agents {
            while !calls.is_empty() {
                let some = calls.split_off(calls.len().saturating_sub(MOST));
                let (core, binding) = (Arc::clone(&core), Arc::clone(&binding));
                let ask = Ask { core, binding, agent: agent.clone(), to: to.clone(), link };
                tokio::spawn(ask.ask(some, Arc::clone(&places)));
            }
        }
    }
}

/// One request's worth of calls.
struct Ask {
    core: Arc<Core>,
    binding: Arc<Binding>,
    agent: Address,
    to: Address,
    /// The link that the answers come by, where there are links.
    link: Option<LinkId>,
}

impl Ask {
    /// Whether replies still come where the agent is told that they do.
    fn holds(&self) -> bool {
        match self.link {
            Some(link) => !self.binding.is_gone(link),
            None => self.binding.awaits_replies_at(&self.to),
        }
    }

    /// First in the lane, where a busy agent answers at once. What is not known there may still wait at the agent's own address:
    /// behind it, the agent is asked again.
    async fn ask(self, calls: Vec<Astray>, places: Arc<Semaphore>) {
        let unsure = {
            let Ok(_place) = places.acquire().await else { return };
            let known = self.known(&calls, false).await;
            self.conclude(calls, known, false)
        };
        if !unsure.is_empty() {
            // Without a place: an agent that takes nothing for a while holds up no other.
            let known = self.known(&unsure, true).await;
            self.conclude(unsure, known, true);
        }
    }

    /// What the agent knows. An agent that has no room to say so, or does not answer, is asked again, as long as the calls wait there.
    async fn known(&self, calls: &[Astray], in_line: bool) -> Result<Vec<Known>, CallError<Exception>> {
        let left = calls.iter().map(|call| call.left).max().unwrap_or(Duration::ZERO);
        let asked: Vec<Asked> =
            calls.iter().map(|call| Asked(uuid::Uuid::from_u128(call.serial).to_string(), Some(call.sent.to_millis()))).collect();
        let arguments = (&asked, self.to.as_str(), in_line);
        let (began, mut pause) = (Instant::now(), PAUSE);
        // Behind everything else an answer takes its time, and what asks for it is kept like everything else.
        let mut patience = if in_line { LONGEST } else { PATIENCE };
        loop {
            let left = left.saturating_sub(began.elapsed());
            let admin =
                AdminClient::new(Arc::clone(&self.core), self.binding.index, self.agent.clone()).timeout(left.min(patience));
            let known =
                if in_line { admin.ask_at(None, "resume", &arguments).await } else { admin.ask("resume", &arguments).await };
            let hint = match &known {
                Err(CallError::Rejected(no)) if no.code.is_transient() => no.retry_after.unwrap_or_default(),
                Err(CallError::Transport(e)) if is_passing(e.kind) => Duration::ZERO,
                Err(CallError::Timeout { .. }) => {
                    patience *= 2;
                    Duration::ZERO
                }
                _ => return known,
            };
            let pausing = pause.max(hint);
            if pausing >= left.saturating_sub(began.elapsed()) || !self.holds() {
                return known;
            }
            sleep(pausing).await;
            pause = (2 * pause).min(LONGEST);
        }
    }

    /// Ends the calls that nothing is to be hoped for. Returns those that the agent did not know.
    fn conclude(&self, calls: Vec<Astray>, known: Result<Vec<Known>, CallError<Exception>>, in_line: bool) -> Vec<Astray> {
        let pending = &self.binding.pending;
        let known = match known {
            Ok(known) if known.len() == calls.len() => known,
            // The link was lost again: they are asked for when there is another address.
            _ if !self.holds() => return Vec::new(),
            Err(CallError::ReplyLost | CallError::Timeout { .. } | CallError::Closed) => return Vec::new(),
            Err(CallError::Transport(e))
                if matches!(
                    e.kind,
                    TransportErrorKind::Disconnected | TransportErrorKind::Ambiguous | TransportErrorKind::Closed
                ) =>
            {
                return Vec::new();
            }
            other => {
                tracing::info!(agent = %self.agent, calls = calls.len(), answer = ?other, "lost replies cannot be asked for");
                calls.iter().for_each(|call| pending.end(&Key::Serial(call.serial), Lost::Reply));
                return Vec::new();
            }
        };
        let mut unsure = Vec::new();
        for (call, known) in calls.into_iter().zip(known) {
            match known {
                // The outcome comes, or has come.
                Known::Running | Known::Done => {}
                Known::Unknown => pending.end(&Key::Serial(call.serial), Lost::Request),
                Known::Unsure if !in_line => unsure.push(call),
                Known::Unsure | Known::Forgotten => pending.end(&Key::Serial(call.serial), Lost::Reply),
            }
        }
        unsure
    }
}

/// Whether the same may be sent later. To ask twice does no harm.
fn is_passing(kind: TransportErrorKind) -> bool {
    matches!(kind, TransportErrorKind::Disconnected | TransportErrorKind::Ambiguous | TransportErrorKind::Full)
}

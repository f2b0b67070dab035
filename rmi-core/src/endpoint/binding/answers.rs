//! Telling whoever waits for a request what became of it.

use crate::{
    endpoint::binding::{Binding, SendError, Sending, Unsent, sending::in_place_of},
    message::{Body, Head, Message, Outcome, ReplyPath, Sn, Status},
    text::Text,
    transport::{LinkId, Receipt, TransportErrorKind},
};

/// Who waits for what becomes of a request.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) sn: Option<Sn>,
    pub(crate) reply: ReplyPath,
    pub(crate) data: Option<crate::json::Json>,
    pub(crate) link: Option<LinkId>,
}

impl Binding {
    /// A message about a request, to whoever waits for it.
    pub(crate) fn about(&self, request: &Answered, body: Body) -> Message {
        let ids = self.features.ids.then(|| Text::from(self.clock.id().to_string()));
        Message {
            head: Head {
                id: ids,
                sn: request.sn.clone(),
                sent: Some(self.clock.now()),
                from: Some(self.own.clone()),
                to: request.reply.to.clone(),
                reply: Some(request.reply.clone()),
                ttl: None,
                data: request.data.clone(),
                trace: None,
            },
            body,
        }
    }

    /// Sends a status. One that cannot be sent is counted and logged: the outcome will say more.
    pub(crate) async fn status(&self, request: &Answered, status: Status) {
        if !self.features.statuses {
            return;
        }
        let message = self.about(request, Body::Status(status));
        let sent = match self.send(&message, request.link) {
            Ok(Some(publishing)) => publishing.await.map(|_| ()).map_err(SendError::Transport),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            self.counters.statuses_lost.add();
            tracing::debug!(%error, to = %request.reply.to, "a status could not be sent");
        }
    }

    /// Sends an outcome, several times if need be; if it can never be sent, another one that says so. False when that may be done
    /// later: the bus still has the request then.
    pub(crate) async fn outcome(&self, request: &Answered, outcome: Outcome) -> bool {
        match self.try_outcome(request, outcome) {
            Ok(done) => done,
            // Boxed: what waiting takes is not in every request's task.
            Err(unsent) => Box::pin(self.outcome_later(request, unsent)).await,
        }
    }

    /// Answers what never ran, or was answered before: as [`Binding::outcome`], but given up where too many wait for the address.
    pub(crate) async fn answer(&self, request: &Answered, outcome: Outcome) -> bool {
        match self.try_outcome(request, outcome) {
            Ok(done) => done,
            Err(unsent) => self.answer_later(request, unsent).await,
        }
    }

    /// Answers what was not answered at once; otherwise as [`Binding::answer`]. True as well where it is given up: the bus is not to
    /// bring the request again for it.
    pub(crate) async fn answer_later(&self, request: &Answered, unsent: Unsent<'_>) -> bool {
        let told = self.crowd.wait(&request.reply.to, Box::pin(self.outcome_later(request, unsent))).await;
        told.unwrap_or_else(|| {
            self.counters.answers_given_up.add();
            tracing::debug!(to = %request.reply.to, "too many answers wait for this address: one more is given up");
            true
        })
    }

    /// Sends an outcome if that takes no waiting.
    pub(crate) fn try_outcome(&self, request: &Answered, outcome: Outcome) -> Result<bool, Unsent<'_>> {
        let message = self.about(request, Body::Outcome(outcome));
        match self.send(&message, request.link) {
            Ok(None) => Ok(true),
            Ok(Some(Sending::Done(receipt))) => match receipt.into_inner() {
                Ok(receipt) => Ok(self.received(request, receipt)),
                Err(error) => Err(Unsent::Failed(Box::new(message), SendError::Transport(error))),
            },
            Ok(Some(publishing)) => Err(Unsent::Waits(Box::new(message), publishing)),
            Err(error) => Err(Unsent::Failed(Box::new(message), error)),
        }
    }

    /// Sends an outcome that was not sent at once; otherwise as [`Binding::outcome`].
    pub(crate) async fn outcome_later(&self, request: &Answered, unsent: Unsent<'_>) -> bool {
        let (message, error) = match unsent {
            Unsent::Failed(message, error) => (message, error),
            Unsent::Waits(message, publishing) => match publishing.await {
                Ok(receipt) => return self.received(request, receipt),
                Err(error) => (message, SendError::Transport(error)),
            },
        };
        // Boxed: that is rare.
        Box::pin(self.outcome_again(request, message, error)).await
    }

    async fn outcome_again(&self, request: &Answered, mut message: Box<Message>, mut error: SendError) -> bool {
        /// How often it is tried again, after a pause that doubles from this one.
        const TRIES: u32 = 5;
        const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
        let mut replaced = false;
        for attempt in 0..TRIES {
            if request.link.is_some_and(|link| self.is_gone(link)) {
                self.counters.replies_unroutable.add();
                tracing::debug!(%error, to = %request.reply.to, "the link that the outcome was to take is gone");
                return true;
            }
            tracing::warn!(%error, to = %request.reply.to, attempt, "an outcome could not be sent");
            match (&error, &message.body) {
                (error, Body::Outcome(outcome)) if error.is_final() && !replaced => {
                    message.body = Body::Outcome(in_place_of(outcome, error));
                    replaced = true;
                }
                // Nobody can ever be told at this address.
                (error, _) if error.is_final() => {
                    self.counters.outcomes_unsent.add();
                    return true;
                }
                (SendError::Transport(e), _) if e.kind == TransportErrorKind::Closed => break,
                _ => tokio::time::sleep(PAUSE * 2u32.pow(attempt)).await,
            }
            error = match self.send(&message, request.link) {
                Ok(Some(publishing)) => match publishing.await {
                    Ok(receipt) => return self.received(request, receipt),
                    Err(error) => SendError::Transport(error),
                },
                Ok(None) => return true,
                Err(error) => error,
            };
        }
        self.counters.outcomes_unsent.add();
        false
    }

    fn received(&self, request: &Answered, receipt: Receipt) -> bool {
        if receipt == Receipt::NoRoute {
            self.counters.replies_unroutable.add();
            tracing::debug!(to = %request.reply.to, "nobody waits for the outcome any more");
        }
        true
    }
}

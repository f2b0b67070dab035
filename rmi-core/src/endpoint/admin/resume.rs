//! The agent's half of a resumption: where a call's replies go once its caller has lost the address that it named.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    endpoint::{
        admin::{Admin, AdminAction, result},
        admission::{Key, Resumed},
        binding::{Answered, Binding},
        dispatch::Core,
        shutdown::Guard,
    },
    journal::{Entry, Step},
    json::Json,
    lock::lock,
    message::{Outcome, Rejection, RejectionCode, ReplyPath, Sn},
    protocol::{Replies, Serials},
    seal::Principal,
    service::Invocation,
    time::Timestamp,
    transport::LinkId,
};

/// How many calls one request may ask for.
pub(crate) const MOST: usize = 256;

/// What an agent knows of a request that it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Known {
    /// It waits or runs: its statuses and its outcome go to the new address from now on.
    Running,
    /// It has ended: its outcome has been sent to the new address.
    Done,
    /// It has run, and its outcome is not kept any more.
    Forgotten,
    /// It has not come, and is rejected if it does: sending it anew is safe.
    Unknown,
    /// It is not known here, and may have come all the same: before this endpoint was started, so long ago that it is forgotten, or
    /// to another endpoint at this address.
    Unsure,
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Known::Running => "running",
            Known::Done => "done",
            Known::Forgotten => "forgotten",
            Known::Unknown => "unknown",
            Known::Unsure => "unsure",
        })
    }
}

/// A call that is asked for: its serial number, and when its request was sent, if that is to be told from one that never was.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Asked(pub(crate) String, #[serde(default)] pub(crate) Option<String>);

/// What is asked: the calls, the address, and whether this came behind everything that was sent to the agent's own address.
pub(super) struct Resumption {
    pub(super) calls: Vec<Asked>,
    pub(super) to: Address,
    pub(super) in_line: bool,
}

impl Admin {
    /// Says what is known of each call, and sees to it that their outcomes go to the new address.
    pub(super) async fn resume(&self, asked: &Resumption, call: &Invocation) -> Result<Outcome, Outcome> {
        let refuse = |code, details: String| Outcome::from(Rejection::new(code, details));
        let Some(core) = self.core() else { return Err(refuse(RejectionCode::Closing, String::new())) };
        let Some(binding) = core.bindings.get(call.job.binding) else {
            return Err(refuse(RejectionCode::Closing, String::new()));
        };
        let count = asked.calls.len();
        if count > MOST {
            return Err(refuse(RejectionCode::Limit, format!("{count} calls are asked for, at most {MOST} may be at once")));
        }
        let elsewhere = binding.by_links || binding.features.replies == Replies::Shared;
        if binding.features.serials != Serials::Global || !elsewhere {
            return Err(refuse(RejectionCode::Arguments, "this binding's replies cannot go to another address".to_owned()));
        }
        if !binding.may_reply_to(&asked.to) {
            return Err(Rejection::new(RejectionCode::ReplyAddress, asked.to.text().clone()).into());
        }
        let asker = &call.job.principal;
        let owners = self.owners(binding, call, AdminAction::Resume);
        let mut known = Vec::with_capacity(count);
        let (mut outcomes, mut steps) = (Vec::new(), Vec::new());
        for Asked(sn, sent) in &asked.calls {
            let sent = sent.as_deref().and_then(Timestamp::parse);
            let Some(sn) = Sn::new(sn.as_str()) else {
                known.push(Known::Unsure);
                continue;
            };
            let key = Key::new(&sn, None);
            let mut window = lock(&binding.window);
            known.push(match window.resume(&owners, &key, &asked.to, call.job.link) {
                Some(Resumed::Running(record)) => {
                    // A link is gone after a restart, and is asked about anew.
                    let lasts = record.filter(|_| !binding.by_links);
                    steps.extend(lasts.map(|id| Step::Moved { id, to: asked.to.clone() }));
                    Known::Running
                }
                Some(Resumed::Forgotten) => Known::Forgotten,
                Some(Resumed::Barred) => Known::Unknown,
                Some(Resumed::Done(outcome)) => {
                    outcomes.push((sn, outcome));
                    Known::Done
                }
                None => match sent.filter(|sent| asked.in_line && binding.would_know(*sent, window.floor(asker))) {
                    None => Known::Unsure,
                    Some(sent) => {
                        let record = binding.records.as_ref().map(|records| records.id());
                        window.bar(asker, key, sent, record);
                        steps.extend(record.map(|id| Step::Barred { id, entry: barred(binding, asker, sn, sent) }));
                        Known::Unknown
                    }
                },
            });
        }
        if let (Some(records), false) = (&binding.records, steps.is_empty())
            && let Err(error) = records.record(steps).await
        {
            tracing::error!(%error, "what callers ask for could not be written down");
            // Where a reply goes is told again when it is lost again. That a request may never run is not said of it unless it holds.
            known.iter_mut().filter(|known| **known == Known::Unknown).for_each(|known| *known = Known::Unsure);
        }
        send(&core, binding, &asked.to, call.job.link, outcomes)?;
        Ok(result(&known))
    }
}

/// What a request that may not run any more would be known by.
fn barred(binding: &Binding, principal: &Principal, sn: Sn, sent: Timestamp) -> Entry {
    let (binding, principal, sn) = (binding.recorded_as.clone(), principal.clone(), Some(sn));
    Entry { binding, principal, sn, link: None, by_text: false, digest: 0, sent: Some(sent) }
}

/// Sends stored outcomes in a task of their own: whoever does not take them holds up nobody else.
fn send(
    core: &Arc<Core>,
    binding: &Arc<Binding>,
    to: &Address,
    link: LinkId,
    outcomes: Vec<(Sn, Outcome)>,
) -> Result<(), Outcome> {
    if outcomes.is_empty() {
        return Ok(());
    }
    let Ok(permit) = Arc::clone(&core.asides).try_acquire_owned() else {
        let busy = Rejection::new(RejectionCode::Busy, "too many outcomes wait to be sent again");
        return Err(busy.retry_after(core.handlers.hint()).into());
    };
    let (binding, to, running) = (Arc::clone(binding), to.clone(), Guard::enter(core, |core| &core.running));
    tokio::spawn(async move {
        for (sn, outcome) in outcomes {
            let link = binding.by_links.then_some(link);
            let answered = Answered { sn: Some(sn), reply: ReplyPath::to(to.clone()), data: None::<Json>, link };
            // What cannot be sent is counted; the outcome is still kept.
            let _ = binding.outcome(&answered, outcome).await;
        }
        drop((permit, running));
    });
    Ok(())
}

//! Whether a request came before, and what is to be written down of one that did not.

use std::sync::Arc;

use crate::{
    context::Job,
    endpoint::{
        admission::{Attached, Candidate, Key, Verdict},
        binding::Answered,
        dispatch::Inbox,
        work::record::Record,
    },
    journal::{Accepted, Entry, Received},
    lock::lock,
    message::{Head, Rejection, RejectionCode},
    protocol::Serials,
    seal::Principal,
    service::BoxFuture,
    transport::{Acker, Disposition, LinkId},
};

impl Inbox {
    /// What a request is remembered under, if it can be told from others.
    pub(super) fn key(&self, head: &Head, link: LinkId) -> Option<Key> {
        let serials = self.binding.features.serials;
        let sn = head.sn.as_ref().filter(|_| serials != Serials::None)?;
        Some(Key::new(sn, (serials == Serials::PerLink).then_some(link)))
    }

    /// Whether it came before. If it runs, whoever asks again is kept there, and the bus with it; otherwise the bus still waits.
    pub(super) fn look_up(
        &self,
        key: &mut Option<Key>,
        head: &Head,
        digest: u64,
        job: &Arc<Job>,
        answered: Option<&Answered>,
        acker: Acker,
    ) -> (Verdict, Acker) {
        let binding = &self.binding;
        let Some(key) = key else {
            let dated = binding.authenticator().is_some_and(|a| a.demands().dated);
            let refused = || Verdict::Rejected(Rejection::new(RejectionCode::Stale, "it has no serial number"));
            return (if dated { refused() } else { Verdict::New }, acker);
        };
        let mut asked = Some(Attached { reply: answered.map(|a| a.reply.clone()), link: answered.and_then(|a| a.link), acker });
        let mut candidate =
            Candidate { principal: &job.principal, key, digest, sent: head.sent, ttl: head.ttl, record: job.record };
        let mut window = lock(&binding.window);
        let verdict = window.admit(&mut candidate, || binding.clock.now(), job, &mut asked);
        if let Some(records) = &binding.records {
            // Before anybody else can look: what is forgotten here is not remembered there by a later step.
            records.note(window.made_room(&job.principal));
        }
        drop(window);
        (verdict, asked.map_or_else(Acker::settled, |asked| asked.acker))
    }

    /// Whether a request that the bus delivers again has been taken by nobody: what comes here alone would be known, from the journal
    /// or, since the endpoint was started, from memory.
    pub(super) fn never_taken(&self, head: &Head, principal: &Principal, link: LinkId) -> bool {
        let binding = &self.binding;
        let (Some(sent), Some(key)) = (head.sent, self.key(head, link)) else { return false };
        if binding.features.serials != Serials::Global {
            return false;
        }
        let window = lock(&binding.window);
        // Where a number is used again, the request that had it before may have made room for another.
        !window.has(principal, &key) && binding.would_know(sent, window.floor(principal))
    }

    /// What is to be written down of a request that is new.
    pub(super) fn to_be_recorded(
        &self,
        received: Received,
        head: &Head,
        job: &Job,
        key: Option<&Key>,
        digest: u64,
        answered: Option<&Answered>,
    ) -> Option<Box<Record>> {
        let binding = &self.binding;
        let (id, records) = (job.record?, binding.records.as_ref()?);
        let (at, per_link) = (binding.clock.now(), binding.features.serials == Serials::PerLink);
        let entry = Entry {
            binding: binding.recorded_as.clone(),
            principal: job.principal.clone(),
            sn: job.sn.clone(),
            link: per_link.then_some(received.link),
            by_text: key.is_some_and(Key::is_by_text),
            digest,
            sent: head.sent,
        };
        let (reply, expires) = (answered.map(|a| a.reply.clone()), head.ttl.map(|ttl| at.plus(ttl)));
        let unwritten = Some(Box::new(Accepted { entry, reply, received, at, expires }));
        Some(Box::new(Record { id, records: Arc::clone(records), unwritten, started: false, bus: None }))
    }

    /// What the window knows of a request that is not to run.
    pub(super) fn known(
        &self,
        verdict: Verdict,
        may_have_run: bool,
        answered: Option<Answered>,
        acker: Acker,
    ) -> Option<BoxFuture<'_, ()>> {
        let counters = &self.binding.counters;
        match verdict {
            Verdict::New => None,
            Verdict::Attached => {
                acker.settle(Disposition::Ack);
                counters.attached.add();
                None
            }
            Verdict::Done(outcome) => {
                counters.repeated.add();
                self.conclude_early(outcome, answered, acker)
            }
            Verdict::Rejected(rejection) => {
                if rejection.code == RejectionCode::Stale {
                    counters.stale.add();
                }
                self.reject(rejection, may_have_run, answered, acker)
            }
        }
    }
}

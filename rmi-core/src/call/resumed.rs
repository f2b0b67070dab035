use crate::{
    call::{Call, Pending, Plan, Sent},
    endpoint::{pending::Waiting, uuid_of},
    message::Sn,
    time::Timestamp,
};

/// A call cannot be taken up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// Agents of this dialect, or over this transport, have no word for it.
    #[error(
        "agents cannot be asked for the outcomes of earlier calls over this binding: have replies sent to an address that lasts (`reply_to`)"
    )]
    NotAsked,
    /// No call of this library has such a serial number.
    #[error("this is not the serial number of a call: give the one that `Prepared::sn` or `Pending::sn` said")]
    NotACall,
    /// It has not ended in this process.
    #[error("the call still waits in this process: use the `Pending` that it gave")]
    Waits,
}

impl<T, E, P> Call<T, E, P> {
    /// Takes up a call that was made before, by this program before it was started again: in place of making it. Its agent is
    /// asked for its outcome, which comes here, with the statuses that are still to come.
    ///
    /// `sn` and `sent` are what the program wrote down before it made the call: the number that [`Prepared::sn`](crate::call::Prepared::sn)
    /// said, and the date. What this call was made with does not matter, apart from its agent, its types and its times; the time in
    /// all begins now.
    ///
    /// | the agent | and the call |
    /// |---|---|
    /// | has it, waiting or running | goes on |
    /// | remembers how it ended | ends so |
    /// | is the only one at its address, and knows that it never came | ends [`Transport`](crate::CallError::Transport), and never runs: it is safe to make again |
    /// | does not know it, or not any more | ends [`ReplyLost`](crate::CallError::ReplyLost) |
    ///
    /// An agent answers only whoever made the call: with the same key, or the same name at the transport. It remembers over its own
    /// restart what is in a durable [`journal`](crate::journal), and otherwise nothing.
    ///
    /// ```
    /// # use rmi_core::{Memory, Endpoint, Native, Trust, message::Sn, remote, time::{Clock, SystemClock}};
    /// # #[remote(name = "ledger")] trait Ledger { async fn book(&self, amount: u64) -> Result<u64, std::convert::Infallible>; }
    /// # async fn run(endpoint: Endpoint, mut log: Vec<(Sn, rmi_core::time::Timestamp)>) -> Result<(), Box<dyn std::error::Error>> {
    /// let ledger: LedgerClient = endpoint.client("ledger-1");
    /// let call = ledger.book(12).prepare();
    /// log.push((call.sn(), SystemClock.now()));                          // to a disk
    /// let booked = call.trigger().await?;
    /// // When this program is started again:
    /// for (sn, sent) in &log {
    ///     let booked = ledger.book(12).resume(sn, *sent)?.await;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// It cannot be asked for. What becomes of the call is said by the [`Pending`].
    pub fn resume(self, sn: &Sn, sent: Timestamp) -> Result<Pending<T, E, P>, ResumeError> {
        let stub = self.plan.stub.clone();
        Ok(Pending::new(stub, sn.clone(), self.plan.take_up(sn, sent)?))
    }
}

impl Plan {
    /// Enters a call among those that wait as one whose link was lost: its agent is asked for it as for those.
    fn take_up(self, sn: &Sn, sent: Timestamp) -> Result<Sent, ResumeError> {
        let Plan { stub, times, .. } = self;
        if !stub.binding().resumes {
            return Err(ResumeError::NotAsked);
        }
        let serial = uuid_of(sn).ok_or(ResumeError::NotACall)?;
        let agent = stub.address().clone();
        let waiting = Waiting::resume(stub, serial, agent, times, sent).ok_or(ResumeError::Waits)?;
        Ok(Sent { waiting, replies: None })
    }
}

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    endpoint::is_admin,
    layer::{Incoming, Layer, async_trait},
    lock::lock,
    message::{Rejection, RejectionCode},
    seal::Principal,
    table::Table,
};

/// How many requests are let in: so many in a second in the long run, and so many at once.
///
/// A token bucket: it holds `burst` tokens when nobody has asked for a while, each request takes one, and they come back at the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How long it takes until a token is back, in nanoseconds. At least one.
    interval: u64,
    burst: u32,
}

impl Rate {
    /// So many requests in a second; a tenth of them, and one at least, may come at once.
    #[must_use]
    pub fn per_second(requests: u32) -> Self {
        Rate::one_every(Duration::from_secs(1) / requests.max(1)).burst((requests / 10).max(1))
    }

    /// One request in so long a time, and one at once.
    #[must_use]
    pub fn one_every(time: Duration) -> Self {
        Rate { interval: nanos(time).max(1), burst: 1 }
    }

    /// How many may come at once, at least one.
    #[must_use]
    pub fn burst(self, requests: u32) -> Self {
        Rate { burst: requests.max(1), ..self }
    }

    /// The generic cell rate algorithm: a bucket is the moment at which it is full again, in nanoseconds. What it is after one more
    /// request, or how long to wait until there is a token.
    fn take(self, full_at: u64, now: u64) -> Result<u64, u64> {
        let after = full_at.max(now).saturating_add(self.interval);
        let most = now.saturating_add(self.interval.saturating_mul(u64::from(self.burst)));
        if after <= most { Ok(after) } else { Err(after - most) }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A layer that lets in so many requests in a time: of all callers together, and of each principal.
///
/// What is more is rejected `agent.rate`, which says how long to wait ([`Rejection::retry_after`]): a client of ours that
/// [tries again](crate::call::Retry) waits so long. A principal that is over its own rate takes nothing from the rate of all.
///
/// ```
/// use rmi_core::layer::{Rate, RateLimit};
///
/// # let builder = rmi_core::Endpoint::builder("dhcp-1");
/// let limit = RateLimit::overall(Rate::per_second(2000)).each(Rate::per_second(50).burst(200));
/// let builder = builder.layer(limit);
/// ```
///
/// All callers without a name ([`Principal::Anonymous`]) are one principal. `Admin` has a lane of its own: its requests count
/// towards their caller's rate, and not towards that of all. A duplicate of a request that is known is not counted again.
///
/// At least as many principals are remembered as [`RateLimit::principals`] says, and at most twice as many: those that were
/// heard last. Who is forgotten may send a whole burst again; [`RateFigures::evicted`] counts those who had something to wait for.
/// The time is the monotonic clock's, read once for each request. There are no timers.
///
/// Clones share their buckets, so that several endpoints can share one rate.
#[derive(Clone)]
pub struct RateLimit {
    overall: Option<Rate>,
    each: Option<Rate>,
    principals: usize,
    shared: Arc<Shared>,
}

struct Shared {
    /// What the buckets' times are counted from.
    began: Instant,
    buckets: Mutex<Buckets>,
    limited: AtomicU64,
    limited_overall: AtomicU64,
    evicted: AtomicU64,
}

#[derive(Default)]
struct Buckets {
    overall: u64,
    /// Principals that were heard since `older` was what this is.
    recent: Table<Principal, u64>,
    older: Table<Principal, u64>,
}

/// What a [`RateLimit`] has counted, and what it holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateFigures {
    /// Principals that are remembered now.
    pub principals: u64,
    /// Requests that were rejected because their principal was over its rate.
    pub limited: u64,
    /// Requests that were rejected because all callers together were over theirs.
    pub limited_overall: u64,
    /// Principals that were forgotten to make room for others although their buckets were not full.
    pub evicted: u64,
}

impl RateLimit {
    /// Bounds the requests of all callers together.
    #[must_use]
    pub fn overall(rate: Rate) -> Self {
        RateLimit { overall: Some(rate), ..RateLimit::unlimited() }
    }

    /// Bounds the requests of each principal.
    #[must_use]
    pub fn per_principal(rate: Rate) -> Self {
        RateLimit { each: Some(rate), ..RateLimit::unlimited() }
    }

    /// Bounds the requests of each principal as well.
    #[must_use]
    pub fn each(self, rate: Rate) -> Self {
        RateLimit { each: Some(rate), ..self }
    }

    /// How many principals are remembered at least; at most it is twice as many. 10,000 unless it is set.
    #[must_use]
    pub fn principals(self, principals: usize) -> Self {
        RateLimit { principals: principals.max(1), ..self }
    }

    fn unlimited() -> Self {
        RateLimit {
            overall: None,
            each: None,
            principals: 10_000,
            shared: Arc::new(Shared {
                began: Instant::now(),
                buckets: Mutex::default(),
                limited: AtomicU64::new(0),
                limited_overall: AtomicU64::new(0),
                evicted: AtomicU64::new(0),
            }),
        }
    }

    /// What it has counted, and what it holds now.
    #[must_use]
    pub fn figures(&self) -> RateFigures {
        let buckets = lock(&self.shared.buckets);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RateFigures {
            principals: (buckets.recent.len() + buckets.older.len()) as u64,
            limited: read(&self.shared.limited),
            limited_overall: read(&self.shared.limited_overall),
            evicted: read(&self.shared.evicted),
        }
    }

    /// Takes a token of everybody whom the request counts for, or none.
    fn take(&self, principal: &Principal, admin: bool) -> Result<(), Limited> {
        let now = nanos(self.shared.began.elapsed());
        let mut buckets = lock(&self.shared.buckets);
        let each = match self.each {
            Some(rate) => {
                let full_at = buckets.of(principal).unwrap_or(0);
                Some(rate.take(full_at, now).map_err(Limited::Principal)?)
            }
            None => None,
        };
        if let Some(rate) = self.overall.filter(|_| !admin) {
            buckets.overall = rate.take(buckets.overall, now).map_err(Limited::Overall)?;
        }
        if let Some(full_at) = each {
            let evicted = buckets.set(principal, full_at, self.principals, now);
            self.shared.evicted.fetch_add(evicted, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Who is over its rate, and for how many nanoseconds.
enum Limited {
    Principal(u64),
    Overall(u64),
}

impl Buckets {
    fn of(&self, principal: &Principal) -> Option<u64> {
        self.recent.get(principal).or_else(|| self.older.get(principal)).copied()
    }

    /// How many principals are forgotten for it whose buckets are not full.
    fn set(&mut self, principal: &Principal, full_at: u64, most: usize, now: u64) -> u64 {
        if let Some(bucket) = self.recent.get_mut(principal) {
            *bucket = full_at;
            return 0;
        }
        let mut evicted = 0;
        // It is among the recent from now on.
        let kept = self.older.remove_entry(principal).map(|(kept, _)| kept);
        if self.recent.len() >= most {
            let older = std::mem::replace(&mut self.older, std::mem::take(&mut self.recent));
            evicted = older.into_values().filter(|full_at| *full_at > now).count() as u64;
        }
        // Detached, because a name may be a part of a message.
        let kept = kept.unwrap_or_else(|| principal.detached());
        let _ = self.recent.insert(kept, full_at);
        evicted
    }
}

#[async_trait]
impl Layer for RateLimit {
    async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
        let Err(limited) = self.take(request.principal(), is_admin(request.contract())) else { return Ok(()) };
        let (counter, details, wait) = match limited {
            Limited::Principal(wait) => (&self.shared.limited, "", wait),
            Limited::Overall(wait) => (&self.shared.limited_overall, "all callers together send more than the agent takes", wait),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Err(Rejection::new(RejectionCode::RateLimited, details).retry_after(Duration::from_nanos(wait)))
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (overall, each) = (&self.overall, &self.each);
        f.debug_struct("RateLimit").field("overall", overall).field("each", each).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let rate = Rate::one_every(Duration::from_nanos(10)).burst(3);
        let mut full_at = 0;
        for _ in 0..3 {
            full_at = rate.take(full_at, 1000).unwrap();
        }
        assert_eq!(rate.take(full_at, 1000), Err(10));
        assert_eq!(rate.take(full_at, 1009), Err(1));
        full_at = rate.take(full_at, 1010).unwrap();
        assert_eq!(rate.take(full_at, 1010), Err(10));
        // It never holds more than the burst.
        full_at = 0;
        for _ in 0..3 {
            full_at = rate.take(full_at, 1_000_000).unwrap();
        }
        assert!(rate.take(full_at, 1_000_000).is_err());
    }

    #[test]
    fn extremes_do_not_overflow() {
        let rate = Rate::one_every(Duration::MAX).burst(u32::MAX);
        assert!(rate.take(0, 5).is_ok());
        assert!(rate.take(u64::MAX, u64::MAX - 1).is_ok_and(|at| at == u64::MAX));
        assert_eq!(Rate::per_second(0), Rate::one_every(Duration::from_secs(1)));
        assert_eq!(Rate::per_second(u32::MAX).interval, 1);
    }

    #[test]
    fn the_principals_that_are_remembered_are_bounded() {
        let limit = RateLimit::per_principal(Rate::one_every(Duration::from_secs(3600))).principals(10);
        let key = |n: usize| Principal::Key(n.to_string().into());
        for n in 0..1000 {
            assert!(limit.take(&key(n), false).is_ok());
            assert!(limit.take(&key(n), false).is_err());
            // The last ten at least are known.
            assert!(limit.take(&key(n.saturating_sub(9)), false).is_err());
            assert!(limit.figures().principals <= 20);
        }
        assert!(limit.figures().evicted >= 970);
    }
}

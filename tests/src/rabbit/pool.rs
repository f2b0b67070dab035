use std::{
    ops::Deref,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use super::Rabbit;

/// Brokers of which each test has one to itself while it runs: so many at a time, started when they are wanted.
#[derive(Debug)]
pub struct Pool {
    brokers: Mutex<Brokers>,
    given_back: Condvar,
}

#[derive(Debug)]
struct Brokers {
    idle: Vec<Rabbit>,
    /// How many may still be started.
    more: usize,
}

impl Pool {
    /// So many of them at most.
    #[must_use]
    pub const fn of(most: usize) -> Self {
        Pool { brokers: Mutex::new(Brokers { idle: Vec::new(), more: most }), given_back: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Brokers> {
        self.brokers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a broker, or waits for one.
    pub fn take(&self) -> Lent<'_> {
        let mut brokers = self.lock();
        loop {
            if let Some(rabbit) = brokers.idle.pop() {
                return Lent { pool: self, rabbit: Some(rabbit) };
            }
            if brokers.more > 0 {
                brokers.more -= 1;
                drop(brokers);
                return Lent { pool: self, rabbit: Some(Rabbit::start()) };
            }
            brokers = self.given_back.wait(brokers).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A broker that goes back to its pool.
#[derive(Debug)]
pub struct Lent<'a> {
    pool: &'a Pool,
    rabbit: Option<Rabbit>,
}

impl Deref for Lent<'_> {
    type Target = Rabbit;

    fn deref(&self) -> &Rabbit {
        self.rabbit.as_ref().expect("it is there until this goes")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut brokers = self.pool.lock();
        // Nobody is given what a test that failed has left.
        match self.rabbit.take() {
            Some(rabbit) if !thread::panicking() => brokers.idle.push(rabbit),
            _ => brokers.more += 1,
        }
        drop(brokers);
        self.pool.given_back.notify_one();
    }
}

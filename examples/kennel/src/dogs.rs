//! The services behind the contracts: plain types with plain async functions.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rmi_core::{Context, Json};

use crate::{Cowboy, CowboyArgs, Dog, DogArgs, DogError, DogEvent, DogModule};

/// A dog, made for each request from the request's constructor arguments.
#[derive(Clone, Debug)]
pub struct Chance {
    me: DogArgs,
    barks: Arc<AtomicU64>,
}

impl Chance {
    /// A dog that counts its barks together with all others that share the counter.
    #[must_use]
    pub fn new(me: DogArgs, barks: Arc<AtomicU64>) -> Self {
        Chance { me, barks }
    }
}

impl Dog for Chance {
    async fn bark(&self, words: &str) -> Result<String, Infallible> {
        self.barks.fetch_add(1, Ordering::Relaxed);
        Ok(format!("Yes master.  I will bark because that is what dogs do. \"{words}\""))
    }

    async fn bark_times(&self, cx: &Context, words: &str, times: u32) -> Result<String, Infallible> {
        // A caller chooses `times`: what it costs is bounded.
        const MOST: usize = 1 << 20;
        let times = (times as usize).min(MOST / (words.len() + 1) + 1);
        let barked = DogEvent::Barked { name: self.me.name.clone(), words: words.to_owned() };
        // If nobody can hear it, it has barked all the same.
        let _ = cx.publish(&barked).await;
        Ok(vec![words; times].join(" "))
    }

    async fn who(&self) -> Result<DogArgs, Infallible> {
        Ok(self.me.clone())
    }

    async fn sit(&self) -> Result<(), DogError> {
        Err(DogError::Value("I do not sit".to_owned(), 42))
    }

    async fn key_error(&self, key: &str) -> Result<(), DogError> {
        Err(DogError::Key(key.to_owned()))
    }

    async fn my_error(&self) -> Result<(), DogError> {
        Err(DogError::MyError { b: 23 })
    }

    async fn wag(&self, cx: &Context<String>, n: u64, delay: f64) -> Result<String, Infallible> {
        for i in 0..n {
            if cx.is_cancelled() {
                return Ok(format!("wagged {i}"));
            }
            cx.progress(n, i + 1, format!("for: {i}"));
            tokio::time::sleep(seconds(delay)).await;
        }
        Ok(format!("wagged {n}"))
    }

    async fn nap(&self, length: f64) -> Result<(), Infallible> {
        tokio::time::sleep(seconds(length)).await;
        Ok(())
    }

    async fn cancellable(&self, cx: &Context, length: f64) -> Result<String, Infallible> {
        let woken = tokio::time::timeout(seconds(length), cx.cancelled()).await;
        Ok(if woken.is_ok() { "cancelled" } else { "finished" }.to_owned())
    }

    async fn big(&self, n: usize) -> Result<String, DogError> {
        const MOST: usize = 8 << 20;
        if n > MOST {
            return Err(DogError::Value(format!("at most {MOST}"), i64::try_from(n).unwrap_or(i64::MAX)));
        }
        Ok("x".repeat(n))
    }
}

/// What a caller says is seconds; what cannot be a duration is none.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// A cowboy, made for each request.
#[derive(Clone, Debug)]
pub struct Ranch(pub CowboyArgs);

impl Cowboy for Ranch {
    async fn howdy(&self) -> Result<String, Infallible> {
        Ok(format!("Howdy, name={}; age={}", self.0.name, self.0.age))
    }
}

/// The functions of the module `dog`: one instance for all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Module;

impl DogModule for Module {
    async fn echo(&self, something: Json) -> Result<Json, Infallible> {
        Ok(something)
    }
}

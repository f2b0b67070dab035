//! A remote trait is implemented and used as the plain trait that it looks like.
#![deny(warnings, clippy::all)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use rmi_core::remote;

#[derive(Debug, PartialEq, thiserror::Error, rmi_core::RemoteError)]
enum Failure {
    #[error("{0} is no number")]
    NotANumber(String),
}

impl From<std::num::ParseIntError> for Failure {
    fn from(error: std::num::ParseIntError) -> Self {
        Failure::NotANumber(error.to_string())
    }
}

trait Named {
    fn name(&self) -> String;
}

#[remote]
trait Counter: Named {
    async fn add(&self, by: &str, also: &[u32]) -> Result<u32, Failure>;

    /// A default body is the body of an `async fn`: it may return early, use `?`, and wait.
    async fn add_twice(&self, by: &str, also: Vec<u32>) -> Result<u32, Failure> {
        if by.is_empty() {
            return Ok(0);
        }
        let _: u32 = by.parse()?;
        self.add(by, &also).await?;
        tokio::task::yield_now().await;
        Ok(self.add(by, &also).await? + u32::try_from(self.name().len() - 3).unwrap())
    }

    #[remote(oneway)]
    async fn reset(&self) {
        self.add("0", &[]).await.ok();
    }
}

struct Simple<T>(AtomicU32, T);

impl<T> Named for Simple<T> {
    fn name(&self) -> String {
        "one".to_owned()
    }
}

impl<T: Send + Sync + 'static> Counter for Simple<T> {
    async fn add(&self, by: &str, also: &[u32]) -> Result<u32, Failure> {
        let by: u32 = by.parse()?;
        tokio::task::yield_now().await;
        Ok(self.0.fetch_add(by + also.iter().sum::<u32>(), Ordering::Relaxed))
    }
}

struct Boxed;

impl Named for Boxed {
    fn name(&self) -> String {
        "two".to_owned()
    }
}

impl Counter for Boxed {
    // Another way to write it, which the trait allows as well.
    #[expect(clippy::manual_async_fn)]
    fn add(&self, by: &str, _: &[u32]) -> impl Future<Output = Result<u32, Failure>> + Send {
        async move { Ok(by.parse()?) }
    }
}

/// Generic code may spawn: the futures are `Send` by the trait's word.
async fn spawned(counter: Arc<impl Counter>) -> Result<u32, Failure> {
    let task = tokio::spawn(async move {
        counter.reset().await;
        counter.add_twice("2", vec![1]).await
    });
    task.await.expect("no panic")
}

#[tokio::test]
async fn a_trait_is_a_trait() {
    assert_eq!(spawned(Arc::new(Simple(AtomicU32::new(0), "x"))).await, Ok(3));
    assert_eq!(spawned(Arc::new(Boxed)).await, Ok(2));
    let failed = Boxed.add_twice("x", Vec::new()).await;
    assert_eq!(failed, Err(Failure::NotANumber("invalid digit found in string".to_owned())));
    assert!(format!("{:?}", CounterServer::new(Boxed)).contains("Shared"));
    let per_call = CounterServer::per_call(|(): ()| Ok::<_, Failure>(Boxed));
    assert!(format!("{per_call:?}").contains("PerCall"));
}

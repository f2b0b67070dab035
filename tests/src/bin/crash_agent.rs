//! The agent of the crash suites: `crash_agent HOME AT SECONDS [shared]`, at a port or at a broker's URL. It serves until it is killed,
//! and takes it to be so many seconds earlier than it is. Shared, others take requests from its address, and the bus keeps them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use rmi_core::{
    Endpoint, Native,
    journal::Durable,
    time::{Clock, SystemClock, Timestamp},
};
use rmi_tests::crash::{AGENT, ATTEMPTS, Book, LedgerServer, Log, listen, trust};

/// A clock that is so many seconds behind.
#[derive(Debug)]
struct Behind(i64);

impl Clock for Behind {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now().as_millis() - 1000 * self.0)
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let home = PathBuf::from(arguments.next().expect("the first argument is a directory"));
    let at = arguments.next().expect("the second argument is a port or a URL");
    let behind = arguments.next().expect("the third argument is a number of seconds").parse().unwrap();
    let shared = arguments.next().is_some_and(|word| word == "shared");
    let book = Book(Log::open(&home.join("agent.log")));
    let mut agent = Endpoint::builder(AGENT)
        .bind(Native::default(), listen(&at).await, trust(&home, AGENT))
        .serve(LedgerServer::new(book))
        .attempts(ATTEMPTS)
        .clock(Behind(behind));
    if !shared {
        agent = agent.journal(Durable::open(home.join("journal")).unwrap()).queue_of_its_own();
    }
    let endpoint = agent.start().await.unwrap();
    println!("ready");
    std::future::pending::<()>().await;
    drop(endpoint);
}

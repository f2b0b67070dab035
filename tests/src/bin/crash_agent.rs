//! The agent of the crash suite: `crash_agent HOME PORT SECONDS`. It serves until it is killed, and takes it to be so many seconds earlier
//! than it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use rmi_core::{
    Endpoint, Native,
    journal::Durable,
    time::{Clock, SystemClock, Timestamp},
    transport::tcp::Tcp,
};
use rmi_tests::crash::{AGENT, ATTEMPTS, Book, LedgerServer, Log, trust};

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
    let port = arguments.next().expect("the second argument is a port");
    let behind = arguments.next().expect("the third argument is a number of seconds").parse().unwrap();
    let book = Book(Log::open(&home.join("agent.log")));
    let endpoint = Endpoint::builder(AGENT)
        .bind(Native::default(), Tcp::listen(format!("127.0.0.1:{port}")).await.unwrap(), trust(&home, AGENT))
        .serve(LedgerServer::new(book))
        .journal(Durable::open(home.join("journal")).unwrap())
        .attempts(ATTEMPTS)
        .clock(Behind(behind))
        .queue_of_its_own()
        .start()
        .await
        .unwrap();
    println!("ready");
    std::future::pending::<()>().await;
    drop(endpoint);
}

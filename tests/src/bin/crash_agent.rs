//! The agent of the crash suite: `crash_agent HOME PORT`. It serves until it is killed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use rmi_core::{Endpoint, Native, journal::Durable, transport::tcp::Tcp};
use rmi_tests::crash::{AGENT, ATTEMPTS, Book, LedgerServer, Log, trust};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let home = PathBuf::from(arguments.next().expect("the first argument is a directory"));
    let port = arguments.next().expect("the second argument is a port");
    let book = Book(Log::open(&home.join("agent.log")));
    let endpoint = Endpoint::builder(AGENT)
        .bind(Native::default(), Tcp::listen(format!("127.0.0.1:{port}")).await.unwrap(), trust(&home, AGENT))
        .serve(LedgerServer::new(book))
        .journal(Durable::open(home.join("journal")).unwrap())
        .attempts(ATTEMPTS)
        .queue_of_its_own()
        .start()
        .await
        .unwrap();
    println!("ready");
    std::future::pending::<()>().await;
    drop(endpoint);
}

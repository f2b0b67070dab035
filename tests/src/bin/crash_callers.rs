//! The callers of the crash suites: `crash_callers HOME TO [all]`, to a port or a broker's URL. They call until their standard input ends,
//! and then until every call has its outcome. Started again after they were killed, they take up the calls of which they do not know how
//! they ended. With `all` they walk, and send what nobody waits for, as well.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{io::Read, path::PathBuf};

use rmi_core::{Endpoint, Native};
use rmi_tests::crash::{CALLERS, Callers, Mix, PATIENCE, dial, trust};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let home = PathBuf::from(arguments.next().expect("the first argument is a directory"));
    let to = arguments.next().expect("the second argument is a port or a URL");
    let mix = if arguments.next().is_some_and(|word| word == "all") { Mix::All } else { Mix::Calls };
    let endpoint =
        Endpoint::builder(CALLERS).bind(Native::default(), dial(&to).await, trust(&home, CALLERS)).start().await.unwrap();
    let callers = Callers::start(endpoint, &home.join("callers.log"), mix, PATIENCE);
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    callers.stop().await;
    println!("done");
}

//! What a connection logs of payloads.

use std::{
    io,
    sync::{Arc, Mutex},
};

use rmi_core::transport::{Receipt, Transport};
use rmi_tests::amqp::{name, options};

use super::{amqp, broker, frame};

/// Keeps what is logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn writer(&self) -> impl Fn() -> Log + use<> {
        let log = self.clone();
        move || log.clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The client library logs what is returned, with its payload, under a target that can be left out; nothing else shows a payload.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_client_library_shows_of_payloads_has_a_target_of_its_own() {
    let (_, _turn) = broker().await;
    let log = Log::default();
    // The library logs in a thread of its own.
    let keeping = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false).with_writer(log.writer());
    tracing::subscriber::set_global_default(keeping.finish()).expect("no other test has one");
    let amqp = amqp(options()).await;
    assert_eq!(amqp.publish(frame(&name("nobody"), "a secret")).await.unwrap(), Receipt::NoRoute);
    amqp.close().await.unwrap();
    let log = log.text();
    let shown = format!("{:?}", b"a secret");
    let shown = shown.trim_matches(['[', ']']);
    let lines: Vec<_> = log.lines().filter(|line| line.contains(shown) || line.contains("a secret")).collect();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.contains(" lapin::returned_messages: ")), "{lines:#?}");
}

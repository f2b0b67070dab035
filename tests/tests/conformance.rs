//! The transports hold what every transport has to hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use rmi_core::{
    Memory,
    testing::conformance::{self, Harness},
    transport::{Transport, memory::Options},
};
use rmi_tests::{
    clock::paused,
    of_links,
    wires::{Dialler, Listener},
};
use tokio::runtime::Runtime;

/// A module with the suite on an in-memory bus with these options.
macro_rules! memory {
    ($($name:ident: $options:expr, $room:expr, $not_applicable:expr;)*) => {$(
        mod $name {
            use super::*;

            struct OnMemory(Memory);

            #[async_trait]
            impl Harness for OnMemory {
                const NOT_APPLICABLE: &'static [&'static str] = $not_applicable;
                const ROOM: Option<usize> = Some($room);
                const PUBLISH_WAITS: Option<Duration> = Some(Duration::from_secs(2));

                fn runtime() -> io::Result<Runtime> {
                    paused()
                }

                async fn start() -> Self {
                    OnMemory(Memory::with($options.wait(Duration::from_secs(2))))
                }

                async fn seat(&self) -> Arc<dyn Transport> {
                    Arc::new(self.0.clone())
                }
            }

            conformance::suite!(OnMemory);
        }
    )*};
}

memory! {
    memory: Options::default(), 4096, &[];
    memory_with_little_room: Options::default().mailbox_frames(8), 8, &[];
    memory_with_few_bytes: Options::default().mailbox_bytes(512), 4096, &[];
    memory_with_short_payloads: Options::default().max_payload(600), 4096, &["a_mebibyte_arrives"];
    memory_without_a_bound_on_payloads: Options::default().max_payload(usize::MAX), 4096, &["what_is_too_long_is_refused"];
    memory_with_few_mailboxes: Options::default().max_mailboxes(110), 4096, &[];
    memory_without_dead_letters: Options::default().dead_letters(0), 4096, &[];
}

/// Both ends of a link, and who dialled.
struct OnWires {
    listener: Listener,
    dialler: Dialler,
    listens: bool,
}

const OF_LINKS: &[&str] = of_links!["what_is_too_long_is_refused"];

macro_rules! wires {
    ($($name:ident: $listens:expr;)*) => {$(
        mod $name {
            use super::*;

            struct This(OnWires);

            #[async_trait]
            impl Harness for This {
                const NOT_APPLICABLE: &'static [&'static str] = OF_LINKS;
                const ROOM: Option<usize> = Some(256);

                fn runtime() -> io::Result<Runtime> {
                    paused()
                }

                async fn start() -> Self {
                    let listener = Listener::new();
                    This(OnWires { dialler: listener.dial(), listener, listens: $listens })
                }

                async fn seat(&self) -> Arc<dyn Transport> {
                    Arc::new(self.0.dialler.clone())
                }

                async fn ends(&self) -> (Arc<dyn Transport>, Arc<dyn Transport>) {
                    let (listener, dialler) = (Arc::new(self.0.listener.clone()), Arc::new(self.0.dialler.clone()));
                    if self.0.listens { (listener, dialler) } else { (dialler, listener) }
                }

                /// It is the dialler that comes back, whoever's link was cut.
                async fn cut(&self, _: &Arc<dyn Transport>, outage: Duration) -> bool {
                    self.0.cut(outage).await
                }
            }

            conformance::suite!(This);
        }
    )*};
}

impl OnWires {
    async fn cut(&self, outage: Duration) -> bool {
        let Some(rmi_core::transport::LinkChange::Up(link)) = self.dialler.links().next().await else { return false };
        self.dialler.pause(link.id, Some(outage)).await.is_ok()
    }
}

wires! {
    a_listener_receives: true;
    a_dialler_receives: false;
}

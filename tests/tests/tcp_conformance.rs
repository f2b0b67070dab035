//! Links over TCP hold what every transport has to hold: plain, and from either end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rmi_core::{
    testing::conformance::{self, Harness},
    transport::{
        LinkChange, Transport,
        tcp::{Options, Tcp},
    },
};

/// What cannot be asked of links.
const OF_LINKS: &[&str] = &[
    "many_subscribers_get_their_own",
    "competing_subscribers_share",
    "an_exclusive_subscriber_is_alone",
    "a_topic_reaches_what_matches_it",
    "broadcast_reaches_everybody",
    "a_pool_gets_each_frame_once",
    "several_patterns_are_one_subscription",
    "groups_are_told_apart",
    "who_drops_the_oldest_holds_up_nobody",
    "what_is_requeued_comes_again",
    "what_is_dropped_comes_again",
    "what_a_subscriber_left_comes_again",
    "what_is_released_comes_again",
    "what_is_acknowledged_is_gone",
    "what_is_discarded_is_gone",
    "prefetch_is_held",
    "a_publish_waits_no_longer_than_it_may",
    "what_was_unsettled_at_a_cut_comes_again",
    "an_acknowledgement_from_before_a_cut_is_ignored",
    "a_frame_expires",
    "a_durable_address_outlives_its_subscriber",
    "a_strange_address_is_its_own_or_refused",
    "a_subscribe_that_is_dropped_leaves_nothing",
    "closing_leaves_others_alone",
    "what_a_closed_transport_had_comes_again",
    // A frame is a line.
    "an_empty_payload_arrives",
    "any_bytes_arrive",
    // As much as the two systems' sockets hold, which is theirs to say.
    "what_nobody_receives_is_bounded",
];

fn options() -> Options {
    Options::default().max_line(2 << 20).pauses(Duration::from_millis(5), Duration::from_millis(20))
}

/// Both ends of a link.
struct Ends {
    listener: Tcp,
    dialler: Tcp,
}

impl Ends {
    async fn open() -> Self {
        let listener = Tcp::listen("127.0.0.1:0").options(options()).await.unwrap();
        let dialler = Tcp::connect(listener.local_addr().unwrap().to_string()).options(options()).await.unwrap();
        // The listener may hear of it a moment later.
        listener.links().next().await;
        Ends { listener, dialler }
    }

    /// It is the dialler that comes back, whoever's link was cut.
    async fn cut(&self, outage: Duration) -> bool {
        let Some(LinkChange::Up(link)) = self.dialler.links().next().await else { return false };
        self.dialler.pause(link.id, Some(outage)).await.is_ok()
    }
}

macro_rules! tcp {
    ($($name:ident: $listens:expr;)*) => {$(
        mod $name {
            use super::*;

            struct This(Ends);

            #[async_trait]
            impl Harness for This {
                const NOT_APPLICABLE: &'static [&'static str] = OF_LINKS;

                async fn start() -> Self {
                    This(Ends::open().await)
                }

                async fn seat(&self) -> Arc<dyn Transport> {
                    Arc::new(self.0.dialler.clone())
                }

                async fn ends(&self) -> (Arc<dyn Transport>, Arc<dyn Transport>) {
                    let (listener, dialler) = (Arc::new(self.0.listener.clone()), Arc::new(self.0.dialler.clone()));
                    if $listens { (listener, dialler) } else { (dialler, listener) }
                }

                async fn cut(&self, _: &Arc<dyn Transport>, outage: Duration) -> bool {
                    self.0.cut(outage).await
                }
            }

            conformance::suite!(This);
        }
    )*};
}

tcp! {
    a_listener_receives: true;
    a_dialler_receives: false;
}

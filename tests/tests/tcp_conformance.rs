//! Links over TCP hold what every transport has to hold: plain and with TLS, from either end, and with a proxy between that splits what
//! is sent, joins it, delays it, and cuts the connection.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use rmi_core::{
    testing::conformance::{self, Harness},
    transport::{
        LinkChange, Transport,
        tcp::{Options, Tcp},
    },
};
use rmi_tests::{
    certificates::Authority,
    of_links,
    proxy::{Manner, Proxy},
};

/// What cannot be asked of links.
const OF_LINKS: &[&str] = of_links![
    // A frame is a line.
    "an_empty_payload_arrives",
    "any_bytes_arrive",
    // As much as the two systems' sockets hold, which is theirs to say.
    "what_nobody_receives_is_bounded",
];

fn options() -> Options {
    Options::default().max_line(2 << 20).pauses(Duration::from_millis(5), Duration::from_millis(20))
}

/// Both ends of a link, and what is between them.
struct Ends {
    listener: Tcp,
    dialler: Tcp,
    proxy: Option<Proxy>,
}

/// How two ends are connected.
#[derive(Clone, Copy)]
enum Between {
    Nothing,
    Tls,
    Proxy(Manner),
    TlsAndProxy(Manner),
}

impl Ends {
    async fn open(between: Between) -> Self {
        let authority = Authority::new();
        let listen = Tcp::listen("127.0.0.1:0").options(options());
        let connect = |at: SocketAddr| Tcp::connect(at.to_string()).options(options());
        let tls = matches!(between, Between::Tls | Between::TlsAndProxy(_));
        let listener = if tls { listen.tls(authority.mutual("listener")).await } else { listen.await }.unwrap();
        let mut at = listener.local_addr().unwrap();
        let mut proxy = None;
        if let Between::Proxy(manner) | Between::TlsAndProxy(manner) = between {
            let between = Proxy::to(at).await;
            between.behave(manner);
            at = between.at();
            proxy = Some(between);
        }
        let connect = connect(at);
        let dialler = if tls { connect.tls(authority.dialling("dialler", "listener")).await } else { connect.await }.unwrap();
        // The listener may hear of it a moment later.
        listener.links().next().await;
        Ends { listener, dialler, proxy }
    }

    /// It is the dialler that comes back, whoever's link was cut.
    async fn cut(&self, outage: Duration) -> bool {
        if let Some(proxy) = &self.proxy {
            proxy.away(outage);
            return true;
        }
        let Some(LinkChange::Up(link)) = self.dialler.links().next().await else { return false };
        self.dialler.pause(link.id, Some(outage)).await.is_ok()
    }
}

macro_rules! tcp {
    ($($name:ident: $listens:expr, $between:expr;)*) => {$(
        mod $name {
            use super::*;

            struct This(Ends);

            #[async_trait]
            impl Harness for This {
                const NOT_APPLICABLE: &'static [&'static str] = OF_LINKS;

                async fn start() -> Self {
                    This(Ends::open($between).await)
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

const JOINED: Manner = Manner { join: Some(Duration::from_millis(3)), ..AS_IT_IS };
const DELAYED: Manner = Manner { delay: Some(Duration::from_millis(2)), ..AS_IT_IS };
const AS_IT_IS: Manner = Manner { split: None, join: None, delay: None, garble: None, cut_after: None };

tcp! {
    a_listener_receives: true, Between::Nothing;
    a_dialler_receives: false, Between::Nothing;
    a_listener_receives_by_tls: true, Between::Tls;
    a_dialler_receives_by_tls: false, Between::Tls;
    a_listener_receives_what_was_joined: true, Between::Proxy(JOINED);
    a_dialler_receives_what_was_delayed: false, Between::Proxy(DELAYED);
    a_listener_receives_what_was_joined_by_tls: true, Between::TlsAndProxy(JOINED);
    a_dialler_receives_what_was_cut: false, Between::TlsAndProxy(AS_IT_IS);
}

/// Single bytes, which a mebibyte would take too long in.
mod in_single_bytes {
    use super::*;

    const SPLIT: Manner = Manner { split: Some(1), ..AS_IT_IS };

    struct This(Ends);

    #[async_trait]
    impl Harness for This {
        const NOT_APPLICABLE: &'static [&'static str] = OF_LINKS;

        async fn start() -> Self {
            This(Ends::open(Between::Proxy(SPLIT)).await)
        }

        async fn seat(&self) -> Arc<dyn Transport> {
            Arc::new(self.0.dialler.clone())
        }

        async fn ends(&self) -> (Arc<dyn Transport>, Arc<dyn Transport>) {
            (Arc::new(self.0.listener.clone()), Arc::new(self.0.dialler.clone()))
        }

        async fn cut(&self, _: &Arc<dyn Transport>, outage: Duration) -> bool {
            self.0.cut(outage).await
        }
    }

    #[test]
    fn frames_are_put_together() {
        for check in
            ["a_frame_arrives_whole", "one_sender_keeps_its_order", "nothing_is_lost_or_doubled", "a_subscription_survives_a_cut"]
        {
            conformance::run::<This>(check);
        }
    }
}

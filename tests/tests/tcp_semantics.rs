//! What a call means, where an agent listens and its callers dial it: the native envelope over TCP, sealed and not, also where what is
//! sent comes joined.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{net::SocketAddr, time::Duration};

use async_trait::async_trait;
use rmi_core::{
    Endpoint, Native,
    endpoint::Builder,
    testing::semantics::{self, Setting},
    transport::tcp::{Options, Tcp},
};
use rmi_tests::{
    proxy::{Manner, Proxy},
    world::World,
};

/// An agent that listens at an address, again and again, and callers who dial it, directly or by a proxy.
struct Pair {
    world: World,
    at: SocketAddr,
    proxy: Option<Proxy>,
}

impl Pair {
    async fn start(world: World, manner: Option<Manner>) -> Self {
        let at = Tcp::listen("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut proxy = None;
        if let Some(manner) = manner {
            let between = Proxy::to(at).await;
            between.behave(manner);
            proxy = Some(between);
        }
        Pair { world, at, proxy }
    }

    async fn endpoint(&self, name: &'static str) -> Builder {
        let options = Options::default().pauses(Duration::from_millis(5), Duration::from_millis(20));
        let tcp = if name == "agent" {
            let mut tries = 0..40;
            loop {
                // The one before may still be on its way out. Where it stays, this one is only looked at.
                let at = if tries.next().is_some() { self.at.to_string() } else { "127.0.0.1:0".to_owned() };
                match Tcp::listen(at).options(options.clone()).await {
                    Ok(tcp) => break tcp,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        } else {
            let at = self.proxy.as_ref().map_or(self.at, Proxy::at);
            Tcp::connect(at.to_string()).options(options).patiently().await.unwrap()
        };
        Endpoint::builder(name).bind(Native::new(), tcp, self.world.trust(name)).clock(self.world.clock.clone())
    }
}

macro_rules! native_on_tcp {
    ($($name:ident: $world:expr, $manner:expr, $not_applicable:expr;)*) => {$(
        mod $name {
            use super::*;

            struct This(Pair);

            #[async_trait]
            impl Setting for This {
                const NOT_APPLICABLE: &'static [(&'static str, &'static str)] = $not_applicable;

                async fn start() -> Self {
                    This(Pair::start($world, $manner).await)
                }

                async fn endpoint(&self, name: &'static str) -> Builder {
                    self.0.endpoint(name).await
                }
            }

            semantics::suite!(This);
        }
    )*};
}

const UNSEALED: &[(&str, &str)] = &[("only_its_own_principal_cancels", "nobody signs: all are one principal")];
const AS_IT_IS: Manner = Manner { split: None, join: None, delay: None, garble: None, cut_after: None };
const JOINED: Manner = Manner { join: Some(Duration::from_millis(3)), ..AS_IT_IS };

native_on_tcp! {
    sealed: World::sealed(), None, &[];
    unsealed: World::unsealed(), None, UNSEALED;
    sealed_and_joined: World::sealed(), Some(JOINED), &[];
}

//! What a call means, where an agent listens and its callers dial it: the native envelope over TCP, sealed and not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{net::SocketAddr, time::Duration};

use async_trait::async_trait;
use rmi_core::{
    Endpoint, Native,
    endpoint::Builder,
    testing::semantics::{self, Setting},
    transport::tcp::{Options, Tcp},
};
use rmi_tests::world::World;

/// An agent that listens at an address, again and again, and callers who dial it.
struct Pair {
    world: World,
    at: SocketAddr,
}

impl Pair {
    async fn start(world: World) -> Self {
        let at = Tcp::listen("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        Pair { world, at }
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
            Tcp::connect(self.at.to_string()).options(options).patiently().await.unwrap()
        };
        Endpoint::builder(name).bind(Native::new(), tcp, self.world.trust(name)).clock(self.world.clock.clone())
    }
}

macro_rules! native_on_tcp {
    ($($name:ident: $world:expr, $not_applicable:expr;)*) => {$(
        mod $name {
            use super::*;

            struct This(Pair);

            #[async_trait]
            impl Setting for This {
                const NOT_APPLICABLE: &'static [(&'static str, &'static str)] = $not_applicable;

                async fn start() -> Self {
                    This(Pair::start($world).await)
                }

                async fn endpoint(&self, name: &'static str) -> Builder {
                    self.0.endpoint(name).await
                }
            }

            semantics::suite!(This);
        }
    )*};
}

native_on_tcp! {
    sealed: World::sealed(), &[];
    unsealed: World::unsealed(), &[("only_its_own_principal_cancels", "nobody signs: all are one principal")];
}

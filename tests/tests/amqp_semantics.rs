//! What a call means, over RabbitMQ: the native envelope, sealed and not, straight and by a proxy that splits and delays what is sent.
//! `RMI_TEST_LONG=1` asks every sentence by the proxy as well, and not only every tenth.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rmi_amqp::Amqp;
use rmi_core::{
    Endpoint, Native,
    endpoint::Builder,
    testing::semantics::{self, Setting},
};
use rmi_tests::{
    amqp::{name, options, proxied, url},
    long::ordinarily_or_long,
    proxy::{Manner, Proxy},
    scoped::Scoped,
    world::World,
};

/// Endpoints on one broker, each pair of them among names of its own.
struct Pair {
    world: World,
    url: String,
    scope: String,
    _proxy: Option<Proxy>,
}

impl Pair {
    async fn start(world: World) -> Self {
        Pair { world, url: url().await, scope: name("semantics"), _proxy: None }
    }

    /// Everything goes by a proxy of its own.
    async fn by_proxy(world: World, manner: Manner) -> Self {
        let pair = Pair::start(world).await;
        let (proxy, url) = proxied(&pair.url).await;
        proxy.behave(manner);
        Pair { url, _proxy: Some(proxy), ..pair }
    }

    async fn endpoint(&self, name: &'static str) -> Builder {
        let amqp = Amqp::connect(&self.url).options(options()).await.unwrap();
        let scoped = Scoped::new(Arc::new(amqp), &self.scope);
        Endpoint::builder(name).bind(Native::new(), scoped, self.world.trust(name)).clock(self.world.clock.clone())
    }
}

macro_rules! native_on_rabbit {
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

native_on_rabbit! {
    sealed: World::sealed(), &[];
    unsealed: World::unsealed(), &[("only_its_own_principal_cancels", "nobody signs: all are one principal")];
}

struct Split(Pair);

#[async_trait]
impl Setting for Split {
    async fn start() -> Self {
        let manner = Manner { split: Some(7), delay: Some(Duration::from_micros(200)), ..Manner::default() };
        Split(Pair::by_proxy(World::sealed(), manner).await)
    }

    async fn endpoint(&self, name: &'static str) -> Builder {
        self.0.endpoint(name).await
    }
}

#[test]
fn what_a_call_means_does_not_depend_on_how_bytes_come() {
    for sentence in semantics::sentences::<Split>().iter().step_by(ordinarily_or_long(10, 1)) {
        semantics::run::<Split>(sentence.name);
    }
}

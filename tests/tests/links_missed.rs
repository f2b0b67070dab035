//! A transport that reports more changes of its links than an endpoint can follow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use async_trait::async_trait;
use rmi_core::{
    Endpoint, Native, Trust,
    transport::{
        Attempt, Capabilities, Deliveries, Frame, Link, LinkChange, LinkId, LinkReporter, Links, Receipt, Subscription,
        Transport, TransportError, tcp::Tcp,
    },
};
use rmi_tests::{
    probe::{ProbeClient, ProbeServer, Watch},
    soon::soon,
    tcp::quick,
};

/// Links over TCP, and reports of links by hand.
#[derive(Debug)]
struct Reported(Tcp, LinkReporter);

#[async_trait]
impl Transport for Reported {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn publish(&self, frame: Frame) -> Result<Receipt, TransportError> {
        self.0.publish(frame).await
    }

    fn try_publish(&self, frame: Frame) -> Attempt {
        self.0.try_publish(frame)
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Deliveries>, TransportError> {
        self.0.subscribe(subscription).await
    }

    fn links(&self) -> Links {
        self.1.watch()
    }

    async fn pause(&self, link: LinkId, resume: Option<Duration>) -> Result<(), TransportError> {
        self.0.pause(link, resume).await
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.0.close().await
    }
}

// One thread: nothing is heard of what is reported until all of it has been.
#[tokio::test]
async fn links_that_are_up_go_on_when_too_much_happens_to_hear_of() {
    let listener = Tcp::listen("127.0.0.1:0").options(quick()).await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let reporter = LinkReporter::default();
    let reported = Reported(listener.clone(), reporter.clone());
    let server = Endpoint::builder("server").bind(Native::new(), reported, Trust::insecure()).start().await.unwrap();
    let (probing, mut watch) = Watch::new();
    let dialler = Tcp::connect(at).options(quick()).await.unwrap();
    let agent = Endpoint::builder("agent").bind(Native::new(), dialler, Trust::insecure());
    let _agent = agent.serve(ProbeServer::new(probing)).start().await.unwrap();
    let Some(LinkChange::Up(link)) = listener.links().next().await else { panic!("a link is up") };
    reporter.up(link.clone());
    soon("the agent has a name", async {
        while server.linked().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let probe: ProbeClient = server.client("agent");
    let waiting = tokio::spawn(async move { probe.hold("on").await });
    assert_eq!(watch.began().await, "on");
    // One stays, one goes unheard, and thousands come and go.
    let gone = LinkId(link.id.0 + 1);
    reporter.up(Link { id: gone, generation: 1, peer: Some("ghost".into()) });
    soon("it is known", async {
        while server.linked().len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    for other in 0..2000 {
        let id = LinkId(link.id.0 + 2 + other);
        reporter.up(Link { id, generation: 1, peer: None });
        reporter.down(id, "as it came");
    }
    reporter.down(gone, "nobody hears of it");
    soon("what has gone is not kept", async {
        while server.linked().len() > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert_eq!(server.linked(), ["agent"]);
    watch.open(2);
    assert_eq!(soon("its outcome comes", waiting).await.unwrap().unwrap(), "on");
    let probe: ProbeClient = server.client("agent");
    assert_eq!(probe.echo("still there?").await.unwrap(), "still there?");
}

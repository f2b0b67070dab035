//! The native envelope over TCP: who is reached by which link, and what becomes of calls when it is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_core::{
    CallError, Endpoint, Native, Trust,
    testing::semantics::probe::{ProbeClient, ProbeServer, Watch},
    transport::tcp::{Options, Tcp},
};

const QUICK: Duration = Duration::from_millis(10);

fn options() -> Options {
    Options::default().pauses(QUICK, QUICK)
}

struct Listening {
    tcp: Tcp,
    endpoint: Endpoint,
    watch: Watch,
}

impl Listening {
    async fn start(name: &'static str) -> Self {
        let tcp = Tcp::listen("127.0.0.1:0").options(options()).await.unwrap();
        let (probing, watch) = Watch::new();
        let builder = Endpoint::builder(name).bind(Native::new(), tcp.clone(), Trust::insecure());
        let endpoint = builder.serve(ProbeServer::new(probing)).start().await.unwrap();
        Listening { tcp, endpoint, watch }
    }

    async fn dial(&self) -> Tcp {
        let address = self.tcp.local_addr().unwrap().to_string();
        Tcp::connect(address).options(options()).await.unwrap()
    }

    async fn caller(&self, name: &'static str) -> Endpoint {
        Endpoint::builder(name).bind(Native::new(), self.dial().await, Trust::insecure()).start().await.unwrap()
    }
}

#[tokio::test]
async fn a_dialler_calls_an_agent_that_listens() {
    let agent = Listening::start("agent").await;
    let caller = agent.caller("caller").await;
    let probe: ProbeClient = caller.client("agent");
    assert_eq!(probe.echo("hello").await.unwrap(), "hello");
}

#[tokio::test]
async fn what_is_for_somebody_else_is_not_run() {
    let agent = Listening::start("agent").await;
    let caller = agent.caller("caller").await;
    let probe: ProbeClient = caller.client("nobody");
    let error = probe.echo("hello").await.unwrap_err();
    assert!(matches!(&error, CallError::NoAgent(agent) if agent.as_str() == "nobody"), "{error:?}");
}

#[tokio::test]
async fn an_agent_that_dials_is_called_back_by_its_name() {
    let server = Listening::start("server").await;
    let (probing, _watch) = Watch::new();
    let builder = Endpoint::builder("agent").bind(Native::new(), server.dial().await, Trust::insecure());
    let agent = builder.serve(ProbeServer::new(probing)).start().await.unwrap();
    let at_server: ProbeClient = agent.client("server");
    assert_eq!(at_server.echo("here I am").await.unwrap(), "here I am");
    let at_agent: ProbeClient = server.endpoint.client("agent");
    assert_eq!(at_agent.echo("and I").await.unwrap(), "and I");
}

#[tokio::test]
async fn a_call_survives_the_loss_of_its_link_by_tcp() {
    let mut agent = Listening::start("agent").await;
    let caller = agent.caller("caller").await;
    let probe: ProbeClient = caller.client("agent");
    let waiting = tokio::spawn(async move { probe.hold("it").await });
    assert_eq!(agent.watch.began().await, "it");
    let link = {
        use rmi_core::transport::{LinkChange, Transport};
        let Some(LinkChange::Up(link)) = agent.tcp.links().next().await else { panic!("a link is up") };
        agent.tcp.disconnect(link.id).await.unwrap();
        link.id
    };
    // Another link is there before the outcome is.
    loop {
        use rmi_core::transport::{LinkChange, Transport};
        if let Some(LinkChange::Up(other)) = agent.tcp.links().next().await
            && other.id != link
        {
            break;
        }
    }
    agent.watch.open(1);
    assert_eq!(waiting.await.unwrap().unwrap(), "it");
}

#[tokio::test]
async fn who_is_dialled_and_away_is_waited_for() {
    let at = {
        let gone = Tcp::listen("127.0.0.1:0").await.unwrap();
        gone.local_addr().unwrap()
    };
    let error = Tcp::connect(at.to_string()).await.unwrap_err();
    assert!(error.to_string().contains(&at.to_string()), "{error}");
    let tcp = Tcp::connect(at.to_string()).options(options()).patiently().await.unwrap();
    let caller = Endpoint::builder("caller").bind(Native::new(), tcp.clone(), Trust::insecure()).start().await.unwrap();
    let probe: ProbeClient = caller.client("agent");
    let waiting = tokio::spawn(async move { probe.echo("when you come").await });
    rmi_tests::tcp::until(&tcp, "it is dialled in vain", |counters| counters.not_reached > 2).await;
    let (probing, _watch) = Watch::new();
    let back = Tcp::listen(at.to_string()).await.unwrap();
    let builder = Endpoint::builder("agent").bind(Native::new(), back, Trust::insecure());
    let _agent = builder.serve(ProbeServer::new(probing)).start().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), "when you come");
}

// With a worker alone, whoever is woken runs next: every request would be a write of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn calls_that_are_made_together_share_writes() {
    let agent = Listening::start("agent").await;
    let dialler = agent.dial().await;
    let caller = Endpoint::builder("caller").bind(Native::new(), dialler.clone(), Trust::insecure()).start().await.unwrap();
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let probe: ProbeClient = caller.client("agent");
            tokio::spawn(async move {
                for _ in 0..50 {
                    probe.echo("x").await.unwrap();
                }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    for counters in [dialler.counters(), agent.tcp.counters()] {
        assert!(counters.sent >= 3200 && counters.writes * 8 < counters.sent, "{counters:?}");
    }
}

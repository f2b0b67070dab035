//! The native envelope over TCP: who is reached by which link, and what becomes of calls when it is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{process::Command, time::Duration};

use rmi_core::{
    CallError, Endpoint, Native, Trust,
    testing::semantics::probe::{ProbeClient, ProbeServer, Watch},
    transport::{
        Transport,
        tcp::{Options, Tcp},
    },
};
use rmi_tests::{proxy::Proxy, world::World};

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

/// Waits until a name leads somewhere.
async fn linked(server: &Endpoint, name: &str) {
    rmi_tests::soon::soon("it has a name", async {
        while !server.linked().iter().any(|linked| linked.as_str() == name) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// An agent that dials a server and never calls it, both of a world.
async fn agent_that_dials(world: &World) -> (Endpoint, Endpoint, Tcp) {
    let listener = Tcp::listen("127.0.0.1:0").options(options()).await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let server = Endpoint::builder("caller").bind(Native::new(), listener, world.trust("caller")).clock(world.clock.clone());
    let server = server.start().await.unwrap();
    let (probing, _watch) = Watch::new();
    let dialler = Tcp::connect(at).options(options()).await.unwrap();
    let agent = Endpoint::builder("agent").bind(Native::new(), dialler.clone(), world.trust("agent"));
    let agent = agent.clock(world.clock.clone()).serve(ProbeServer::new(probing)).start().await.unwrap();
    (server, agent, dialler)
}

#[tokio::test]
async fn an_agent_that_dials_is_called_before_it_has_called() {
    for world in [World::sealed(), World::unsealed()] {
        let (server, agent, dialler) = agent_that_dials(&world).await;
        linked(&server, "agent").await;
        let at_agent: ProbeClient = server.client("agent");
        assert_eq!(at_agent.echo("are you there?").await.unwrap(), "are you there?");
        // And again by the next link.
        let link = rmi_tests::tcp::link(&dialler).await;
        dialler.disconnect(link).await.unwrap();
        rmi_tests::tcp::another_link(&dialler, link).await;
        rmi_tests::soon::soon("it is called by the next link", async {
            while !at_agent.echo("and now?").await.is_ok_and(|said| said == "and now?") {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        for endpoint in [&server, &agent] {
            let figures = &endpoint.figures()[0];
            assert_eq!((figures.misdirected, figures.impostors, figures.unverified), (0, 0, 0));
        }
    }
}

#[derive(Clone, Debug, rmi_core::RemoteEvent)]
enum Heard {
    #[remote(key = "heard")]
    Something,
}

#[tokio::test]
async fn events_do_not_go_by_links_and_whoever_wants_them_is_told() {
    let agent = Listening::start("agent").await;
    let subscribed = agent.endpoint.subscribe::<Heard>().await.unwrap_err().to_string();
    let published = agent.endpoint.publish(&Heard::Something).await.unwrap_err().to_string();
    for error in [subscribed, published] {
        assert!(error.contains("binding 0 goes by links") && error.contains("`.over(number)`"), "{error}");
    }
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

#[tokio::test]
async fn a_notification_that_its_link_did_not_take_goes_by_the_next() {
    let mut agent = Listening::start("agent").await;
    let proxy = Proxy::to(agent.tcp.local_addr().unwrap()).await;
    let dialler = Tcp::connect(proxy.at().to_string()).options(options().queue(64 << 10)).await.unwrap();
    let caller = Endpoint::builder("caller").bind(Native::new(), dialler.clone(), Trust::insecure()).start().await.unwrap();
    proxy.stall();
    // More than the systems' sockets and the queue hold.
    let notes: Vec<_> = (0..32)
        .map(|number| {
            let probe: ProbeClient = caller.client("agent");
            let note = probe.note(&format!("{number}{}", "x".repeat(1 << 20)));
            tokio::spawn(async move { note.notify().await })
        })
        .collect();
    rmi_tests::soon::soon("some are sent, and others wait", async {
        let mut sent = 0;
        while dialler.counters().sent == 0 || std::mem::replace(&mut sent, dialler.counters().sent) != dialler.counters().sent {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let before = dialler.counters().sent;
    assert!(before < 32, "all of them have been sent");
    proxy.cut();
    proxy.flow();
    for note in notes {
        note.await.unwrap().unwrap();
    }
    // What had not left goes by the next link.
    let left = 32 - usize::try_from(before + dialler.counters().lost).unwrap();
    rmi_tests::soon::soon("they are noted", async {
        while agent.watch.ran() < left {
            agent.watch.next().await;
        }
    })
    .await;
}

/// Run in a network of its own, with one port that a connection can have.
#[tokio::test]
async fn in_a_network_of_one_port() {
    if std::env::var_os("RMI_TESTS_ONE_PORT").is_none() {
        return;
    }
    let error = Tcp::connect("127.0.0.1:40000").options(options()).await.unwrap_err();
    assert!(error.to_string().contains("nobody listens"), "{error}");
    let tcp = Tcp::connect("127.0.0.1:40000").options(options()).patiently().await.unwrap();
    rmi_tests::tcp::until(&tcp, "it is dialled in vain", |counters| counters.not_reached > 2).await;
    assert_eq!(tcp.counters().opened, 0);
    let listener = rmi_tests::soon::soon("its port is free for the listener", async {
        loop {
            match Tcp::listen("127.0.0.1:40000").await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(QUICK).await,
            }
        }
    })
    .await;
    drop(listener);
}

#[test]
fn nobody_reaches_themselves() {
    let test = std::env::current_exe().unwrap();
    let script = "ip link set lo up && echo '40000 40000' > /proc/sys/net/ipv4/ip_local_port_range \
                  && exec \"$0\" --exact in_a_network_of_one_port --nocapture";
    let namespace = ["-rn", "sh", "-c"];
    if !Command::new("unshare").args(namespace).arg("ip link set lo up").output().is_ok_and(|run| run.status.success()) {
        eprintln!("there are no network namespaces here");
        return;
    }
    let run = Command::new("unshare").args(namespace).arg(script).arg(test).env("RMI_TESTS_ONE_PORT", "1").output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
}

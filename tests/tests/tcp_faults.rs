//! What networks do to links over TCP, as endpoints see it: they fall silent, they are reset, and their bytes are changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{net::SocketAddr, process::Command, time::Duration};

use rmi_core::{
    Endpoint, Native,
    transport::tcp::{Options, Tcp},
};
use rmi_tests::{
    certificates::Authority,
    probe::{ProbeClient, ProbeServer, Watch},
    proxy::{Manner, Proxy},
    soon::soon,
    tcp::{another_link, link, quick, until},
    world::World,
};
use tokio::task::JoinSet;

/// An agent that listens, and a caller that dials it, directly or by a proxy.
struct Pair {
    listener: Tcp,
    agent: Endpoint,
    watch: Watch,
    dialler: Tcp,
    caller: Endpoint,
    proxy: Option<Proxy>,
}

impl Pair {
    async fn start(world: &World, options: Options, by_proxy: bool) -> Self {
        let listener = Tcp::listen("127.0.0.1:0").options(options.clone()).await.unwrap();
        let mut at: SocketAddr = listener.local_addr().unwrap();
        let mut proxy = None;
        if by_proxy {
            let between = Proxy::to(at).await;
            at = between.at();
            proxy = Some(between);
        }
        let (probing, watch) = Watch::new();
        let agent = Endpoint::builder("agent").bind(Native::new(), listener.clone(), world.trust("agent"));
        let agent = agent.clock(world.clock.clone()).queue_of_its_own().serve(ProbeServer::new(probing)).start().await.unwrap();
        let dialler = Tcp::connect(at.to_string()).options(options).await.unwrap();
        let caller = Endpoint::builder("caller").bind(Native::new(), dialler.clone(), world.trust("caller"));
        let caller = caller.clock(world.clock.clone()).start().await.unwrap();
        Pair { listener, agent, watch, dialler, caller, proxy }
    }

    fn probe(&self) -> ProbeClient {
        self.caller.client("agent")
    }

    fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().unwrap()
    }
}

fn ip(arguments: &str) {
    assert!(Command::new("ip").args(arguments.split(' ')).status().unwrap().success(), "ip {arguments}");
}

/// Run in a network of its own.
#[tokio::test]
async fn in_a_network_that_fails() {
    if std::env::var_os("RMI_TESTS_OWN_NETWORK").is_none() {
        return;
    }
    let mut pair = Pair::start(&World::sealed(), quick().keepalive(Duration::from_secs(1)), false).await;
    let probe = pair.probe();
    let waiting = tokio::spawn(async move { probe.hold("on").await });
    assert_eq!(pair.watch.began().await, "on");
    let before = link(&pair.dialler).await;
    ip("link set lo down");
    // Whoever has something under way finds it out, and whoever only waits: both within four seconds, and a little.
    let sending = {
        let probe = pair.probe();
        tokio::spawn(async move { probe.echo("into the dark").await })
    };
    let found = async {
        until(&pair.dialler, "the dialler finds it out", |counters| counters.closed == 1).await;
        until(&pair.listener, "the listener finds it out", |counters| counters.closed == 1).await;
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.expect("within a bound");
    assert_eq!(pair.dialler.counters().stalled, 0, "it is the system that says so");
    ip("link set lo up");
    another_link(&pair.dialler, before).await;
    pair.watch.open(1);
    assert_eq!(soon("its outcome comes by the next link", waiting).await.unwrap().unwrap(), "on");
    // What was on its way may have come or not, and its caller is told.
    if let Err(error) = soon("it has an end", sending).await.unwrap() {
        assert!(error.is_retryable() || error.is_ambiguous(), "{error:?}");
    }
}

#[test]
fn a_peer_that_vanishes_without_a_word_is_noticed() {
    let test = std::env::current_exe().unwrap();
    let script = "ip link set lo up && exec \"$0\" --exact in_a_network_that_fails --nocapture";
    let namespace = ["-rn", "sh", "-c"];
    if !Command::new("unshare").args(namespace).arg("ip link set lo up").output().is_ok_and(|run| run.status.success()) {
        eprintln!("there are no network namespaces here");
        return;
    }
    let run = Command::new("unshare").args(namespace).arg(script).arg(test).env("RMI_TESTS_OWN_NETWORK", "1").output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
}

#[tokio::test]
async fn a_peer_that_is_there_and_takes_nothing_is_left_in_time() {
    let pair = Pair::start(&World::unsealed(), quick().queue(64 << 10).wait(Duration::from_millis(300)), true).await;
    let before = link(&pair.dialler).await;
    pair.proxy().stall();
    let mut notes = JoinSet::new();
    for number in 0..48 {
        let note = pair.probe().note(&format!("{number}{}", "x".repeat(1 << 20)));
        notes.spawn(async move { note.notify().await });
    }
    until(&pair.dialler, "the dialler leaves it", |counters| counters.stalled > 0).await;
    pair.proxy().flow();
    another_link(&pair.dialler, before).await;
    assert_eq!(soon("calls go by the next link", pair.probe().echo("hello").into_future()).await.unwrap(), "hello");
    while let Some(note) = notes.join_next().await {
        let _ = note.unwrap();
    }
}

#[tokio::test]
async fn links_that_are_reset_again_and_again_double_nothing() {
    for world in World::both() {
        let pair = Pair::start(&world, quick(), true).await;
        let mut calls = JoinSet::new();
        for round in 0..20 {
            for number in 0..10 {
                let call = pair.probe().doze(&format!("{round} {number}"), 0);
                calls.spawn(async move { call.await.map(|said| (said, format!("{round} {number}"))) });
            }
            let carried = pair.proxy().carried();
            soon("something is carried", async {
                while pair.proxy().carried() < carried + 500 && pair.dialler.counters().links == 1 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            let before = pair.dialler.counters().opened;
            pair.proxy().reset();
            until(&pair.dialler, "it is dialled again", |counters| counters.opened > before).await;
        }
        let mut answered = 0;
        while let Some(call) = soon("each call ends", calls.join_next()).await {
            match call.unwrap() {
                Ok((said, asked)) => {
                    assert_eq!(said, asked);
                    answered += 1;
                }
                Err(error) => assert!(error.is_retryable() || error.is_ambiguous(), "{error:?}"),
            }
        }
        assert!(answered > 0 && pair.watch.ran() >= answered && pair.watch.ran() <= 200, "{answered}, {}", pair.watch.ran());
        assert_eq!(pair.probe().echo("after all").await.unwrap(), "after all");
        drop(pair.agent);
    }
}

#[tokio::test]
async fn bytes_that_were_changed_are_refused_and_harm_nobody() {
    let pair = Pair::start(&World::sealed(), quick(), true).await;
    assert_eq!(pair.probe().echo("before").await.unwrap(), "before");
    pair.proxy().seed(7);
    pair.proxy().behave(Manner { garble: Some(1500), ..Manner::default() });
    let mut calls = JoinSet::new();
    for number in 0..200 {
        let call = pair.probe().echo(&number.to_string()).timeout(Duration::from_secs(2));
        calls.spawn(async move { (number.to_string(), call.await) });
    }
    let mut answered = 0;
    while let Some(call) = calls.join_next().await {
        let (asked, call) = call.unwrap();
        if let Ok(said) = call {
            assert_eq!(said, asked, "what was changed is no answer");
            answered += 1;
        }
    }
    let refused = |endpoint: &Endpoint| {
        let figures = &endpoint.figures()[0];
        figures.malformed + figures.unverified + figures.misdirected
    };
    let refused = refused(&pair.agent) + refused(&pair.caller);
    assert!(answered > 0 && answered < 200, "{answered} of 200 were answered");
    assert!(refused > 0, "it is counted");
    // Its lines are still lines: the link goes on.
    pair.proxy().behave(Manner::default());
    assert_eq!(pair.probe().echo("after").await.unwrap(), "after");
    assert_eq!((pair.listener.counters().opened, pair.listener.counters().closed), (1, 0));
}

#[tokio::test]
async fn bytes_of_tls_that_were_changed_end_the_link() {
    let authority = Authority::new();
    let listener = Tcp::listen("127.0.0.1:0").options(quick()).tls(authority.mutual("kennel.example.org")).await.unwrap();
    let proxy = Proxy::to(listener.local_addr().unwrap()).await;
    let (probing, _watch) = Watch::new();
    let world = World::unsealed();
    let agent = Endpoint::builder("agent").bind(Native::new(), listener.clone(), world.trust("agent"));
    let _agent = agent.serve(ProbeServer::new(probing)).start().await.unwrap();
    let tls = authority.dialling("ann", "kennel.example.org");
    let dialler = Tcp::connect(proxy.at().to_string()).options(quick()).tls(tls).await.unwrap();
    let caller = Endpoint::builder("caller").bind(Native::new(), dialler.clone(), world.trust("caller")).start().await.unwrap();
    let probe: ProbeClient = caller.client("agent");
    assert_eq!(probe.echo("before").await.unwrap(), "before");
    let before = link(&dialler).await;
    proxy.behave(Manner { garble: Some(50), ..Manner::default() });
    let lost = probe.echo(&"x".repeat(1000)).timeout(Duration::from_secs(30));
    let lost = tokio::spawn(lost.into_future());
    until(&dialler, "the link ends", |counters| counters.closed > 0).await;
    proxy.behave(Manner::default());
    another_link(&dialler, before).await;
    let after: ProbeClient = caller.client("agent");
    assert_eq!(soon("it is answered", after.echo("after").into_future()).await.unwrap(), "after");
    if let Ok(said) = soon("it ends", lost).await.unwrap() {
        assert_eq!(said.len(), 1000);
    }
}

//! TLS between two ends: who is let in, and what they are called.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_core::{
    CallError, Endpoint, Native, Trust,
    transport::{
        TransportErrorKind,
        tcp::{
            Tcp,
            tls::{ClientTls, ServerTls},
        },
    },
};
use rmi_tests::{
    certificates::Authority,
    probe::{ProbeClient, ProbeServer, Watch},
    tcp::{quick, until},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

async fn listening(tls: ServerTls) -> (Tcp, Endpoint) {
    let tcp = Tcp::listen("127.0.0.1:0").options(quick().connect_timeout(Duration::from_millis(500))).tls(tls).await.unwrap();
    let (probing, _watch) = Watch::new();
    let builder = Endpoint::builder("agent").bind(Native::new(), tcp.clone(), Trust::insecure());
    (tcp, builder.serve(ProbeServer::new(probing)).start().await.unwrap())
}

async fn dialling(to: &Tcp, tls: ClientTls) -> Result<Tcp, rmi_core::transport::TransportError> {
    Tcp::connect(to.local_addr().unwrap().to_string()).options(quick()).tls(tls).await
}

async fn asks_who(name: &'static str, tcp: Tcp) -> Result<String, CallError<std::convert::Infallible>> {
    let endpoint = Endpoint::builder(name).bind(Native::new(), tcp, Trust::insecure()).start().await.unwrap();
    let probe: ProbeClient = endpoint.client("agent");
    probe.who().timeout(Duration::from_secs(5)).await
}

#[tokio::test]
async fn a_certificate_names_its_holder() {
    let authority = Authority::new();
    let (tcp, agent) = listening(authority.mutual("kennel.example.org")).await;
    let named = [
        (&["ann.example.org", "other.example.org"][..], "transport:ann.example.org"),
        (&["spiffe://example.org/ann", "*.example.org"], "transport:spiffe://example.org/ann"),
        (&["*.example.org"], "anonymous"),
        (&[], "anonymous"),
    ];
    for (names, known_as) in named {
        let ann = authority.vouch(names);
        let tls = ClientTls::trusts(authority.pem()).unwrap().presents(ann.chain, ann.key).unwrap();
        let dialler = dialling(&tcp, tls.server_name("kennel.example.org").unwrap()).await.unwrap();
        // What it says of itself is no principal.
        assert_eq!(asks_who("root", dialler).await.unwrap(), known_as, "{names:?}");
    }
    drop(agent);
}

#[tokio::test]
async fn who_is_not_vouched_for_is_not_let_in() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (tcp, agent) = listening(authority.mutual("kennel.example.org")).await;
    let named = |tls: ClientTls| tls.server_name("kennel.example.org").unwrap();
    // A dialler of another authority, and one without a certificate: TLS 1.3 tells them after they are connected.
    let stranger = other.vouch(&["ann.example.org"]);
    let strange = ClientTls::trusts(authority.pem()).unwrap().presents(stranger.chain, stranger.key).unwrap();
    let nameless = ClientTls::trusts(authority.pem()).unwrap();
    for (so_far, tls) in [strange, nameless].into_iter().enumerate() {
        if let Ok(dialler) = dialling(&tcp, named(tls)).await {
            let error = asks_who("ann", dialler).await.unwrap_err();
            assert!(matches!(error, CallError::Timeout { .. } | CallError::ReplyLost | CallError::Transport(_)), "{error:?}");
        }
        until(&tcp, "it is not let in", |counters| counters.not_greeted > so_far as u64).await;
    }
    assert_eq!(tcp.counters().received, 0);
    // A listener of another authority, and one of another name, are not talked to.
    let strange = named(ClientTls::trusts(other.pem()).unwrap());
    let elsewhere = ClientTls::trusts(authority.pem()).unwrap().server_name("cattery.example.org").unwrap();
    for tls in [strange, elsewhere] {
        let error = dialling(&tcp, tls).await.unwrap_err();
        assert_eq!(error.kind, TransportErrorKind::Disconnected);
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    drop(agent);
}

#[tokio::test]
async fn who_does_not_talk_tls_is_not_waited_for() {
    let authority = Authority::new();
    let (tcp, agent) = listening(authority.mutual("kennel.example.org")).await;
    let at = tcp.local_addr().unwrap();
    let mut plain = TcpStream::connect(at).await.unwrap();
    plain.write_all(b"{\"version\":\"2.0\"}\n").await.unwrap();
    let silent = TcpStream::connect(at).await.unwrap();
    let counters = until(&tcp, "both are gone", |counters| counters.not_greeted == 2 && counters.greeting == 0).await;
    assert_eq!((counters.links, counters.opened), (0, 0));
    drop((silent, agent));
}

#[tokio::test]
async fn connections_that_do_not_shake_hands_make_room() {
    let authority = Authority::new();
    let options = quick().connect_timeout(Duration::from_secs(3600)).max_links(4);
    let tcp = Tcp::listen("127.0.0.1:0").options(options).tls(authority.mutual("kennel.example.org")).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(tcp.local_addr().unwrap()).await.unwrap());
    }
    until(&tcp, "they are waited for", |counters| counters.greeting == 4).await;
    let ann = dialling(&tcp, authority.dialling("ann", "kennel.example.org")).await.unwrap();
    until(&tcp, "whoever shakes hands is let in", |counters| counters.links == 1).await;
    assert_eq!((tcp.counters().silent, tcp.counters().refused), (1, 0));
    // Who has shaken hands and said nothing is as old as the others, and younger than they.
    silent.push(TcpStream::connect(tcp.local_addr().unwrap()).await.unwrap());
    until(&tcp, "another one makes room", |counters| counters.silent == 2 && counters.greeting == 3).await;
    assert_eq!(tcp.counters().links, 1);
    drop((ann, silent));
}

#[tokio::test]
async fn a_certificate_is_renewed_under_links_that_are_up() {
    let (before, after) = (Authority::new(), Authority::new());
    let first = before.vouch(&["kennel.example.org"]);
    let server = ServerTls::new(first.chain, first.key).unwrap();
    let (tcp, _agent) = listening(server.clone()).await;
    let trusting = |authority: &Authority| ClientTls::trusts(authority.pem()).unwrap().server_name("kennel.example.org").unwrap();
    let old = dialling(&tcp, trusting(&before)).await.unwrap();
    let endpoint = Endpoint::builder("old").bind(Native::new(), old.clone(), Trust::insecure()).start().await.unwrap();
    let probe: ProbeClient = endpoint.client("agent");
    assert_eq!(probe.echo("before").await.unwrap(), "before");
    server.renew("no certificate", "no key").unwrap_err();
    let second = after.vouch(&["kennel.example.org"]);
    server.renew(second.chain, second.key).unwrap();
    assert_eq!(probe.echo("after").await.unwrap(), "after");
    assert_eq!(old.counters().opened, 1, "by the same link");
    dialling(&tcp, trusting(&before)).await.unwrap_err();
    let new = dialling(&tcp, trusting(&after)).await.unwrap();
    assert_eq!(asks_who("new", new).await.unwrap(), "anonymous", "no certificate was demanded");
}

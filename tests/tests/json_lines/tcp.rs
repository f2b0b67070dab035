//! The provisioning agent's protocol over TCP: raw sockets against our ends, and our ends against each other.

use std::time::Duration;

use rmi_core::{
    CallError, Endpoint, Update,
    protocol::{JsonLines, json_lines::Profile},
    transport::{
        LinkChange, Transport,
        tcp::{Options, Tcp},
    },
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{
    peer::{self, Line, Peer, Real},
    provisioning::{AgentClient, ServerClient, StandbyClient, Teeth},
    vectors,
};

const QUICK: Duration = Duration::from_millis(10);

fn options() -> Options {
    Options::default().max_line(JsonLines::LONGEST_LINE).pauses(QUICK, QUICK)
}

/// A socket, by hand.
#[derive(Debug)]
struct Socket(BufReader<TcpStream>);

impl Socket {
    async fn dial(listener: &Tcp) -> Self {
        Socket(BufReader::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap()))
    }

    async fn accept(listener: &TcpListener) -> Self {
        Socket(BufReader::new(listener.accept().await.unwrap().0))
    }
}

impl Line for Socket {
    async fn send(&mut self, line: &[u8]) {
        // Whoever has closed the link does not read it.
        let _ = self.0.write_all(&[line, b"\n"].concat()).await;
    }

    async fn send_part(&mut self, part: &[u8]) {
        self.0.write_all(part).await.unwrap();
        self.0.flush().await.unwrap();
    }

    async fn recv(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line).await {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
            // Whoever closes before it has read everything resets.
            Err(_) => None,
        }
    }
}

fn teeth() -> JsonLines {
    JsonLines::agent("a:b:c:d").agent_version("0.1-dev")
}

/// Our agent, whose server is a socket.
async fn real_agent(protocol: JsonLines) -> (Real<Socket>, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tcp, link) = tokio::join!(async { Tcp::connect(address).options(options()).await.unwrap() }, Socket::accept(&listener));
    let teeth = Teeth::default();
    (Real { endpoint: peer::agent(protocol, tcp, &teeth).await, link, teeth }, listener)
}

/// Our server, whose agent is a socket.
async fn real_server(protocol: JsonLines) -> Real<Socket> {
    let (tcp, teeth) = (Tcp::listen("127.0.0.1:0").options(options()).await.unwrap(), Teeth::default());
    let endpoint = peer::server(protocol, tcp.clone(), &teeth).await;
    Real { link: Socket::dial(&tcp).await, endpoint, teeth }
}

#[tokio::test]
async fn sockets_hear_what_the_original_said() {
    for case in vectors::playable("agent") {
        vectors::play(&mut real_agent(teeth()).await.0, &case).await;
    }
    for case in vectors::playable("endpoint") {
        vectors::play(&mut real_server(JsonLines::server()).await, &case).await;
    }
}

/// The case `line-too-long`: one byte more than the longest line closes the connection without a word.
#[tokio::test]
async fn a_line_that_is_too_long_closes_the_connection() {
    let case = vectors::cases().into_iter().find(|case| case["case"] == "line-too-long").unwrap();
    vectors::play(&mut real_agent(teeth()).await.0, &case).await;
}

/// The case `two-endpoints`: the original failed to serve the second one.
#[tokio::test]
async fn an_agent_serves_two_servers() {
    let listeners = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let mut builder = Endpoint::builder("agent");
    for listener in &listeners {
        let tcp = Tcp::connect(listener.local_addr().unwrap().to_string()).options(options()).await.unwrap();
        builder = builder.bind(teeth(), tcp, rmi_core::Trust::insecure());
    }
    let _agent = builder.start().await.unwrap();
    for listener in &listeners {
        let first = Socket::accept(listener).await.recv().await.unwrap();
        assert!(first.contains(r#""method":"handshake""#), "{first}");
    }
}

async fn hear(peer: &mut impl Peer) -> Value {
    serde_json::from_str(&peer.hear().await.expect("the link is up")).unwrap()
}

#[tokio::test]
async fn an_agent_comes_back_and_an_old_id_is_a_new_command() {
    let (mut agent, listener) = real_agent(teeth()).await;
    let prepare = json!({
        "id": 1, "version": "v1", "method": "standby.prepare_image", "params": { "task_id": "t1", "image_id": "i1" },
    });
    for _ in 0..3 {
        assert_eq!(hear(&mut agent).await["method"], "handshake");
        agent.say(prepare.to_string().as_bytes()).await;
        // Neither the id nor the task is taken on the new link, whatever still runs from the old one.
        assert_eq!(hear(&mut agent).await["method"], "task_status");
        agent.link.0.shutdown().await.unwrap();
        agent.link = Socket::accept(&listener).await;
    }
    assert_eq!(agent.endpoint.running(), 3);
}

async fn until_reached(server: &Endpoint, name: &str) {
    while let Err(error) = server.client::<AgentClient>(name).status().await {
        assert!(matches!(error, CallError::NoAgent(_) | CallError::ReplyLost | CallError::Transport(_)), "{error:?}");
        tokio::time::sleep(QUICK).await;
    }
}

#[tokio::test]
async fn our_ends_speak_with_each_other_and_find_each_other_again() {
    for profile in [Profile::Deployed, Profile::Documented] {
        let teeth = Teeth::default();
        let listener = Tcp::listen("127.0.0.1:0").options(options()).await.unwrap();
        let server = peer::server(JsonLines::server().profile(profile), listener.clone(), &teeth).await;
        let dialler = Tcp::connect(listener.local_addr().unwrap().to_string()).options(options()).await.unwrap();
        let lines = JsonLines::agent("rex").profile(profile).handshake(true);
        let agent = peer::agent(lines, dialler, &teeth).await;
        let mut links = listener.links();
        for round in 1..=3 {
            until_reached(&server, "rex").await;
            assert_eq!(server.linked(), ["rex"]);
            let mut call = server.client::<StandbyClient>("rex").prepare_image("i1".into()).send().await.unwrap();
            let step = loop {
                match call.next().await.unwrap().unwrap() {
                    Update::Progress(step) => break step,
                    Update::Accepted | Update::Started => {}
                    Update::Done(()) => panic!("it goes on"),
                }
            };
            assert_eq!((step.completed, step.total, step.details.disk.as_str()), (1, 4, "sda"));
            teeth.gate.add_permits(1);
            call.await.unwrap();
            agent.client::<ServerClient>("server").log(peer::entry()).notify().await.unwrap();
            while teeth.logged.lock().unwrap().len() < round {
                tokio::time::sleep(QUICK).await;
            }
            let link = loop {
                if let Some(LinkChange::Up(link)) = links.next().await {
                    break link;
                }
            };
            listener.disconnect(link.id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_call_to_somebody_else_than_the_server_is_no_agent_at_once() {
    let (agent, _listener) = real_agent(teeth()).await;
    let nobody = agent.endpoint.client::<ServerClient>("elsewhere").log(peer::entry()).notify().await.unwrap_err();
    assert!(matches!(nobody, CallError::NoAgent(_)), "{nobody:?}");
}

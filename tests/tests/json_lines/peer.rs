//! The other end of a link, played by hand: what the vectors are tried against.

use std::time::Duration;

use rmi_core::{Address, Endpoint, Trust, protocol::JsonLines};
use rmi_tests::wires::{Dialler, Listener, Raw};
use serde_json::json;

use crate::{
    desk::Desk,
    provisioning::{AgentServer, ServerClient, ServerServer, StandbyServer, Teeth},
};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// An end under test, from the other end.
pub(crate) trait Peer {
    /// Says a line.
    fn say(&mut self, line: &[u8]) -> impl Future<Output = ()>;
    /// Says a part of a line.
    fn say_part(&mut self, part: &[u8]) -> impl Future<Output = ()>;
    /// The next line; `None` when the link is closed.
    fn hear(&mut self) -> impl Future<Output = Option<String>>;
    /// Lets one task that goes on come to its end.
    fn let_go(&mut self) -> impl Future<Output = ()>;
    /// Has the agent say something in its server's log.
    fn log(&mut self) -> impl Future<Output = ()>;
}

impl Peer for Desk {
    async fn say(&mut self, line: &[u8]) {
        let begun = std::mem::take(&mut self.begun);
        self.receive(&[&begun, line].concat());
    }

    async fn say_part(&mut self, part: &[u8]) {
        self.begun.extend(part);
    }

    async fn hear(&mut self) -> Option<String> {
        let line = self.sent.pop_front();
        assert!(line.is_some() || self.closed.is_some(), "nothing was said, and the link is up");
        line
    }

    async fn let_go(&mut self) {
        let request = self.running.remove(0);
        self.conclude(&request, rmi_core::message::Outcome::Result(json!(null).into()));
    }

    async fn log(&mut self) {
        let args = rmi_core::message::Arguments { positional: json!([entry()]).into(), ..rmi_core::message::Arguments::NONE };
        let mut head = rmi_core::message::Head::to("server");
        head.sn = rmi_core::message::Sn::new("00000000-0000-0000-0000-00000000ffff");
        let request = rmi_core::message::Request {
            class: "server".into(),
            method: "log".into(),
            version: None,
            cntr: None,
            args,
            wants: None,
            group: None,
            contract: None,
        };
        self.send(&rmi_core::message::Message { head, body: rmi_core::message::Body::Request(request) });
    }
}

/// What the original had to say.
pub(crate) fn entry() -> serde_json::Value {
    json!({ "message": "hello", "foo": 1, "time": 1795220676.265416 })
}

/// An endpoint, and a link to it.
#[derive(Debug)]
pub(crate) struct Real<L> {
    pub(crate) link: L,
    pub(crate) endpoint: Endpoint,
    pub(crate) teeth: Teeth,
}

/// A link inside the process, which carries whole lines.
#[derive(Debug)]
pub(crate) struct Wired {
    raw: Raw,
    begun: Vec<u8>,
}

impl From<Raw> for Wired {
    fn from(raw: Raw) -> Self {
        Wired { raw, begun: Vec::new() }
    }
}

/// A link by hand.
pub(crate) trait Line {
    fn send(&mut self, line: &[u8]) -> impl Future<Output = ()>;
    fn send_part(&mut self, part: &[u8]) -> impl Future<Output = ()>;
    fn recv(&mut self) -> impl Future<Output = Option<String>>;
}

impl Line for Wired {
    async fn send(&mut self, line: &[u8]) {
        let begun = std::mem::take(&mut self.begun);
        self.raw.send_bytes(&[&begun, line].concat()).await;
    }

    async fn send_part(&mut self, part: &[u8]) {
        self.begun.extend(part);
    }

    async fn recv(&mut self) -> Option<String> {
        self.raw.recv().await
    }
}

impl<L: Line> Peer for Real<L> {
    async fn say(&mut self, line: &[u8]) {
        self.link.send(line).await;
    }

    async fn say_part(&mut self, part: &[u8]) {
        self.link.send_part(part).await;
    }

    async fn hear(&mut self) -> Option<String> {
        tokio::time::timeout(PATIENCE, self.link.recv()).await.expect("something is said, or the link closed")
    }

    async fn let_go(&mut self) {
        self.teeth.gate.add_permits(1);
    }

    async fn log(&mut self) {
        self.endpoint.client::<ServerClient>("server").log(entry()).notify().await.unwrap();
    }
}

/// The agent of 2013 as an endpoint.
pub(crate) async fn agent(protocol: JsonLines, transport: impl rmi_core::transport::Transport, teeth: &Teeth) -> Endpoint {
    Endpoint::builder(Address::from("agent"))
        .bind(protocol, transport, Trust::insecure())
        .serve(AgentServer::new(teeth.clone()))
        .serve(StandbyServer::new(teeth.clone()))
        .start()
        .await
        .unwrap()
}

/// Its server as an endpoint.
pub(crate) async fn server(protocol: JsonLines, transport: impl rmi_core::transport::Transport, teeth: &Teeth) -> Endpoint {
    let server = ServerServer::new(teeth.clone());
    Endpoint::builder("server").bind(protocol, transport, Trust::insecure()).serve(server).start().await.unwrap()
}

/// An agent whose server is played by hand, on links inside the process.
pub(crate) async fn wired_agent(protocol: JsonLines) -> Real<Wired> {
    let (dialler, mut accepting) = Dialler::by_hand();
    let teeth = Teeth::default();
    let link = accepting.recv().await.unwrap().into();
    Real { endpoint: agent(protocol, dialler, &teeth).await, link, teeth }
}

/// A server whose agent is played by hand, on links inside the process.
pub(crate) async fn wired_server(protocol: JsonLines) -> Real<Wired> {
    let (listener, teeth) = (Listener::new(), Teeth::default());
    let endpoint = server(protocol, listener.clone(), &teeth).await;
    Real { link: listener.dial_raw().into(), endpoint, teeth }
}

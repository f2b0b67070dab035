//! Endpoints and peers that are played by hand, over TCP.

use std::{net::SocketAddr, time::Duration};

use rmi_core::{
    Endpoint, Native, Trust,
    endpoint::Builder,
    transport::{
        LinkChange, LinkId, Transport,
        tcp::{Counters, Options, Tcp},
    },
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::{
    probe::{ProbeClient, ProbeServer, Watch},
    soon::soon,
};

/// Links that are lost are back before anybody notices.
#[must_use]
pub fn quick() -> Options {
    Options::default().pauses(Duration::from_millis(2), Duration::from_millis(10))
}

/// An endpoint that listens, and serves a probe.
#[derive(Debug)]
pub struct Listening {
    /// Its transport.
    pub tcp: Tcp,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Its probe.
    pub watch: Watch,
}

impl Listening {
    /// One that demands no signatures.
    ///
    /// # Panics
    ///
    /// It cannot be started.
    pub async fn start(name: &'static str, options: Options) -> Self {
        Listening::with(options, |tcp| Endpoint::builder(name).bind(Native::new(), tcp, Trust::insecure())).await
    }

    /// One that is bound in its own way.
    ///
    /// # Panics
    ///
    /// It cannot be started.
    pub async fn with(options: Options, bind: impl FnOnce(Tcp) -> Builder) -> Self {
        let tcp = Tcp::listen("127.0.0.1:0").options(options).await.expect("a port is free");
        let (probing, watch) = Watch::new();
        let endpoint = bind(tcp.clone()).serve(ProbeServer::new(probing)).start().await.expect("it starts");
        Listening { tcp, endpoint, watch }
    }

    /// Where it listens.
    ///
    /// # Panics
    ///
    /// It does not.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.tcp.local_addr().expect("it listens")
    }

    /// Dials it.
    ///
    /// # Panics
    ///
    /// It does not answer.
    pub async fn dial(&self) -> Tcp {
        Tcp::connect(self.at().to_string()).options(quick()).await.expect("it answers")
    }

    /// An endpoint that dials it, and serves nothing.
    ///
    /// # Panics
    ///
    /// It cannot be started.
    pub async fn caller(&self, name: &'static str) -> Endpoint {
        let builder = Endpoint::builder(name).bind(Native::new(), self.dial().await, Trust::insecure());
        builder.start().await.expect("it starts")
    }

    /// A peer that is played by hand.
    pub async fn raw(&self) -> Raw {
        Raw::dial(self.at()).await
    }

    /// Whether it still does what it is asked by others.
    ///
    /// # Panics
    ///
    /// It does not.
    pub async fn serves(&self) {
        let caller = self.caller("another").await;
        let probe: ProbeClient = caller.client("agent");
        assert_eq!(soon("it answers others", probe.echo("there?").into_future()).await.expect("it answers"), "there?");
    }

    /// Waits until something has been counted.
    pub async fn until(&self, what: &str, counted: impl Fn(&Counters) -> bool) -> Counters {
        until(&self.tcp, what, counted).await
    }
}

/// Waits until something has been counted.
pub async fn until(tcp: &Tcp, what: &str, counted: impl Fn(&Counters) -> bool) -> Counters {
    soon(what, async {
        loop {
            let counters = tcp.counters();
            if counted(&counters) {
                return counters;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
}

/// The link that is up.
///
/// # Panics
///
/// The transport has ended.
pub async fn link(tcp: &Tcp) -> LinkId {
    let mut links = tcp.links();
    loop {
        match soon("a link is up", links.next()).await.expect("it is not closed") {
            LinkChange::Up(link) => return link.id,
            LinkChange::Down(..) | LinkChange::Blocked(..) | LinkChange::Unblocked(_) => {}
        }
    }
}

/// Waits for another link than this one.
pub async fn another_link(tcp: &Tcp, than: LinkId) -> LinkId {
    soon("another link is up", async {
        loop {
            if let Some(LinkChange::Up(link)) = tcp.links().next().await
                && link.id != than
            {
                return link.id;
            }
        }
    })
    .await
}

/// A peer that is played by hand.
#[derive(Debug)]
pub struct Raw {
    stream: BufReader<TcpStream>,
}

impl Raw {
    /// Dials.
    ///
    /// # Panics
    ///
    /// Nobody answers.
    pub async fn dial(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).await.expect("it answers");
        stream.set_nodelay(true).expect("it can be");
        Raw { stream: BufReader::new(stream) }
    }

    /// Sends bytes. Says whether the peer still takes them.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.get_mut().write_all(bytes.as_ref()).await.is_ok()
    }

    /// Sends an object as a line.
    pub async fn say(&mut self, value: &Value) -> bool {
        self.send(format!("{value}\n")).await
    }

    /// The next line; `None` when the peer has closed the link.
    ///
    /// # Panics
    ///
    /// It is no JSON.
    pub async fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        match soon("a line comes, or the end", self.stream.read_line(&mut line)).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(serde_json::from_str(&line).expect("JSON")),
        }
    }

    /// Waits until the peer has closed the link.
    pub async fn is_closed(&mut self) {
        let mut rest = Vec::new();
        let _ = soon("the peer closes the link", self.stream.read_to_end(&mut rest)).await;
    }

    /// Everything that still comes, until the peer closes the link in an orderly way.
    ///
    /// # Errors
    ///
    /// It was ended otherwise.
    pub async fn rest(&mut self) -> std::io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await?;
        Ok(rest)
    }

    /// Ends the connection with a reset.
    ///
    /// # Panics
    ///
    /// It cannot.
    pub fn reset(self) {
        self.stream.get_ref().set_zero_linger().expect("it can be set");
    }
}

/// A request as a peer writes it by hand.
#[must_use]
pub fn request(from: &str, to: &str, sn: &str, method: &str, args: &Value) -> Value {
    json!({
        "version": "2.0", "sn": sn, "routing": [from, to], "replyto": from,
        "request": { "classname": "probe", "method": method, "cntr": null, "args": args, "kws": {} },
        "rmi": { "statuses": [] },
    })
}

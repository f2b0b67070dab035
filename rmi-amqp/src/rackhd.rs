//! RackHD's AMQP conventions as a dialect: the method is the routing key, the body is bare JSON, its type travels beside it, and each
//! call has a reply queue of its own.
//!
//! `docs/rackhd.md` in the repository says what is on the wire, and what is different from a RackHD peer.
//!
//! ```
//! use rmi_amqp::rackhd::{Form, Profile, RackHd, Route};
//! use rmi_core::{Client, Endpoint, Memory, Trust, remote};
//! # use std::net::Ipv4Addr;
//!
//! #[remote(name = "dhcp", rename_all = "camelCase")]
//! trait Dhcp {
//!     #[remote(timeout = "1s")]
//!     async fn lookup_ip_lease(&self, ip: Ipv4Addr) -> Result<Option<String>, std::convert::Infallible>;
//! }
//!
//! # struct Leases;
//! # impl Dhcp for Leases {
//! #     async fn lookup_ip_lease(&self, ip: Ipv4Addr) -> Result<Option<String>, std::convert::Infallible> {
//! #         Ok((ip.octets()[3] == 2).then(|| "08:00:27:52:d2:a4".to_owned()))
//! #     }
//! # }
//! const ROUTES: &[Route] =
//!     &[Route::new("dhcp", "lookupIpLease").request(Form::Value("IpAddress")).reply(Form::Value("MacAddress"))];
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let bus = Memory::new();
//! let dialect = RackHd::on().contract(DhcpClient::CONTRACT).routes(ROUTES);
//! let server = Endpoint::builder("dhcp-1").bind(dialect.clone(), bus.clone(), Trust::insecure());
//! let server = server.serve(DhcpServer::new(Leases)).start().await?;
//!
//! let caller = Endpoint::builder("http-1").bind(dialect, bus, Trust::insecure()).start().await?;
//! let dhcp: DhcpClient = caller.client("dhcp");
//! assert_eq!(dhcp.lookup_ip_lease("10.1.1.2".parse()?).await?.as_deref(), Some("08:00:27:52:d2:a4"));
//! assert_eq!(dhcp.lookup_ip_lease("10.1.1.3".parse()?).await?, None);
//! # Ok(()) }
//! ```

mod body;
mod decode;
mod encode;
mod error_event;
mod key;
mod kind;
mod profile;
mod route;
mod silence;
mod table;
mod token;

use std::{sync::Arc, time::Duration};

use rmi_core::{
    contract::Contract,
    message::{Body, Message, Outcome},
    protocol::{Features, Protocol, ProtocolError, Refused, Replies, Role, Serials},
    text::Text,
    transport::{Delivery, Frame, Purpose, Sharing, Source, Subscription, WhenFull},
};

use self::table::Table;
pub use self::{
    error_event::ErrorEvent,
    profile::{Profile, ReplyTypes},
    route::{EventRoute, Form, Route},
    silence::Silence,
};
use crate::{Exchange, Options};

/// RackHD's AMQP conventions: a dialect without envelope, signatures and serial numbers.
///
/// What it has no words for is left out: statuses, cancelling, the caller's own data. A call gets the first reply that comes: every
/// instance of a service gets every request. That a request was rejected reads as an exception, because another instance may have
/// run it.
#[derive(Clone, Debug, Default)]
pub struct RackHd {
    profile: Profile,
    table: Arc<Table>,
}

/// How long RackHD waits for a reply.
const TIMEOUT: Duration = Duration::from_millis(1000);

impl RackHd {
    /// In the words of a profile.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        RackHd { profile, table: Arc::default() }
    }

    /// As the last release: see [`Profile::on`].
    #[must_use]
    pub fn on() -> Self {
        Self::new(Profile::on())
    }

    /// As the conventions were first written down: see [`Profile::legacy`].
    #[must_use]
    pub fn legacy() -> Self {
        Self::new(Profile::legacy())
    }

    fn with(mut self, change: impl FnOnce(&mut Table)) -> Self {
        change(Arc::make_mut(&mut self.table));
        self
    }

    /// Where these methods are, and what their bodies look like. Of two routes of one method the later is written, and both are read.
    #[must_use]
    pub fn routes(self, routes: &[Route]) -> Self {
        self.with(|table| table.add_routes(routes))
    }

    /// Where these events are. Of two routes that say equally much of a key the later counts.
    #[must_use]
    pub fn events(self, routes: &[EventRoute]) -> Self {
        self.with(|table| table.add_events(routes))
    }

    /// Further exchanges by their plain names, of which no route says anything: they are among its [exchanges](Self::exchanges), and declared
    /// as those are when somebody uses them.
    #[must_use]
    pub fn knows(self, exchanges: &[&'static str]) -> Self {
        self.with(|table| table.add_exchanges(exchanges))
    }

    /// The names of a contract's parameters and errors, which are not on the wire: for calls that are made without it, for methods
    /// that have parameters in their key and one in their body, and for errors that are classes of another language.
    #[must_use]
    pub fn contract(self, contract: &'static Contract) -> Self {
        self.with(|table| table.add_contract(contract))
    }

    /// Listens only for requests whose key has this word in the place of a parameter. Where one of many answers, as for a node, the
    /// others have to be silent: the first reply counts, whoever says it. Where no key of the class has such a parameter, or the word is
    /// none, nothing of the class is listened for, and that is logged as an error.
    ///
    /// ```
    /// # use rmi_amqp::rackhd::{RackHd, Route};
    /// const ROUTES: &[Route] = &[Route::new("task", "requestProfile").key("methods.requestProfile.{nodeId}")];
    /// // Requests to `methods.requestProfile.507f191e810c19729de860ea`, and to no other node's.
    /// let dialect = RackHd::on().routes(ROUTES).only("task", "nodeId", "507f191e810c19729de860ea");
    /// ```
    #[must_use]
    pub fn only(self, class: impl Into<Text>, parameter: impl Into<Text>, word: impl Into<Text>) -> Self {
        self.with(|table| table.narrow(class.into(), parameter.into(), word.into()))
    }

    /// The profile that it was made with.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The exchanges that messages of the routes, events and contracts go by, and [further ones](Self::knows), as the profile declares them.
    #[must_use]
    pub fn exchanges(&self) -> Vec<(Text, Exchange)> {
        let Profile { durable, auto_delete, passive, .. } = self.profile;
        let exchange = Exchange::topic().durable(durable).auto_delete(auto_delete);
        let exchange = if passive { exchange.passive() } else { exchange };
        let plain = self.table.exchanges().into_iter();
        plain.map(|plain| (self.profile.exchange(plain), exchange.clone())).collect()
    }

    /// The options of a connection on which this dialect is spoken: the same, with its [exchanges](Self::exchanges).
    ///
    /// ```no_run
    /// # use rmi_amqp::{Amqp, Options, rackhd::RackHd};
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let dialect = RackHd::on();
    /// let amqp = Amqp::connect("amqp://localhost").options(dialect.options(Options::default())).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn options(&self, options: Options) -> Options {
        self.exchanges().into_iter().fold(options, |options, (name, exchange)| options.exchange(name, exchange))
    }

    fn topics(&self, all: Vec<(String, Vec<Text>)>, purpose: Purpose) -> impl Iterator<Item = Subscription> {
        all.into_iter().map(move |(exchange, patterns)| {
            let source = Source::Topic { exchange: self.profile.exchange(&exchange), patterns };
            Subscription::new(source, purpose).sharing(Sharing::Broadcast)
        })
    }
}

impl Protocol for RackHd {
    fn name(&self) -> &'static str {
        "rackhd"
    }

    fn features(&self) -> Features {
        let mut features = Features::default();
        features.serials = Serials::None;
        features.replies = Replies::PerCall;
        features.events = true;
        features.lossy = true;
        features.timeout = Some(TIMEOUT);
        features
    }

    fn listen(&self, role: &Role<'_>) -> Vec<Subscription> {
        match role {
            // Acknowledged, although RackHD's are not: that bounds how many of them are here at a time.
            Role::Agent { contracts, prefetch, .. } => {
                self.topics(self.table.served(contracts), Purpose::Requests).map(|s| s.prefetch(*prefetch)).collect()
            }
            Role::Call { address, .. } => {
                let source = Source::Address((*address).clone());
                vec![Subscription::new(source, Purpose::Replies).sharing(Sharing::Exclusive).acknowledged(false)]
            }
            Role::Replies { address } => {
                let source = Source::Address((*address).clone());
                vec![Subscription::new(source, Purpose::Replies).sharing(Sharing::Competing).durable(true)]
            }
            Role::Events { patterns, pool, acknowledged, prefetch } => {
                let events = self.topics(self.table.subscribed(patterns), Purpose::Events).map(|events| {
                    let events = events.acknowledged(*acknowledged).prefetch(*prefetch).when_full(WhenFull::DropOldest);
                    match pool {
                        Some(pool) => events.sharing(Sharing::Competing).group((*pool).clone()),
                        None => events,
                    }
                });
                events.collect()
            }
            _ => Vec::new(),
        }
    }

    fn encode(&self, message: &Message) -> Result<Option<Frame>, ProtocolError> {
        match &message.body {
            Body::Request(request) => self.write_request(&message.head, request).map(Some),
            // Every instance gets every request, and the first reply counts: who cannot take it now leaves it to the others.
            Body::Outcome(Outcome::Rejected(rejection)) if rejection.code.is_transient() => Ok(None),
            Body::Outcome(outcome) => self.write_outcome(&message.head, outcome).map(Some),
            Body::Event(event) => self.write_event(&message.head, event).map(Some),
            Body::Status(_) => Ok(None),
        }
    }

    fn decode(&self, delivery: &Delivery) -> Result<Message, Refused> {
        self.read(delivery)
    }
}

//! The provisioning agent's protocol: one JSON object a line, commands in both directions on one connection.
//!
//! Agents dial their server, say who they are in a `handshake`, and answer its commands; both may `ping`. Long commands have a
//! `task_id`, under which the agent says with `task_status` how far they are. Every line and every deviation is written down in
//! `docs/teeth.md`.
//!
//! ```
//! use rmi_core::protocol::{JsonLines, json_lines::{Command, Profile}};
//!
//! // What the agent that was deployed said on the wire, and how it was documented.
//! let deployed = JsonLines::agent("52:54:00:12:34:56");
//! let documented = JsonLines::agent("52:54:00:12:34:56").profile(Profile::Documented);
//!
//! // The commands of the provisioning agent are known. Others are a line for each class, or for each method.
//! let server = JsonLines::server()
//!     .tasks("Firmware", "firmware")
//!     .command(Command::new("Rack", "beacon", "rack.beacon"));
//! ```

mod commands;
mod decode;
mod encode;
mod failure;
mod id;
mod line;
mod session;
mod task;
mod token;

use std::{sync::Arc, time::Duration};

pub use self::commands::Command;
use self::{commands::Commands, session::Conversation};
use crate::{
    message::Message,
    protocol::{Features, Protocol, ProtocolError, Refused, Replies, Role, Serials, Session},
    text::Text,
    transport::{Delivery, Frame, Purpose, Source, Subscription},
};

/// The version of every line.
const VERSION: &str = "v1";

/// The provisioning agent's protocol, at one end of its links.
///
/// It has no place for signatures: it is bound with [`Trust::insecure`](crate::Trust::insecure), where a transport may still vouch for
/// its peers. It has no cancelling, no time to live and no constructor arguments.
#[derive(Clone, Debug)]
pub struct JsonLines {
    settings: Arc<Settings>,
}

/// In which words the protocol is spoken. Both are always read; which one is spoken also decides what `result` means for a command
/// that has a `task_id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// As the agent of 2013 was deployed: a handshake, `standby.*`, errors that are strings, and a `result` that is the end of its
    /// command.
    #[default]
    Deployed,
    /// As it was documented: no handshake unless it is [asked for](JsonLines::handshake), `standbye.*`, errors that are
    /// objects with a `msg`, and a `result` that says that a task was accepted: its end is in a `task_status`.
    Documented,
}

/// At which end of a link.
#[derive(Clone, Debug)]
enum Seat {
    /// The end that is dialled.
    Server,
    /// The end that dials.
    Agent {
        /// What it says it is.
        id: Text,
        /// The version that it says it has.
        version: Text,
        /// What the server is called here.
        server: Text,
    },
}

/// What an end is told when it is made.
#[derive(Clone, Debug)]
struct Settings {
    seat: Seat,
    profile: Profile,
    /// Whether to shake hands; as the profile does unless it is set.
    handshake: Option<bool>,
    commands: Commands,
    ping: Duration,
    silence: Duration,
}

impl Settings {
    fn is_server(&self) -> bool {
        matches!(self.seat, Seat::Server)
    }

    /// Whether a task's `result` says only that it was accepted.
    fn is_documented(&self) -> bool {
        self.profile == Profile::Documented
    }

    fn shakes_hands(&self) -> bool {
        self.handshake.unwrap_or(!self.is_documented())
    }
}

impl JsonLines {
    /// The longest line that the agent of 2013 takes, in bytes without its end: what to tell the transport.
    pub const LONGEST_LINE: usize = 512 << 10;

    fn new(seat: Seat) -> Self {
        let silence = Duration::from_secs(60);
        let commands = Commands::provisioning();
        let profile = Profile::default();
        JsonLines { settings: Arc::new(Settings { seat, profile, handshake: None, commands, ping: silence / 3, silence }) }
    }

    /// The end that dials, under an id of its own (the original's are MAC addresses). Its server is called `server` unless it is
    /// [called something else](Self::peer_name).
    #[must_use]
    pub fn agent(id: impl Into<Text>) -> Self {
        let version = Text::from_static(env!("CARGO_PKG_VERSION"));
        Self::new(Seat::Agent { id: id.into(), version, server: Text::from_static("server") })
    }

    /// The end that is dialled. It calls its agents by the ids of their handshakes, or by the names that its transport vouches
    /// for. An agent that neither has is called `link.<number>` where no handshake is spoken, and not at all where one is.
    #[must_use]
    pub fn server() -> Self {
        Self::new(Seat::Server)
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// In which words to speak. [`Profile::Deployed`] unless it is set.
    #[must_use]
    pub fn profile(self, profile: Profile) -> Self {
        self.with(|settings| settings.profile = profile)
    }

    /// Whether an agent shakes hands. Its profile decides unless it is set. A server answers every handshake.
    #[must_use]
    pub fn handshake(self, shakes: bool) -> Self {
        self.with(|settings| settings.handshake = Some(shakes))
    }

    /// What an agent calls its server: the address that its calls go to.
    #[must_use]
    pub fn peer_name(self, name: impl Into<Text>) -> Self {
        self.with(|settings| {
            if let Seat::Agent { server, .. } = &mut settings.seat {
                *server = name.into();
            }
        })
    }

    /// The version that an agent names in its handshake: that of this library unless it is set.
    #[must_use]
    pub fn agent_version(self, says: impl Into<Text>) -> Self {
        self.with(|settings| {
            if let Seat::Agent { version, .. } = &mut settings.seat {
                *version = says.into();
            }
        })
    }

    /// Speaks the methods of a class as commands `<prefix>.<method>`; without the prefix and its dot where it is empty. What is added
    /// later is looked up first.
    #[must_use]
    pub fn class(self, class: impl Into<Text>, prefix: impl Into<Text>) -> Self {
        self.with(|settings| settings.commands.class(class.into(), prefix.into(), false))
    }

    /// As [`class`](Self::class), with a `task_id` in every command: the methods may take long and report progress. The task's id is
    /// the call's serial number, or what the peer made it; it is no parameter of any method.
    #[must_use]
    pub fn tasks(self, class: impl Into<Text>, prefix: impl Into<Text>) -> Self {
        self.with(|settings| settings.commands.class(class.into(), prefix.into(), true))
    }

    /// Speaks one method as one command. What is added later is looked up first.
    #[must_use]
    pub fn command(self, command: Command) -> Self {
        self.with(|settings| settings.commands.add(command))
    }

    /// Speaks these methods as these commands: for a table in a constant.
    #[must_use]
    pub fn commands(self, commands: &[Command]) -> Self {
        self.with(|settings| commands.iter().for_each(|command| settings.commands.add(*command)))
    }

    /// Forgets the commands that are known from the start (`status`, `log`, `standby.*` and `decom.*`): for a protocol that has
    /// nothing but what it is told next.
    #[must_use]
    pub fn no_commands(self) -> Self {
        self.with(|settings| settings.commands = Commands::default())
    }

    /// How often an agent pings. A third of the silence (20 s) unless it is set.
    #[must_use]
    pub fn ping_every(self, time: Duration) -> Self {
        self.with(|settings| settings.ping = time)
    }

    /// After how long without a line a link is closed. 60 s unless it is set.
    #[must_use]
    pub fn silence(self, time: Duration) -> Self {
        self.with(|settings| {
            settings.silence = time;
            settings.ping = time / 3;
        })
    }
}

impl Protocol for JsonLines {
    fn name(&self) -> &'static str {
        "provisioning-agent"
    }

    fn features(&self) -> Features {
        Features {
            serials: Serials::PerLink,
            replies: Replies::SameLink,
            replies_last: false,
            statuses: true,
            // A string cannot say that something never ran.
            rejections: self.settings.is_documented(),
            admin: false,
            events: false,
            sealable: false,
            ids: true,
            lossy: false,
            timeout: None,
        }
    }

    fn listen(&self, role: &Role<'_>) -> Vec<Subscription> {
        match role {
            Role::Agent { prefetch, .. } => {
                vec![Subscription::new(Source::Links, Purpose::Everything).acknowledged(false).prefetch(*prefetch)]
            }
            _ => Vec::new(),
        }
    }

    fn encode(&self, message: &Message) -> Result<Option<Frame>, ProtocolError> {
        encode::encode(&self.settings, message)
    }

    fn decode(&self, delivery: &Delivery) -> Result<Message, Refused> {
        decode::decode(&self.settings, delivery)
    }

    fn session(&self, role: &Role<'_>) -> Option<Box<dyn Session>> {
        let contracts = match role {
            Role::Agent { contracts, .. } => contracts.to_vec(),
            _ => Vec::new(),
        };
        Some(Box::new(Conversation::new(Arc::clone(&self.settings), contracts)))
    }
}

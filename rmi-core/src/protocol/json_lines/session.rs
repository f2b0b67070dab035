//! What is said about one link: a handshake, pings, what ends the link, and what only whoever remembers can say about tasks.

mod asked;
mod tasks;

use std::{sync::Arc, time::Instant};

use self::{
    asked::{Asked, For},
    tasks::{Begin, Ended, Tasks},
};
use super::{
    Seat, Settings, VERSION,
    encode::{self, kind},
    failure, id,
    line::{self, Answer, Said, Spare, fatal},
    task,
};
use crate::{
    contract::Contract,
    protocol::{Action, LinkEvent, Moment, Session, within_depth, write::Writer},
    scan::Value,
    text::{Text, shown},
    transport::{Frame, Link},
};

/// The deepest nesting of a line. What is deeper cannot be read here, and its sender is told.
const DEPTH: usize = 64;
/// The longest name that a handshake may give, in bytes.
const LONGEST_NAME: usize = 256;

/// One link's conversation about itself.
#[derive(Debug)]
pub(super) struct Conversation {
    settings: Arc<Settings>,
    contracts: Vec<&'static Contract>,
    /// Who the transport says is at the other end.
    vouched: Option<Text>,
    /// What the other end said it is.
    shaken: Option<Text>,
    heard: Option<Instant>,
    ping_at: Option<Instant>,
    asked: Asked,
    tasks: Tasks,
    /// The last line has been said, or heard.
    over: bool,
}

impl Conversation {
    pub(super) fn new(settings: Arc<Settings>, contracts: Vec<&'static Contract>) -> Self {
        Conversation {
            settings,
            contracts,
            vouched: None,
            shaken: None,
            heard: None,
            ping_at: None,
            asked: Asked::default(),
            tasks: Tasks::default(),
            over: false,
        }
    }

    fn up(&mut self, link: &Link, at: Moment<'_>) -> Vec<Action> {
        self.heard = Some(at.now);
        self.vouched.clone_from(&link.peer);
        match &self.settings.seat {
            Seat::Server => match &link.peer {
                Some(peer) => vec![Action::Identify(peer.clone())],
                None if self.settings.shakes_hands() => Vec::new(),
                None => vec![Action::Identify(Text::from(format!("link.{}", link.id.0)))],
            },
            Seat::Agent { id, version, server } => {
                let (server, shakes) = (Action::Identify(server.clone()), self.settings.shakes_hands());
                if !shakes {
                    return vec![server, self.ping(at)];
                }
                let params = encode::handshake(id, version);
                vec![self.ask("handshake", &params, For::Handshake, at), server]
            }
        }
    }

    /// A command of the session's own.
    fn ask(&mut self, method: &str, params: &str, what: For, at: Moment<'_>) -> Action {
        let id = at.id();
        self.asked.remember(&id, what);
        Action::Send(encode::own_command(&id, method, params))
    }

    fn ping(&mut self, at: Moment<'_>) -> Action {
        // One that is too far away for the clock never comes.
        self.ping_at = at.now.checked_add(self.settings.ping);
        self.ask("ping", "{}", For::Itself, at)
    }

    /// Says why the link ends, and ends it. What comes after that is not looked at.
    fn end(&mut self, why: &'static str) -> Vec<Action> {
        self.over = true;
        vec![Action::Send(encode::fatal(why)), Action::Close(why.into())]
    }

    fn close(&mut self, why: impl Into<Text>) -> Vec<Action> {
        self.over = true;
        vec![Action::Close(why.into())]
    }

    fn received(&mut self, payload: &bytes::Bytes, at: Moment<'_>) -> Vec<Action> {
        if self.over {
            return Vec::new();
        }
        self.heard = Some(at.now);
        if payload.trim_ascii().is_empty() {
            return Vec::new();
        }
        let Ok(text) = Text::from_utf8(payload.clone()) else { return self.end(fatal::UNDECODABLE) };
        if !within_depth(text.as_bytes(), DEPTH) {
            return self.end(fatal::UNDECODABLE);
        }
        let mut spare = Spare::default();
        match line::read(&text, &mut spare) {
            Err(why) => self.end(why),
            Ok((_, Said::Fatal(why))) => {
                let why = line::string(why).map_or_else(|| shown(why.get()), |why| shown(&why));
                self.close(format!("the peer says: {why}"))
            }
            Ok((_, Said::Answer { id, answer })) => self.answered(id, answer, at),
            Ok((_, Said::Command { id, version, method, params })) => {
                if line::string(version).as_deref() != Some(VERSION) {
                    return self.end(fatal::UNKNOWN_VERSION);
                }
                match line::string(method) {
                    Some(method) => self.command(id, &method, params.get(), at),
                    None => self.end(fatal::UNKNOWN_METHOD),
                }
            }
        }
    }

    fn answered(&mut self, id: Value<'_>, answer: Answer<'_>, at: Moment<'_>) -> Vec<Action> {
        let ours = id::ours(id);
        match ours.map(|ours| self.asked.take(ours.serial)) {
            Some(Some(For::Call)) => vec![Action::Pass],
            Some(Some(For::Itself)) => Vec::new(),
            Some(Some(For::Handshake)) => match answer {
                Answer::Result(_) => vec![self.ping(at)],
                Answer::Error(error) => self.close(format!("the server refused the handshake: {}", shown(error.get()))),
            },
            // It may be the answer to a command that was asked too long ago to be remembered.
            Some(None) if self.asked.has_forgotten() => vec![Action::Pass],
            Some(None) | None => self.end(fatal::UNKNOWN_ID),
        }
    }

    fn command(&mut self, id: Value<'_>, method: &str, params: &str, at: Moment<'_>) -> Vec<Action> {
        match method {
            "ping" => vec![Action::Send(encode::result(id, params))],
            "handshake" if self.settings.is_server() => self.handshake(id, params, at),
            task::METHOD if self.settings.is_server() || task::of(params).is_some() => self.task_status(id, params),
            _ => self.routed(id, method, params),
        }
    }

    fn handshake(&mut self, id: Value<'_>, params: &str, at: Moment<'_>) -> Vec<Action> {
        let refuse = |why: &str| vec![Action::Send(encode::error(&self.settings, id, why))];
        let Some(name) = line::member(params, "id") else {
            return refuse(&missing("id", "handshake"));
        };
        let name = line::string(name).filter(|name| !name.is_empty() && name.len() <= LONGEST_NAME);
        let Some(name) = name.filter(|name| !name.chars().any(char::is_control)) else {
            return refuse("\"id\" must be a string of 1 to 256 bytes without control characters");
        };
        if self.vouched.as_ref().is_some_and(|vouched| **vouched != *name) {
            return refuse("\"id\" is not the name that the transport vouches for");
        }
        if self.shaken.as_ref().is_some_and(|shaken| **shaken != *name) {
            return refuse("the handshake has been made, under another \"id\"");
        }
        let name = Text::from(&*name);
        self.shaken = Some(name.clone());
        let mut result = Writer::with_capacity(48);
        result.literal("{\"id\":");
        result.string(&at.id());
        result.literal("}");
        let result = String::from_utf8(result.finish()).unwrap_or_default();
        vec![Action::Identify(name), Action::Send(encode::result(id, &result))]
    }

    fn task_status(&self, id: Value<'_>, params: &str) -> Vec<Action> {
        if line::member(params, "task_id").is_none() {
            let said = missing("task_id", task::METHOD);
            return vec![Action::Send(encode::error(&self.settings, id, &said))];
        }
        let heard = || Action::Send(encode::result(id, "{}"));
        match task::of(params) {
            // Of a call of ours, or of one that there was.
            Some(_) => vec![heard(), Action::Pass],
            None if self.serves(task::METHOD).is_some() => vec![Action::Pass],
            None => vec![heard()],
        }
    }

    fn routed(&mut self, id: Value<'_>, method: &str, params: &str) -> Vec<Action> {
        let Some(is_task) = self.serves(method) else {
            return match method {
                // Nobody here reads the log: that is no reason to lose an agent.
                "log" if self.settings.is_server() => vec![Action::Send(encode::result(id, "{}"))],
                // An error like others, which is found where others are.
                _ if self.settings.is_documented() => vec![Action::Pass],
                _ => self.end(fatal::UNKNOWN_METHOD),
            };
        };
        // One without is refused by its name, where it is decoded.
        let Some(task) = line::member(params, "task_id").filter(|_| is_task) else { return vec![Action::Pass] };
        match self.tasks.begin(id.get(), method, task.get()) {
            Begin::New => vec![Action::Pass],
            Begin::Taken => {
                let name = method.rsplit('.').next().unwrap_or(method);
                let task = line::string(task).map_or_else(|| shown(task.get()), |task| shown(&task));
                let said = format!("cannot have two services with same name '{name}.{task}'");
                vec![Action::Send(encode::error(&self.settings, id, &said))]
            }
            Begin::Full => {
                let said = format!("{} tasks run already: try again when one of them has ended", Tasks::MOST);
                vec![Action::Send(encode::error(&self.settings, id, &said))]
            }
        }
    }

    /// Whether a command is one of those that are served here; whether it has a task.
    fn serves(&self, command: &str) -> Option<bool> {
        let found = self.settings.commands.method(command)?;
        let serves = |contract: &&Contract| contract.name == &*found.class && contract.position(&found.method).is_some();
        // Every endpoint has the class `Admin`, for those who give it a name here.
        let served = found.class == "Admin" || self.contracts.iter().copied().any(|contract| serves(&contract));
        served.then_some(found.task)
    }

    fn sending(&mut self, frame: &mut Frame, at: Moment<'_>) -> Vec<Action> {
        if self.over {
            return vec![Action::Withhold];
        }
        let properties = frame.properties.clone();
        let about = properties.correlation_id.as_deref();
        match (properties.kind.as_deref(), about) {
            (Some(kind::COMMAND), _) => self.remember(frame, For::Call),
            (Some(kind::NOTICE), _) => self.remember(frame, For::Itself),
            (Some(kind::FATAL), _) => self.over = true,
            (Some(kind::ACCEPTED), Some(id)) => self.tasks.accepted(id),
            (Some(kind::RUNNING), Some(id)) => {
                self.remember(frame, For::Itself);
                self.tell_eta(frame, id, at);
            }
            (Some(kind::ENDED), Some(id)) => {
                self.remember(frame, For::Itself);
                // Whoever asks again for what has ended is told so at once: that it was accepted goes without saying, and is said.
                if let Ended::Unanswered = self.tasks.end(id) {
                    return vec![Action::Send(encode::result_of(id, "{}"))];
                }
            }
            (Some(kind::ANSWER), Some(id)) => {
                if let Ended::Accepted(task) = self.tasks.end(id) {
                    self.fail_later(frame, &task, at);
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn remember(&mut self, frame: &Frame, what: For) {
        let id = std::str::from_utf8(&frame.payload).ok().and_then(encode::id_of).and_then(id::ours);
        if let Some(ours) = id {
            self.asked.insert(ours.serial, what);
        }
    }

    /// How long a task will take, if it goes on as it has.
    fn tell_eta(&mut self, frame: &mut Frame, id: &str, at: Moment<'_>) {
        let Ok(text) = Text::from_utf8(frame.payload.clone()) else { return };
        let mut spare = Spare::default();
        let Ok((text, Said::Command { params, .. })) = line::read(&text, &mut spare) else { return };
        let Some((place, percent)) = task::unknown_eta(text, params.get()) else { return };
        if let Some(eta) = self.tasks.eta(id, percent, at.now)
            && let (Some(before), Some(after)) = (text.get(..place), text.get(place + "null".len()..))
        {
            frame.payload = format!("{before}{eta}{after}").into();
        }
    }

    /// A task that was accepted fails in a `task_status`: its command has been answered.
    fn fail_later(&mut self, frame: &mut Frame, task: &str, at: Moment<'_>) {
        let Ok(text) = Text::from_utf8(frame.payload.clone()) else { return };
        let mut spare = Spare::default();
        let Ok((_, Said::Answer { answer: Answer::Error(error), .. })) = line::read(&text, &mut spare) else { return };
        let own = at.id();
        self.asked.remember(&own, For::Itself);
        let mut w = Writer::with_capacity(160);
        task::write_error(&mut w, &own, task, &failure::members_of(error));
        frame.payload = encode::ascii(w.finish()).into();
    }

    fn woken(&mut self, at: Moment<'_>) -> Vec<Action> {
        if self.heard.is_some_and(|heard| at.now.saturating_duration_since(heard) >= self.settings.silence) {
            let silence = self.settings.silence;
            return self.close(format!("nothing was heard for {silence:?}"));
        }
        if self.ping_at.is_some_and(|due| at.now >= due) {
            return vec![self.ping(at)];
        }
        Vec::new()
    }
}

fn missing(name: &str, command: &str) -> String {
    format!("missing parameter \"{name}\" in \"{command}\" command")
}

impl Session for Conversation {
    fn on(&mut self, event: LinkEvent<'_>, at: Moment<'_>) -> Vec<Action> {
        match event {
            LinkEvent::Up(link) => self.up(link, at),
            LinkEvent::Received(delivery) => self.received(&delivery.payload, at),
            LinkEvent::Sending(frame) => self.sending(frame, at),
            LinkEvent::Sent(frame) if frame.properties.kind.as_deref() == Some(kind::FATAL) => {
                self.close("a fatal error was sent")
            }
            LinkEvent::Wake if !self.over => self.woken(at),
            LinkEvent::Sent(_) | LinkEvent::Wake | LinkEvent::Leaving => Vec::new(),
        }
    }

    fn wake(&self) -> Option<Instant> {
        let silence = self.heard?.checked_add(self.settings.silence);
        let next = [silence, self.ping_at].into_iter().flatten().min();
        next.filter(|_| !self.over)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        protocol::{JsonLines, Moment},
        time::SystemClock,
        transport::LinkId,
    };

    #[test]
    fn a_time_beyond_the_clock_never_comes() {
        let end = JsonLines::agent("a:b").silence(Duration::MAX).handshake(false).ping_every(Duration::MAX);
        let mut conversation = Conversation::new(Arc::clone(&end.settings), Vec::new());
        let link = Link { id: LinkId(1), generation: 1, peer: None };
        let now = Instant::now();
        let moment = |now| Moment::new(now, &SystemClock);
        assert_eq!(conversation.on(LinkEvent::Up(&link), moment(now)).len(), 2, "its server, and a first ping");
        assert_eq!(conversation.wake(), None);
        assert!(conversation.on(LinkEvent::Wake, moment(now + Duration::from_secs(1 << 30))).is_empty());
    }
}

//! The dialect without an endpoint: lines in, lines out, by a clock that is set by hand.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use rmi_core::{
    contract::{Contract, Method, Version},
    message::{Body, Head, Message, Outcome, ReplyPath, Status},
    protocol::{Action, JsonLines, LinkEvent, Moment, Protocol, Role, Session},
    text::Text,
    time::Clock,
    transport::{Acker, Delivery, Frame, Link, LinkId, Purpose},
};
use rmi_tests::clock::Counting;

use crate::provisioning;

/// One end of a link.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) protocol: JsonLines,
    session: Box<dyn Session>,
    clock: Counting,
    pub(crate) now: Instant,
    /// The part of a line that has come.
    pub(crate) begun: Vec<u8>,
    /// Lines that went out.
    pub(crate) sent: VecDeque<String>,
    /// What the other end is called.
    pub(crate) peer: Option<String>,
    /// Why the link was closed.
    pub(crate) closed: Option<String>,
    /// What came for the endpoint.
    pub(crate) passed: Vec<Message>,
    /// Requests that go on.
    pub(crate) running: Vec<Message>,
}

impl Desk {
    pub(crate) fn new(protocol: JsonLines, server: bool) -> Self {
        Self::vouched(protocol, server, None)
    }

    /// An end that serves whatever comes as the class `any`, and ends nothing by itself.
    pub(crate) fn open(protocol: JsonLines) -> Self {
        static METHODS: [Method; 3] = [Method::new("run", &[]), Method::new("a.b", &[]), Method::new("_X1", &[])];
        static ANY: Contract = Contract::new("any", Version { major: 1, minor: 0 }, &METHODS);
        Self::serving(protocol, None, vec![&ANY])
    }

    pub(crate) fn vouched(protocol: JsonLines, server: bool, peer: Option<&str>) -> Self {
        Self::serving(protocol, peer, provisioning::contracts(server))
    }

    fn serving(protocol: JsonLines, peer: Option<&str>, contracts: Vec<&'static Contract>) -> Self {
        let address = rmi_core::Address::from("own");
        let session = protocol.session(&Role::Agent { address: &address, contracts: &contracts, prefetch: 64 }).unwrap();
        let mut desk = Desk {
            protocol,
            session,
            clock: Counting::default(),
            now: Instant::now(),
            begun: Vec::new(),
            sent: VecDeque::new(),
            peer: None,
            closed: None,
            passed: Vec::new(),
            running: Vec::new(),
        };
        let link = Link { id: LinkId(7), generation: 1, peer: peer.map(Text::from) };
        let actions = desk.session.on(LinkEvent::Up(&link), Moment::new(desk.now, &desk.clock));
        desk.perform(actions);
        desk
    }

    fn perform(&mut self, actions: Vec<Action>) -> bool {
        let mut passed = false;
        for action in actions {
            match action {
                Action::Pass => passed = true,
                Action::Send(frame) => self.sent.push_back(text(&frame)),
                Action::Identify(name) => self.peer = Some(name.to_string()),
                Action::Close(why) => self.closed = Some(why.to_string()),
                other => panic!("{other:?}"),
            }
        }
        passed
    }

    /// A line came. Requests are answered as the agent answers them.
    pub(crate) fn receive(&mut self, line: &[u8]) {
        let mut delivery = Delivery::new(line.to_vec(), Text::EMPTY, Purpose::Everything, Acker::settled());
        delivery.link = LinkId(7);
        let actions = self.session.on(LinkEvent::Received(&delivery), Moment::new(self.now, &self.clock));
        if !self.perform(actions) {
            return;
        }
        let message = match self.protocol.decode(&delivery) {
            Ok(message) => message,
            Err(refused) => {
                if let (true, Some(head)) = (refused.answer, refused.head) {
                    self.say(*head, Body::Outcome(Outcome::Rejected(*refused.rejection)));
                }
                return;
            }
        };
        match &message.body {
            Body::Request(request) => match provisioning::outcome(request) {
                Some(outcome) => self.conclude(&message, outcome),
                None => self.running.push(message),
            },
            _ => self.passed.push(message),
        }
    }

    pub(crate) fn conclude(&mut self, request: &Message, outcome: Outcome) {
        self.say(request.head.clone(), Body::Outcome(outcome));
    }

    pub(crate) fn status(&mut self, request: &Message, status: Status) {
        self.say(request.head.clone(), Body::Status(status));
    }

    /// Says something about a request.
    fn say(&mut self, head: Head, body: Body) {
        let reply = head.reply.map(|path| ReplyPath { to: path.to, token: path.token });
        let id = Some(Text::from(self.clock.id().to_string()));
        self.send(&Message { head: Head { id, reply, sn: head.sn, ..Head::to(Text::EMPTY) }, body });
    }

    /// Sends a message, if the session lets it.
    pub(crate) fn send(&mut self, message: &Message) {
        let Some(mut frame) = self.protocol.encode(message).unwrap() else { return };
        let actions = self.session.on(LinkEvent::Sending(&mut frame), Moment::new(self.now, &self.clock));
        if actions.iter().any(|action| matches!(action, Action::Withhold)) {
            return;
        }
        self.sent.push_back(text(&frame));
        self.perform(actions);
        let actions = self.session.on(LinkEvent::Sent(&frame), Moment::new(self.now, &self.clock));
        self.perform(actions);
    }

    pub(crate) fn receive_text(&mut self, line: &str) {
        self.receive(line.as_bytes());
    }

    pub(crate) fn wakes_in(&self) -> Option<Duration> {
        self.session.wake().map(|at| at - self.now)
    }

    /// Lets time pass until the session wants to be woken, and wakes it.
    pub(crate) fn wake(&mut self) {
        self.now = self.session.wake().expect("it waits for something");
        let actions = self.session.on(LinkEvent::Wake, Moment::new(self.now, &self.clock));
        self.perform(actions);
    }

    /// Everything that has been said since this was last asked.
    pub(crate) fn said(&mut self) -> Vec<String> {
        self.sent.drain(..).collect()
    }
}

fn text(frame: &Frame) -> String {
    assert!(frame.payload.is_ascii(), "{:?}", frame.payload);
    assert!(!frame.payload.contains(&b'\n'));
    String::from_utf8(frame.payload.to_vec()).unwrap()
}

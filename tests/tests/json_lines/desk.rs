//! The dialect without an endpoint: lines in, lines out, by a clock that is set by hand.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use rmi_core::{
    message::{Body, Head, Message, Outcome, ReplyPath},
    protocol::{Action, JsonLines, LinkEvent, Moment, Protocol, Role, Session},
    text::Text,
    time::{Clock, Timestamp},
    transport::{Acker, Delivery, Frame, Link, LinkId, Purpose},
};

use crate::provisioning;

/// A clock that stands still, and identifiers that count.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Clock for Counting {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn id(&self) -> uuid::Uuid {
        uuid::Uuid::from_u128(self.0.fetch_add(1, Ordering::Relaxed).into())
    }
}

/// One end of a link.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) protocol: JsonLines,
    session: Box<dyn Session>,
    clock: Counting,
    pub(crate) now: Instant,
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

    pub(crate) fn vouched(protocol: JsonLines, server: bool, peer: Option<&str>) -> Self {
        let contracts = provisioning::contracts(server);
        let address = rmi_core::Address::from("own");
        let session = protocol.session(&Role::Agent { address: &address, contracts: &contracts, prefetch: 64 }).unwrap();
        let mut desk = Desk {
            protocol,
            session,
            clock: Counting::default(),
            now: Instant::now(),
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
}

fn text(frame: &Frame) -> String {
    assert!(frame.payload.is_ascii(), "{:?}", frame.payload);
    assert!(!frame.payload.contains(&b'\n'));
    String::from_utf8(frame.payload.to_vec()).unwrap()
}

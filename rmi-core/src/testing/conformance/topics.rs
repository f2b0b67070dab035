use super::{
    Harness, Verdict,
    lane::{Inbox, Lane, soon},
};
use crate::transport::{Destination, Frame, Purpose, Receipt, Sharing, Source, Subscription, WhenFull};

const DENIED: Verdict = Verdict::NotApplicable("it denies `topics`");

struct Topics {
    lane: Lane,
    exchange: &'static str,
}

impl Topics {
    async fn new<H: Harness>(harness: &H) -> Option<Self> {
        let lane = Lane::new(harness).await;
        lane.sender.capabilities().topics.then_some(Topics { lane, exchange: H::EXCHANGE })
    }

    fn subscription(&self, pattern: &str) -> Subscription {
        self.of(&[pattern])
    }

    fn of(&self, patterns: &[&str]) -> Subscription {
        let patterns = patterns.iter().map(|pattern| format!("{}.{pattern}", self.lane.address).into()).collect();
        let source = Source::Topic { exchange: self.exchange.into(), patterns };
        Subscription::new(source, Purpose::Events).acknowledged(self.lane.receiver.capabilities().redelivery)
    }

    async fn publish(&self, key: &str) -> Receipt {
        let key = format!("{}.{key}", self.lane.address);
        let to = Destination::Topic { exchange: self.exchange.into(), key: key.clone().into() };
        let frame = Frame::new(to, key.trim_start_matches(&self.lane.address).trim_start_matches('.').to_owned());
        soon("a publish ends", self.lane.sender.publish(frame)).await.expect("a topic's frame is published")
    }
}

/// `*` is one word, `#` any number of them, and everything else is itself.
pub(super) async fn a_topic_reaches_what_matches_it<H: Harness>(harness: &H) -> Verdict {
    let Some(topics) = Topics::new(harness).await else { return DENIED };
    let keys = ["a", "a.b", "a.b.c", "b", "b.a", "ab", "a.c"];
    let cases: [(&str, &[&str]); 6] = [
        ("a.b", &["a.b"]),
        ("a.*", &["a.b", "a.c"]),
        ("*.b", &["a.b"]),
        ("a.#", &["a", "a.b", "a.b.c", "a.c"]),
        ("*", &["a", "b", "ab"]),
        ("#", &keys),
    ];
    let mut inboxes = Vec::new();
    for (pattern, _) in cases {
        inboxes.push(topics.lane.inbox_with(topics.subscription(pattern)).await);
    }
    for key in keys {
        topics.publish(key).await;
    }
    for (mut inbox, (pattern, expected)) in inboxes.into_iter().zip(cases) {
        assert_eq!(inbox.texts(expected.len()).await, expected, "by the pattern `{pattern}`");
        inbox.nothing(&format!("all that `{pattern}` matches had come")).await;
    }
    Verdict::Held
}

/// Each of several broadcast subscribers gets every frame, with where it came by.
pub(super) async fn broadcast_reaches_everybody<H: Harness>(harness: &H) -> Verdict {
    let Some(topics) = Topics::new(harness).await else { return DENIED };
    let mut inboxes = Vec::new();
    for _ in 0..3 {
        let everybody = topics.subscription("#").sharing(Sharing::Broadcast);
        inboxes.push(Inbox::open(&harness.seat().await, everybody, H::QUIET).await);
    }
    for key in ["x", "y.z"] {
        topics.publish(key).await;
    }
    for inbox in &mut inboxes {
        let first = inbox.next().await;
        assert_eq!(first.exchange.as_str(), H::EXCHANGE, "`exchange` is that of the topic");
        assert_eq!(first.key.as_str(), format!("{}.x", topics.lane.address), "`key` is the key that it was published under");
        assert_eq!(first.purpose, Purpose::Events);
        first.acker.settle(crate::transport::Disposition::Ack);
        assert_eq!(inbox.text().await, "y.z");
        inbox.nothing("there were two frames").await;
    }
    // Who has left is not waited for.
    inboxes.truncate(1);
    topics.publish("later").await;
    assert_eq!(inboxes[0].text().await, "later");
    Verdict::Held
}

/// Subscribers that share a pattern get each frame once between them; one of another pattern gets it besides.
pub(super) async fn a_pool_gets_each_frame_once<H: Harness>(harness: &H) -> Verdict {
    let Some(topics) = Topics::new(harness).await else { return DENIED };
    if !topics.lane.sender.capabilities().competing {
        return Verdict::NotApplicable("it denies `competing`");
    }
    let mut first = Inbox::open(&harness.seat().await, topics.subscription("*"), H::QUIET).await;
    let mut second = Inbox::open(&harness.seat().await, topics.subscription("*"), H::QUIET).await;
    let mut besides = topics.lane.inbox_with(topics.subscription("#")).await;
    for key in ["a", "b", "c", "d"] {
        topics.publish(key).await;
    }
    assert_eq!(besides.texts(4).await, ["a", "b", "c", "d"]);
    let (a, b) = tokio::join!(first.rest(), second.rest());
    let mut all = [a, b].concat();
    all.sort_unstable();
    assert_eq!(all, ["a", "b", "c", "d"], "each of four frames goes to exactly one of the pool");
    Verdict::Held
}

/// A subscription with several patterns is one: what several of them match comes once, in the order of publishing.
pub(super) async fn several_patterns_are_one_subscription<H: Harness>(harness: &H) -> Verdict {
    let Some(topics) = Topics::new(harness).await else { return DENIED };
    let mut inbox = topics.lane.inbox_with(topics.of(&["a.#", "*.b", "c"])).await;
    for key in ["c", "a.b", "x", "a", "x.b", "c.c", "a.x.y", "c"] {
        topics.publish(key).await;
    }
    assert_eq!(inbox.texts(6).await, ["c", "a.b", "a", "x.b", "a.x.y", "c"]);
    inbox.nothing("all that its patterns match had come").await;
    Verdict::Held
}

/// Each group of competing subscribers gets everything; within a group each frame goes to one.
pub(super) async fn groups_are_told_apart<H: Harness>(harness: &H) -> Verdict {
    let Some(topics) = Topics::new(harness).await else { return DENIED };
    if !topics.lane.sender.capabilities().competing {
        return Verdict::NotApplicable("it denies `competing`");
    }
    let names = ["red", "red", "blue"].map(|color| harness.name(color).split('.').next_back().unwrap_or_default().to_owned());
    let mut inboxes = Vec::new();
    for name in names {
        inboxes.push(Inbox::open(&harness.seat().await, topics.subscription("#").group(name), H::QUIET).await);
    }
    for key in ["a", "b", "c", "d"] {
        topics.publish(key).await;
    }
    let mut got = Vec::new();
    for mut inbox in inboxes {
        got.push(inbox.rest().await);
    }
    let mut red = [got[0].clone(), got[1].clone()].concat();
    red.sort_unstable();
    assert_eq!(red, ["a", "b", "c", "d"], "between the two of one group");
    assert_eq!(got[2], ["a", "b", "c", "d"], "the only one of another group");
    Verdict::Held
}

/// A subscription that drops the oldest never makes a publisher wait, gets the newest, and is told how many it missed; or it is
/// refused.
pub(super) async fn who_drops_the_oldest_holds_up_nobody<H: Harness>(harness: &H) -> Verdict {
    let Some(topics) = Topics::new(harness).await else { return DENIED };
    let Some(room) = H::ROOM else {
        return Verdict::NotApplicable("its harness does not say how much room there is: nothing has to make room");
    };
    let slow = topics.subscription("#").sharing(Sharing::Broadcast).when_full(WhenFull::DropOldest).prefetch(1);
    let mut inbox = match soon("a subscribe ends", topics.lane.receiver.subscribe(slow.clone())).await {
        Ok(deliveries) => {
            drop(deliveries);
            topics.lane.inbox_with(slow).await
        }
        Err(error) => {
            assert_eq!(error.kind, crate::transport::TransportErrorKind::Refused, "{error}");
            return Verdict::Held;
        }
    };
    let many = room + 10;
    for number in 0..many {
        topics.publish(&format!("n{number}")).await;
    }
    let (mut received, mut missed, mut last) = (0, 0, String::new());
    while let Some(delivery) = inbox.maybe().await {
        (received, missed, last) = (received + 1, missed + delivery.missed, super::lane::text(&delivery));
        delivery.acker.settle(crate::transport::Disposition::Ack);
        assert!(received <= many as u64, "{many} were published, and more came");
    }
    assert_eq!(last, format!("n{}", many - 1), "the newest is there");
    assert!(
        missed == 0 || missed + received == many as u64,
        "{many} were published, {received} came, {missed} are said to be missed"
    );
    Verdict::Held
}

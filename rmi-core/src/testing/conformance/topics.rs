use super::{
    Harness, Verdict,
    lane::{Inbox, Lane, soon},
};
use crate::transport::{Destination, Frame, Purpose, Receipt, Sharing, Source, Subscription};

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
        let source = Source::Topic { exchange: self.exchange.into(), pattern: format!("{}.{pattern}", self.lane.address).into() };
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

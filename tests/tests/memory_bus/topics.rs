use rmi_core::transport::{Sharing, WhenFull, memory::Options};

use super::*;

#[tokio::test]
async fn a_frame_goes_to_every_subscription_that_matches() {
    let bus = Memory::new();
    let mut inboxes = Vec::new();
    for (pattern, expected) in [
        ("dhcp.bind.success", true),
        ("dhcp.*.success", true),
        ("#", true),
        ("dhcp.#.bind.success", true),
        ("dhcp.bind", false),
        ("dhcp.*", false),
        ("tftp.#", false),
    ] {
        inboxes.push((pattern, expected, bus.subscribe(topic("events", pattern)).await.unwrap()));
    }
    let mut elsewhere = bus.subscribe(topic("other", "#")).await.unwrap();
    let mut address = bus.subscribe(at("dhcp.bind.success")).await.unwrap();
    assert_eq!(publish(&bus, to_topic("events", "dhcp.bind.success", "bound")).await, Receipt::Stored);
    for (pattern, expected, inbox) in &mut inboxes {
        if !*expected {
            assert_nothing(inbox);
            continue;
        }
        let delivery = one(inbox).await;
        assert_eq!(text(&delivery), "bound", "{pattern}");
        assert_eq!((delivery.exchange.as_str(), delivery.key.as_str()), ("events", "dhcp.bind.success"));
        assert_eq!(delivery.purpose, Purpose::Events);
        delivery.acker.settle(Disposition::Ack);
    }
    assert_nothing(&mut elsewhere);
    assert_nothing(&mut address);
    assert_eq!(bus.counters().published, 4);
    assert_empty(bus.counters(), 9);
}

#[tokio::test]
async fn a_topic_without_a_subscriber_is_no_route() {
    let bus = Memory::new();
    let inboxes = [bus.subscribe(topic("ex", "a.b")).await.unwrap(), bus.subscribe(topic("ex", "a.#")).await.unwrap()];
    assert_eq!(publish(&bus, to_topic("ex", "b", "")).await, Receipt::NoRoute);
    assert_eq!(publish(&bus, to_topic("none", "a.b", "")).await, Receipt::NoRoute);
    assert_eq!(publish(&bus, to_topic("ex", "a.b", "")).await, Receipt::Stored);
    drop(inboxes);
    assert_eq!(publish(&bus, to_topic("ex", "a.b", "")).await, Receipt::NoRoute);
    assert_empty(bus.counters(), 0);
}

#[tokio::test]
async fn subscriptions_to_the_same_pattern_are_a_pool_unless_they_are_broadcast() {
    let bus = Memory::new();
    for pattern in ["a.b", "a.*"] {
        let broadcast = || topic(pattern, pattern).sharing(Sharing::Broadcast);
        let mut pool =
            [bus.subscribe(topic(pattern, pattern)).await.unwrap(), bus.subscribe(topic(pattern, pattern)).await.unwrap()];
        let mut each = [bus.subscribe(broadcast()).await.unwrap(), bus.subscribe(broadcast()).await.unwrap()];
        publish(&bus, to_topic(pattern, "a.b", "1")).await;
        publish(&bus, to_topic(pattern, "a.b", "2")).await;
        let [first, second] = &mut pool;
        let (first, second) = (take(first, 10).await, take(second, 10).await);
        assert_eq!((texts(&first), texts(&second)), (vec!["1"], vec!["2"]));
        for inbox in &mut each {
            assert_eq!(texts(&take(inbox, 10).await), ["1", "2"]);
        }
        // An exclusive subscription is alone in its pool, and does not mind the others.
        assert!(bus.subscribe(topic(pattern, pattern).sharing(Sharing::Exclusive)).await.is_err());
        drop(pool);
        assert!(bus.subscribe(topic(pattern, pattern).sharing(Sharing::Exclusive)).await.is_ok());
    }
}

#[tokio::test]
async fn a_durable_pool_keeps_its_frames() {
    let bus = Memory::new();
    drop(bus.subscribe(topic("ex", "a.#").durable(true)).await.unwrap());
    assert_eq!(publish(&bus, to_topic("ex", "a.b", "kept")).await, Receipt::Stored);
    let mut inbox = bus.subscribe(topic("ex", "a.#")).await.unwrap();
    assert_eq!(text(&one(&mut inbox).await), "kept");
}

fn several(patterns: &[&str]) -> Subscription {
    let patterns = patterns.iter().map(|pattern| (*pattern).into()).collect();
    Subscription::new(Source::Topic { exchange: "ex".into(), patterns }, Purpose::Events)
}

#[tokio::test]
async fn several_patterns_are_one_subscription() {
    let bus = Memory::new();
    let mut inbox = bus.subscribe(several(&["a.*", "#.b", "c"])).await.unwrap();
    for key in ["c", "a.b", "x", "x.b", "a.c", "c.c"] {
        publish(&bus, to_topic("ex", key, key)).await;
    }
    let taken = take(&mut inbox, 10).await;
    assert_eq!(texts(&taken), ["c", "a.b", "x.b", "a.c"], "each once, in the order of publishing");
    settle(taken, Disposition::Ack);
    drop(inbox);
    assert_empty(bus.counters(), 0);
    assert!(bus.subscribe(several(&[])).await.is_err());
}

#[tokio::test]
async fn groups_of_competing_subscribers_do_not_share() {
    let bus = Memory::new();
    let member = |group: &str| several(&["a.*", "b"]).group(group.to_owned());
    let mut first = [bus.subscribe(member("first")).await.unwrap(), bus.subscribe(member("first")).await.unwrap()];
    let mut second = bus.subscribe(member("second")).await.unwrap();
    let mut nameless = bus.subscribe(several(&["a.*", "b"])).await.unwrap();
    publish(&bus, to_topic("ex", "a.b", "1")).await;
    publish(&bus, to_topic("ex", "b", "2")).await;
    let [one, other] = &mut first;
    let (one, other) = (take(one, 10).await, take(other, 10).await);
    assert_eq!((texts(&one), texts(&other)), (vec!["1"], vec!["2"]));
    assert_eq!(texts(&take(&mut second, 10).await), ["1", "2"]);
    assert_eq!(texts(&take(&mut nameless, 10).await), ["1", "2"]);
    assert_eq!(bus.counters().mailboxes, 3);
}

#[tokio::test(start_paused = true)]
async fn where_the_oldest_are_dropped_nobody_waits_and_the_subscriber_is_told() {
    let bus = Memory::with(Options::default().mailbox_frames(2));
    let lossy =
        |acknowledged| topic("ex", "#").sharing(Sharing::Broadcast).acknowledged(acknowledged).when_full(WhenFull::DropOldest);
    let mut acknowledged = bus.subscribe(lossy(true).prefetch(1)).await.unwrap();
    let mut quick = bus.subscribe(lossy(false)).await.unwrap();
    publish(&bus, to_topic("ex", "a", "0")).await;
    let held = one(&mut acknowledged).await;
    for text in ["1", "2", "3", "4"] {
        publish(&bus, to_topic("ex", "a", text)).await;
    }
    let taken = take(&mut quick, 10).await;
    assert_eq!(texts(&taken), ["3", "4"]);
    assert_eq!(taken.iter().map(|delivery| delivery.missed).collect::<Vec<_>>(), [3, 0]);
    // What is delivered and not settled takes room, and is not dropped.
    held.acker.settle(Disposition::Ack);
    let next = one(&mut acknowledged).await;
    assert_eq!((text(&next), next.missed), ("4", 3));
    next.acker.settle(Disposition::Ack);
    assert_eq!(bus.counters().dropped, 6);
    assert_empty(bus.counters(), 2);
    assert!(bus.subscribe(lossy(true).prefetch(0)).await.is_err(), "what is delivered cannot be dropped");
}

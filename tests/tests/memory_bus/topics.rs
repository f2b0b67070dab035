use rmi_core::transport::Sharing;

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

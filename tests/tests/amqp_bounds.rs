//! What a connection to RabbitMQ holds at most, waits for at most, and tells of what became of it: floods, brokers that take nothing,
//! queues that are deleted, pauses within pauses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    convert::Infallible,
    future::IntoFuture,
    io,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rmi_amqp::{Amqp, Options};
use rmi_core::{
    Endpoint, Native, Trust,
    endpoint::{Builder, Missed},
    prelude::*,
    transport::{
        Deliveries, Delivery, Destination, Disposition, Frame, Link, LinkChange, LinkId, Links, Purpose, Receipt, Sharing,
        Source, Subscription, Transport, TransportErrorKind, WhenFull,
    },
};
use rmi_tests::{
    proxy::Proxy,
    rabbit::Rabbit,
    soon::{shortly, soon},
};
use tokio::sync::{Mutex, MutexGuard, Notify};

/// A broker of this file's own: some tests make it short of memory.
static BROKER: LazyLock<Rabbit> = LazyLock::new(Rabbit::start);

/// The broker, for as long as the guard is kept.
async fn broker() -> (&'static Rabbit, MutexGuard<'static, ()>) {
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    (tokio::task::spawn_blocking(|| &*BROKER).await.unwrap(), turn)
}

/// The broker is short of memory, for as long as this is kept.
struct Alarm;

impl Alarm {
    fn sounds() -> Self {
        BROKER.ctl(&["set_vm_memory_high_watermark", "absolute", "1"]);
        Alarm
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        BROKER.ctl(&["set_vm_memory_high_watermark", "0.6"]);
    }
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    fn writer(&self) -> impl Fn() -> Log + use<> {
        let log = self.clone();
        move || log.clone()
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn options() -> Options {
    Options::default().pauses(Duration::from_millis(10), Duration::from_millis(40))
}

async fn amqp(options: Options) -> Amqp {
    Amqp::connect(BROKER.url()).options(options).await.unwrap()
}

fn name(stem: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("bounds.{}.{}.{stem}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn replies(address: &str) -> Subscription {
    Subscription::new(Source::Address(address.into()), Purpose::Replies).sharing(Sharing::Exclusive).acknowledged(false)
}

fn events(exchange: &str) -> Subscription {
    Subscription::new(Source::topic(exchange, "#"), Purpose::Events).sharing(Sharing::Broadcast)
}

fn frame(address: &str, payload: impl Into<String>) -> Frame {
    let mut frame = Frame::new(Destination::Address(address.into()), payload.into());
    frame.mandatory = true;
    frame
}

fn event(exchange: &str, payload: impl Into<String>) -> Frame {
    let mut frame = Frame::new(Destination::Topic { exchange: exchange.into(), key: "a.b".into() }, payload.into());
    frame.mandatory = true;
    frame
}

fn text(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.payload).into_owned()
}

async fn change(links: &mut Links) -> LinkChange {
    soon("a link changes", links.next()).await.expect("the transport has not ended")
}

/// Everything that comes until the subscription ends.
async fn all(inbox: &mut Box<dyn Deliveries>) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while soon("it ends", inbox.recv(&mut taken, 7)).await.unwrap() > 0 {}
    taken
}

/// Whoever knows a reply address and sends what nobody takes gets no memory: the subscription ends, and its address with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_nobody_takes_are_bounded() {
    let (_, _turn) = broker().await;
    for (messages, bytes, length) in [(100, usize::MAX, 1), (usize::MAX, 1 << 20, 100_000)] {
        let (caller, peer) = (amqp(options().backlog(messages, bytes)).await, amqp(options()).await);
        let address = name("replies");
        let mut inbox = caller.subscribe(replies(&address)).await.unwrap();
        let mut sent = 0;
        soon("it is ended", async {
            while caller.counters().flooded == 0 {
                peer.publish(frame(&address, "x".repeat(length))).await.unwrap();
                sent += 1;
            }
        })
        .await;
        soon("its address is gone", async { while peer.publish(frame(&address, "x")).await.unwrap() != Receipt::NoRoute {} })
            .await;
        let taken = all(&mut inbox).await;
        assert!((10..=101).contains(&taken.len()), "{} of {sent}", taken.len());
        assert_eq!(caller.counters().flooded, 1);
        // The connection goes on.
        let mut inbox = caller.subscribe(replies(&address)).await.unwrap();
        assert_eq!(peer.publish(frame(&address, "again")).await.unwrap(), Receipt::Stored);
        let mut again = Vec::new();
        assert_eq!(soon("it comes", inbox.recv(&mut again, 1)).await.unwrap(), 1);
        assert_eq!(text(&again[0]), "again");
    }
}

/// The same where somebody takes what comes, and not fast enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_come_faster_than_they_are_taken_are_bounded() {
    let (_, _turn) = broker().await;
    let (caller, peer) = (amqp(options().backlog(100, usize::MAX)).await, amqp(options()).await);
    let address = name("replies");
    let mut inbox = caller.subscribe(replies(&address)).await.unwrap();
    let mut taken = Vec::new();
    soon("it is ended", async {
        while caller.counters().flooded == 0 {
            for _ in 0..10 {
                peer.publish(frame(&address, "x")).await.unwrap();
            }
            inbox.recv(&mut taken, 1).await.unwrap();
        }
    })
    .await;
}

/// A burst that fits is no flood, however slowly it is taken, and keeps its order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_replies_that_fits_is_received_in_order() {
    const MANY: usize = 1000;
    let (_, _turn) = broker().await;
    let (caller, peer) = (amqp(options().backlog(MANY, usize::MAX)).await, amqp(options()).await);
    let address = name("replies");
    let mut inbox = caller.subscribe(replies(&address)).await.unwrap();
    let mut taken = Vec::new();
    for number in 0..MANY {
        peer.publish(frame(&address, number.to_string())).await.unwrap();
        if number % 100 == 99 {
            soon("some come", inbox.recv(&mut taken, 3)).await.unwrap();
        }
    }
    while taken.len() < MANY {
        soon("all come", inbox.recv(&mut taken, 3)).await.unwrap();
    }
    let numbers: Vec<_> = taken.iter().map(text).collect();
    assert_eq!(numbers, (0..MANY).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(caller.counters().flooded, 0);
}

/// Whoever lets the oldest events be dropped keeps the newest, and is told how many there were before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_nobody_takes_make_room_for_newer_ones() {
    const ROOM: usize = 100;
    let (_, _turn) = broker().await;
    let (subscriber, peer) = (amqp(options().backlog(ROOM, usize::MAX)).await, amqp(options()).await);
    let exchange = name("exchange");
    let subscription = events(&exchange).acknowledged(false).when_full(WhenFull::DropOldest);
    let mut inbox = subscriber.subscribe(subscription).await.unwrap();
    let mut sent = 0;
    soon("some are dropped", async {
        while subscriber.counters().dropped == 0 {
            peer.publish(event(&exchange, sent.to_string())).await.unwrap();
            sent += 1;
        }
    })
    .await;
    let mut taken = Vec::new();
    while taken.last().map(text) != Some((sent - 1).to_string()) {
        soon("the rest comes", inbox.recv(&mut taken, 7)).await.unwrap();
    }
    let missed: u64 = taken.iter().map(|delivery| delivery.missed).sum();
    assert!(taken[0].missed > 0 && missed == subscriber.counters().dropped, "{missed}: {:?}", subscriber.counters());
    assert_eq!(missed + taken.len() as u64, sent);
    assert_eq!(subscriber.counters().flooded, 0);
}

/// Alarms are told to whoever watches the links; what is published meanwhile ends in its time, and says why; and all goes on after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_takes_nothing_is_told_of_and_not_waited_for_too_long() {
    let (_, _turn) = broker().await;
    let wait = Duration::from_millis(500);
    let amqp = amqp(options().wait(wait)).await;
    let address = name("requests");
    let inbox = amqp.subscribe(Subscription::new(Source::Address(address.as_str().into()), Purpose::Requests)).await.unwrap();
    let mut links = amqp.links();
    let LinkChange::Up(Link { id, .. }) = change(&mut links).await else { panic!("it is up") };
    let alarm = tokio::task::block_in_place(Alarm::sounds);
    // Who publishes is told, and not before.
    let blocked = soon("it is told", async {
        loop {
            let _ = amqp.publish(frame(&address, "x")).await;
            if amqp.blocked().is_some() {
                break change(&mut links).await;
            }
        }
    })
    .await;
    let LinkChange::Blocked(link, why) = blocked else { panic!("it is blocked: {blocked:?}") };
    assert!(link == id && why.contains("memory"), "{why}");
    for frame in [frame(&address, "x"), event(&name("exchange"), "x")] {
        let error = soon("it is not waited for too long", amqp.publish(frame)).await.unwrap_err();
        assert_eq!(error.kind, TransportErrorKind::Disconnected);
        assert!(error.message.contains("takes nothing") && error.message.contains("memory"), "{error}");
    }
    // Whoever begins to watch now is told as well.
    let mut late = amqp.links();
    assert!(matches!(change(&mut late).await, LinkChange::Up(_)));
    assert!(matches!(change(&mut late).await, LinkChange::Blocked(..)));
    tokio::task::block_in_place(|| drop(alarm));
    for links in [&mut links, &mut late] {
        assert_eq!(change(links).await, LinkChange::Unblocked(id));
    }
    assert_eq!(amqp.publish(frame(&address, "x")).await.unwrap(), Receipt::Stored);
    assert_eq!(amqp.counters().lost, 0);
    drop(inbox);
}

#[remote]
trait Mill {
    /// Grinds, until it is told to stop.
    #[remote(timeout = "1h")]
    async fn grind(&self) -> Result<u32, Infallible>;

    /// Rests.
    #[remote(timeout = "29m")]
    async fn rest(&self) -> Result<(), Infallible>;
}

#[derive(Clone, Default)]
struct Stones {
    rounds: Arc<AtomicU64>,
    stop: Arc<Notify>,
}

impl Mill for Stones {
    async fn grind(&self) -> Result<u32, Infallible> {
        self.rounds.fetch_add(1, Ordering::SeqCst);
        self.stop.notified().await;
        Ok(7)
    }

    async fn rest(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The broker takes back what is not acknowledged for too long. The method goes on, its one outcome is told, and it is not run again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_that_takes_longer_than_the_broker_waits_runs_once() {
    /// The broker waits that long for channels that are opened while this is kept.
    struct Hurry;

    impl Hurry {
        fn set(timeout: u32, tick: u32) {
            BROKER.ctl(&["eval", &format!("application:set_env(rabbit, consumer_timeout, {timeout}).")]);
            BROKER.ctl(&["eval", &format!("application:set_env(rabbit, channel_tick_interval, {tick}).")]);
        }
    }

    impl Drop for Hurry {
        fn drop(&mut self) {
            Hurry::set(30 * 60 * 1000, 60_000);
        }
    }

    let (_, _turn) = broker().await;
    tokio::task::block_in_place(|| Hurry::set(100, 100));
    let hurry = Hurry;
    let address = name("mill");
    let (bus, stones) = (Arc::new(amqp(options()).await), Stones::default());
    let agent = Endpoint::builder(address.as_str()).bind(Native::default(), Arc::clone(&bus), Trust::insecure());
    let agent = agent.serve(MillServer::new(stones.clone())).start().await.unwrap();
    let caller =
        Endpoint::builder("caller").bind(Native::default(), amqp(options()).await, Trust::insecure()).start().await.unwrap();
    let mill: MillClient = caller.client(address.as_str());
    let grinding = mill.grind().send().await.unwrap();
    soon("the broker takes it back twice", async {
        while bus.counters().channels_lost < 2 || bus.counters().redelivered < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    tokio::task::block_in_place(|| drop(hurry));
    stones.stop.notify_one();
    assert_eq!(soon("it ends", grinding.into_future()).await.unwrap(), 7);
    assert_eq!(stones.rounds.load(Ordering::SeqCst), 1);
    // What was delivered again is settled with it.
    soon("the broker has nothing more of it", async {
        loop {
            let queues = tokio::task::block_in_place(|| BROKER.ctl(&["list_queues", "name", "messages", "--silent"]));
            let queue = queues.lines().find(|line| line.starts_with(&address)).expect("it has a queue").to_owned();
            if queue.split_whitespace().last() == Some("0") {
                break;
            }
        }
    })
    .await;
    for endpoint in [agent, caller] {
        let _ = endpoint.shutdown(Duration::from_secs(5)).await.unwrap();
    }
}

/// Whoever serves a method that may take longer than that is told so at the start, and what to do.
#[tokio::test]
async fn a_method_that_may_take_longer_than_the_broker_waits_is_told_of() {
    let (_, _turn) = broker().await;
    let told = async |options: Options, special: fn(Builder) -> Builder| {
        let log = Log::default();
        let keeping = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(log.writer()).finish();
        let keeping = tracing::subscriber::set_default(keeping);
        let builder = Endpoint::builder(name("mill")).bind(Native::default(), amqp(options).await, Trust::insecure());
        let agent = special(builder).serve(MillServer::new(Stones::default())).start().await.unwrap();
        drop((keeping, agent));
        let log = log.text();
        log.lines().find(|line| line.contains("longer than the bus waits")).map(ToOwned::to_owned)
    };
    let line = told(options(), |builder| builder).await.expect("it is told");
    assert!(line.contains("Mill.grind") && line.contains("queue_of_its_own") && !line.contains("Mill.rest"), "{line}");
    let hour = Duration::from_secs(60 * 60);
    assert_eq!(told(options().consumer_timeout(hour * 2), |builder| builder).await, None);
    assert_eq!(told(options().consumer_timeout(None), |builder| builder).await, None);
    fn journalled(builder: Builder) -> Builder {
        let directory = tempfile::tempdir().unwrap().keep();
        builder.journal(rmi_core::journal::Durable::open(directory).unwrap()).queue_of_its_own()
    }
    assert_eq!(told(options(), journalled).await, None, "it is acknowledged when the journal has it");
}

/// Whoever is told to leave while it is away stays away, and both who told it are answered.
#[tokio::test]
async fn a_pause_within_a_pause_is_one() {
    let (_, _turn) = broker().await;
    let amqp = amqp(options().wait(Duration::from_millis(300))).await;
    let mut links = amqp.links();
    assert!(matches!(change(&mut links).await, LinkChange::Up(_)));
    amqp.pause(LinkId(1), Some(Duration::from_secs(3600))).await.unwrap();
    assert!(matches!(change(&mut links).await, LinkChange::Down(..)));
    soon("it is answered", amqp.pause(LinkId(1), Some(Duration::from_millis(1)))).await.unwrap();
    soon("it is answered", amqp.disconnect(LinkId(1))).await.unwrap();
    let error = amqp.publish(frame("nobody", "x")).await.unwrap_err();
    assert_eq!(error.kind, TransportErrorKind::Disconnected, "it is still away: {error}");
    assert_eq!(amqp.counters().connected, 1);
    // And it ends at once when it is told to.
    soon("it is closed", amqp.close()).await.unwrap();
    assert_eq!(links.next().await, None);
}

/// The broker still takes a connection for alive that has gone, with its queue: the next one has a queue of another name, and misses no
/// more than it must.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_does_not_wait_for_its_own_queue() {
    let (broker, _turn) = broker().await;
    let proxy = Proxy::to(broker.address().parse().unwrap()).await;
    let through = format!("amqp://guest:guest@{}", proxy.at());
    let subscriber = Amqp::connect(through).options(options()).await.unwrap();
    let exchange = name("exchange");
    let mut inbox = subscriber.subscribe(events(&exchange)).await.unwrap();
    let mut links = subscriber.links();
    assert!(matches!(change(&mut links).await, LinkChange::Up(_)));
    proxy.orphan();
    assert!(matches!(change(&mut links).await, LinkChange::Down(..)));
    assert!(matches!(change(&mut links).await, LinkChange::Up(_)));
    let peer = amqp(options()).await;
    assert_eq!(peer.publish(event(&exchange, "x")).await.unwrap(), Receipt::Stored);
    let mut taken = Vec::new();
    soon("it comes", inbox.recv(&mut taken, 1)).await.unwrap();
    assert_eq!(subscriber.counters().resubscribe_failed, 0, "its old queue was in its way");
    drop(proxy);
}

#[derive(Debug, RemoteEvent)]
enum Lamp {
    #[remote(key = "lamp.on.{room}")]
    On { room: String },
}

/// A subscriber to events is told that its queue was deleted, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_queue_is_deleted_is_told_that_events_are_missing() {
    let (broker, _turn) = broker().await;
    let start = async |name: &'static str| {
        let bus = amqp(options()).await;
        Endpoint::builder(name).bind(Native::default(), bus, Trust::insecure()).start().await.unwrap()
    };
    let (hall, lights) = (start("hall").await, start("lights").await);
    let mut events = hall.subscribe::<Lamp>().await.unwrap();
    let on = |room: &str| Lamp::On { room: room.to_owned() };
    lights.publish(&on("cellar")).await.unwrap();
    let Lamp::On { room } = soon("it comes", events.next()).await.unwrap().unwrap().event;
    assert_eq!(room, "cellar");
    tokio::task::spawn_blocking(|| {
        let queues = broker.ctl(&["list_queues", "name", "--silent"]);
        let queue = queues.lines().find(|name| name.starts_with("rmi.events:")).expect("it has a queue").to_owned();
        broker.ctl(&["delete_queue", &queue]);
    })
    .await
    .unwrap();
    // At once, and not with the next event.
    let told = soon("it is told", events.next()).await.unwrap().unwrap_err();
    assert!(matches!(told, Missed::Interrupted) && !told.is_end(), "{told:?}");
    let mut room = None;
    soon("it goes on", async {
        while room.is_none() {
            lights.publish(&on("attic")).await.unwrap();
            room = tokio::time::timeout(Duration::from_millis(20), events.next()).await.ok();
        }
    })
    .await;
    let Lamp::On { room } = room.unwrap().unwrap().unwrap().event;
    assert_eq!((room.as_str(), events.figures().interrupted, events.figures().links_lost), ("attic", 1, 0));
    for endpoint in [hall, lights] {
        let _ = endpoint.shutdown(Duration::from_secs(5)).await.unwrap();
    }
}

/// What is stopped brings nothing more, and leaves what it did not bring to others.
#[tokio::test]
async fn what_is_given_back_unsettled_is_for_others() {
    let (_, _turn) = broker().await;
    let (first, second, address) = (amqp(options()).await, amqp(options()).await, name("shared"));
    let subscription = || Subscription::new(Source::Address(address.as_str().into()), Purpose::Requests).prefetch(1);
    let mut leaving = first.subscribe(subscription()).await.unwrap();
    leaving.stop();
    let mut staying = second.subscribe(subscription()).await.unwrap();
    for number in 0..4 {
        first.publish(frame(&address, number.to_string())).await.unwrap();
        let mut taken = Vec::new();
        soon("the other one has it", staying.recv(&mut taken, 1)).await.unwrap();
        taken.pop().unwrap().acker.settle(Disposition::Ack);
    }
}

/// The client library logs what is returned, with its payload, under a target that can be left out; nothing else shows a payload.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_client_library_shows_of_payloads_has_a_target_of_its_own() {
    let (_, _turn) = broker().await;
    let log = Log::default();
    // The library logs in a thread of its own.
    let keeping = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false).with_writer(log.writer());
    tracing::subscriber::set_global_default(keeping.finish()).expect("no other test has one");
    let amqp = amqp(options()).await;
    assert_eq!(amqp.publish(frame(&name("nobody"), "a secret")).await.unwrap(), Receipt::NoRoute);
    amqp.close().await.unwrap();
    let log = log.text();
    let shown = format!("{:?}", b"a secret");
    let shown = shown.trim_matches(['[', ']']);
    let lines: Vec<_> = log.lines().filter(|line| line.contains(shown) || line.contains("a secret")).collect();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.contains(" lapin::returned_messages: ")), "{lines:#?}");
}

/// Whoever gives up subscribing, at whatever moment, leaves no queue behind: nobody would ever consume it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_is_given_up_leaves_no_queue() {
    let (broker, _turn) = broker().await;
    let amqp = Amqp::connect(broker.url()).options(options()).await.unwrap();
    for round in 0..60u64 {
        let replies = Subscription::new(Source::Address(format!("given-up.{round}").as_str().into()), Purpose::Replies);
        let subscribing = amqp.subscribe(replies.sharing(Sharing::Exclusive));
        let _ = tokio::time::timeout(Duration::from_micros(100 * round), subscribing).await;
    }
    soon("no queue is left", async {
        while tokio::task::block_in_place(|| broker.ctl(&["list_queues", "name"])).contains("given-up.") {}
    })
    .await;
    amqp.close().await.unwrap();
}

/// Whoever floods an endpoint's reply address ends nobody's call: the endpoint takes another one, and asks there for what it waits for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_whose_replies_are_flooded_moves_to_another_address() {
    let (broker, _turn) = broker().await;
    let (address, stones) = (name("mill"), Stones::default());
    let agent = Endpoint::builder(address.as_str()).bind(Native::default(), amqp(options()).await, Trust::insecure());
    let agent = agent.serve(MillServer::new(stones.clone())).start().await.unwrap();
    let (bus, own) = (Arc::new(amqp(options().backlog(1, usize::MAX)).await), name("flooded"));
    let caller = Endpoint::builder(own.as_str()).bind(Native::default(), Arc::clone(&bus), Trust::insecure());
    let caller = caller.start().await.unwrap();
    let mill: MillClient = caller.client(address.as_str());
    let grinding = mill.grind().send().await.unwrap();
    let replies = || {
        let queues = tokio::task::block_in_place(|| broker.ctl(&["list_queues", "name", "--silent"]));
        queues.lines().filter(|queue| queue.starts_with(&own)).map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let [flooded] = &replies()[..] else { panic!("it has one reply address: {:?}", replies()) };
    // It never comes to the rest of them.
    let peer = amqp(options()).await;
    soon("it is flooded", async {
        while bus.counters().flooded == 0 {
            let burst: Vec<_> = (0..64)
                .map(|_| {
                    let mut frame = Frame::new(Destination::Address(flooded.as_str().into()), "no reply");
                    frame.mandatory = false;
                    peer.publish(frame)
                })
                .collect();
            for publish in burst {
                publish.await.unwrap();
            }
        }
    })
    .await;
    shortly("it has another address", async { while replies().is_empty() || replies().contains(flooded) {} }).await;
    stones.stop.notify_one();
    assert_eq!(soon("the call ends", grinding.into_future()).await.unwrap(), 7);
    assert_eq!((stones.rounds.load(Ordering::SeqCst), bus.counters().lost), (1, 0));
    assert!(caller.figures()[0].subscriptions_lost >= 1);
    for endpoint in [agent, caller] {
        let _ = endpoint.shutdown(Duration::from_secs(5)).await.unwrap();
    }
}

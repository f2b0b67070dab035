//! What a client does whose broker cuts, holds back, refuses and throws out at moments of the test's own choosing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use rmi_amqp::{Amqp, Exchange, Options};
use rmi_core::transport::{
    Destination, Disposition, Frame, LinkChange, LinkId, Links, Purpose, Receipt, Sharing, Source, Subscription, Transport,
    TransportErrorKind,
};
use rmi_tests::{
    played::{Peer, Played, Published, Said},
    soon::shortly,
};

const HOUR: Duration = Duration::from_secs(3600);

fn options() -> Options {
    Options::default().pauses(Duration::from_millis(5), Duration::from_millis(20))
}

async fn connected(options: Options) -> (Played, Amqp, Peer) {
    let played = Played::start().await;
    let (amqp, peer) = tokio::join!(Amqp::connect(played.url()).options(options), played.welcomed());
    let amqp = amqp.unwrap();
    (played, amqp, peer)
}

fn frame(payload: &'static str) -> Frame {
    let mut frame = Frame::new(Destination::Address("dog".into()), payload);
    (frame.mandatory, frame.repeatable) = (true, true);
    frame
}

fn requests(prefetch: u32) -> Subscription {
    let subscription = Subscription::new(Source::Address("dog".into()), Purpose::Requests);
    subscription.sharing(Sharing::Exclusive).prefetch(prefetch)
}

/// Polls something once: it has begun, and has not ended.
async fn begun<F: Future + Unpin>(something: &mut F) {
    let pending = poll_fn(|cx| Poll::Ready(Pin::new(&mut *something).poll(cx).is_pending())).await;
    assert!(pending, "it has ended");
}

/// What has been told of the links already.
async fn told(links: &mut Links) -> Option<LinkChange> {
    let mut next = Box::pin(links.next());
    poll_fn(|cx| match next.as_mut().poll(cx) {
        Poll::Ready(change) => Poll::Ready(change),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn change(links: &mut Links) -> LinkChange {
    shortly("a link changes", links.next()).await.expect("the transport has not ended")
}

async fn goes_down(links: &mut Links) {
    loop {
        if let LinkChange::Down(..) = change(links).await {
            return;
        }
    }
}

/// It has its channels, and one message was confirmed.
async fn publishing(options: Options) -> (Played, Amqp, Peer) {
    let (played, amqp, mut peer) = connected(options).await;
    let (told, ()) = tokio::join!(amqp.publish(frame("0")), async {
        let published = peer.published().await;
        peer.confirm(&published).await;
    });
    assert_eq!(told.unwrap(), Receipt::Stored);
    (played, amqp, peer)
}

/// The next consumer is wanted, and there: its channel and its queue.
async fn subscribed(peer: &mut Peer) -> (u16, String) {
    let consumer = peer.consumer().await;
    peer.answer(&consumer).await;
    match consumer {
        Said::Consume(channel, queue) => (channel, queue),
        other => panic!("{other:?}"),
    }
}

fn body(published: &Published) -> &str {
    &published.body
}

/// What was on its way comes first, then what waited, then what was published while there was no link; what may not be repeated does not
/// come again, and the time to live goes on meanwhile.
#[tokio::test]
async fn what_is_published_keeps_its_order_and_its_time_over_a_loss() {
    let (played, amqp, mut peer) = publishing(options().window(3)).await;
    let mut links = amqp.links();
    let publish = |payload, repeatable, ttl| {
        let mut frame = frame(payload);
        (frame.repeatable, frame.ttl) = (repeatable, ttl);
        Box::pin(amqp.publish(frame))
    };
    let [mut first, mut once, mut third] =
        [publish("1", true, Some(HOUR)), publish("once", false, None), publish("3", true, None)];
    let [mut fourth, mut fifth] = [publish("4", false, Some(HOUR)), publish("5", true, None)];
    for publishing in [&mut first, &mut once, &mut third, &mut fourth, &mut fifth] {
        begun(publishing).await;
    }
    let hour = Some(3_600_000);
    let mut published = peer.published().await;
    assert_eq!((body(&published), published.expiration), ("1", hour));
    for expected in ["once", "3"] {
        assert_eq!(body(&peer.published().await), expected);
    }
    assert_eq!(amqp.counters().published, 4, "no more may be on their way");
    drop(peer);
    goes_down(&mut links).await;
    assert_eq!(shortly("it is told", once).await.unwrap_err().kind, TransportErrorKind::Ambiguous);
    let mut dead = publish("dead", true, Some(Duration::from_nanos(1)));
    let mut sixth = publish("6", true, None);
    for publishing in [&mut dead, &mut sixth] {
        begun(publishing).await;
    }
    let mut peer = played.welcomed().await;
    for expected in ["1", "3", "4"] {
        published = peer.published().await;
        assert_eq!(body(&published), expected);
        if expected != "3" {
            assert!(published.expiration < hour, "it has waited: {published:?}");
        }
    }
    // There is no room for more until one of them is confirmed.
    let mut seventh = publish("7", true, None);
    begun(&mut seventh).await;
    assert_eq!(amqp.counters().published, 7);
    peer.confirm(&published).await;
    for expected in ["5", "6", "7"] {
        published = peer.published().await;
        assert_eq!(body(&published), expected);
    }
    peer.confirm(&published).await;
    for publishing in [first, third, fourth, fifth, sixth, seventh] {
        assert_eq!(shortly("it is told", publishing).await.unwrap(), Receipt::Stored);
    }
    let dead = shortly("it is told", dead).await.unwrap_err();
    assert!(dead.kind == TransportErrorKind::Disconnected && dead.message.contains("time to live"), "{dead}");
    let counters = amqp.counters();
    assert_eq!((counters.repeated, counters.ambiguous, counters.given_up, counters.published), (2, 1, 1, 10));
}

/// The wait for room is a part of the time to live, as that for the link is.
#[tokio::test]
async fn what_waits_for_room_has_less_time_to_live() {
    let (_played, amqp, mut peer) = publishing(options().window(1)).await;
    let mut first = Box::pin(amqp.publish(frame("1")));
    begun(&mut first).await;
    let mut frame = frame("2");
    frame.ttl = Some(HOUR);
    let mut second = Box::pin(amqp.publish(frame));
    begun(&mut second).await;
    let published = peer.published().await;
    peer.confirm(&published).await;
    let published = peer.published().await;
    assert!(body(&published) == "2" && published.expiration < Some(3_600_000), "{published:?}");
    peer.confirm(&published).await;
    for publishing in [first, second] {
        assert_eq!(shortly("it is told", publishing).await.unwrap(), Receipt::Stored);
    }
}

/// A link is reported when its subscriptions are back, and not before: who is told of it and publishes finds them.
#[tokio::test]
async fn a_link_is_reported_when_its_subscriptions_are_back() {
    let (played, amqp, mut peer) = connected(options()).await;
    let mut links = amqp.links();
    assert!(matches!(change(&mut links).await, LinkChange::Up(_)));
    let (inbox, _) = tokio::join!(amqp.subscribe(requests(1)), subscribed(&mut peer));
    drop(peer);
    goes_down(&mut links).await;
    let mut peer = played.welcomed().await;
    let consumer = peer.consumer().await;
    assert_eq!(told(&mut links).await, None, "it does not consume yet");
    peer.answer(&consumer).await;
    assert!(matches!(change(&mut links).await, LinkChange::Up(link) if link.generation == 2));
    drop(inbox);
}

/// Channels that cannot be had are asked for again, none of them is left behind, and who waits for them is told why.
#[tokio::test]
async fn channels_that_cannot_be_had_are_asked_for_again() {
    let played = Played::start().await;
    let options = options().wait(Duration::from_secs(1));
    let (amqp, mut peer) = tokio::join!(Amqp::connect(played.url()).options(options), async {
        let mut peer = played.accept().await;
        peer.welcome(8).await;
        peer
    });
    let amqp = amqp.unwrap();
    let mut publishing = Box::pin(amqp.publish(frame("1")));
    // As from a broker that does not confirm.
    let refused = async {
        for round in 0..4 {
            let said = peer.until("confirm", |said| matches!(said, Said::ConfirmSelect(_))).await;
            let Said::ConfirmSelect(channel) = said else { panic!("{said:?}") };
            if round == 3 {
                peer.answer(&said).await;
                break;
            }
            peer.close_channel(channel, 403, "ACCESS_REFUSED - no confirms").await;
        }
        let published = peer.published().await;
        peer.confirm(&published).await;
    };
    tokio::select! {
        told = &mut publishing => panic!("it has channels now: {told:?}"),
        () = refused => {}
    }
    assert_eq!(shortly("it is told", publishing).await.unwrap(), Receipt::Stored);
}

/// The library has no second channel of a number that the broker has closed one of. Nobody hears of that: there are others, and when
/// there are none, another connection.
#[tokio::test]
async fn channels_that_the_broker_closes_are_not_used_up() {
    let played = Played::start().await;
    let few = async || {
        let mut peer = played.accept().await;
        peer.welcome(5).await;
        peer
    };
    let (amqp, mut peer) = tokio::join!(Amqp::connect(played.url()).options(options()), few());
    let amqp = amqp.unwrap();
    let (inbox, (channel, _)) = tokio::join!(amqp.subscribe(requests(1)), subscribed(&mut peer));
    let (mut inbox, mut taken) = (inbox.unwrap(), Vec::new());
    let (mut closed, mut connections) = (0, 1);
    let refusing = async {
        // As where a queue's node goes down.
        let mut consumer = Some(channel);
        while connections < 3 {
            if let Some(channel) = consumer {
                peer.close_channel(channel, 404, "NOT_FOUND - home node is down").await;
                closed += 1;
            }
            consumer = match peer.hear().await {
                Some(Said::Consume(channel, _)) => Some(channel),
                Some(said) => {
                    peer.answer(&said).await;
                    None
                }
                None => {
                    peer = few().await;
                    connections += 1;
                    None
                }
            }
        }
        let (channel, queue) = subscribed(&mut peer).await;
        peer.deliver(channel, &queue, 1, "at last").await;
    };
    let (received, ()) = tokio::join!(shortly("something comes", inbox.recv(&mut taken, 1)), refusing);
    assert_eq!((received.unwrap(), &*taken[0].payload), (1, &b"at last"[..]));
    assert!(closed >= 6, "every channel was used before: {closed}");
    assert_eq!((amqp.counters().connected, amqp.counters().channels_lost), (3, 1));
}

/// Without a channel left nobody subscribes, and that is said at once.
#[tokio::test]
async fn who_subscribes_without_a_channel_is_told() {
    let played = Played::start().await;
    let (amqp, mut peer) = tokio::join!(Amqp::connect(played.url()).options(options()), async {
        let mut peer = played.accept().await;
        peer.welcome(2).await;
        peer
    });
    let amqp = amqp.unwrap();
    let (told, ()) = tokio::join!(amqp.publish(frame("1")), async {
        let published = peer.published().await;
        peer.confirm(&published).await;
    });
    assert_eq!(told.unwrap(), Receipt::Stored);
    // Publishing has both.
    let told = shortly("it is told", amqp.subscribe(requests(1))).await.unwrap_err();
    assert!(told.kind == TransportErrorKind::Refused && told.message.contains("channel"), "{told}");
}

/// Whoever publishes where no channel can be had is told so when his time is over.
#[tokio::test]
async fn who_publishes_without_channels_is_told_why() {
    let played = Played::start().await;
    let connect = Amqp::connect(played.url()).options(options().wait(Duration::from_millis(300)));
    let (amqp, mut peer) = tokio::join!(connect, async {
        let mut peer = played.accept().await;
        peer.welcome(1).await;
        peer
    });
    let amqp = amqp.unwrap();
    tokio::select! {
        told = amqp.publish(frame("1")) => {
            let told = told.unwrap_err();
            assert!(told.kind == TransportErrorKind::Disconnected && told.message.contains("channel"), "{told}");
        }
        () = peer.gone() => panic!("it has gone"),
    }
}

/// A broker that welcomes and then throws out is dialled again after pauses, which grow while it does not do better.
#[tokio::test]
async fn a_broker_that_throws_out_whom_it_welcomes_is_not_dialled_without_pause() {
    let pause = Duration::from_millis(20);
    let (played, amqp, mut peer) = connected(options().pauses(pause, pause * 8)).await;
    let (inbox, _) = tokio::join!(amqp.subscribe(requests(1)), subscribed(&mut peer));
    let mut ended = Instant::now();
    peer.throw_out("once").await;
    for longest in [pause, pause, pause * 2, pause * 4, pause * 8, pause * 8] {
        let mut peer = played.accept().await;
        let paused = ended.elapsed();
        // Half of it at least: the rest is at random.
        assert!(paused >= longest / 2, "dialled after {paused:?} of {longest:?}");
        peer.welcome(2047).await;
        peer.until("a channel", |said| matches!(said, Said::ChannelOpen(_))).await;
        ended = Instant::now();
        peer.throw_out("again").await;
    }
    assert_eq!(amqp.counters().lost, 7);
    drop(inbox);
}

/// Whoever stops waiting for a connection, at whatever moment, leaves none behind.
#[tokio::test]
async fn a_connect_that_is_given_up_leaves_no_connection() {
    let played = Arc::new(Played::start().await);
    let (url, mut polls) = (played.url(), 1);
    loop {
        let mut connecting = Box::pin(Amqp::connect(url.as_str()).options(options()).into_future());
        let broker = tokio::spawn({
            let played = Arc::clone(&played);
            async move {
                let mut peer = played.accept().await;
                // It may go at any moment.
                let _ = tokio::spawn(async move {
                    peer.welcome(2047).await;
                    peer.gone().await;
                })
                .await;
            }
        });
        let mut left = polls;
        let connected = shortly(
            "connecting goes on",
            poll_fn(|cx| {
                if left == 0 {
                    return Poll::Ready(None);
                }
                left -= 1;
                connecting.as_mut().poll(cx).map(Some)
            }),
        )
        .await;
        drop(connecting);
        let done = connected.is_some();
        drop(connected.transpose().unwrap());
        shortly(&format!("the connection ends that was given up after {polls} steps"), broker).await.unwrap();
        if done {
            break;
        }
        polls += 1;
    }
    assert!(polls > 3, "there were moments to give it up at: {polls}");
}

/// A transport that is dropped ends, whatever else it has been told meanwhile and not come to.
#[tokio::test]
async fn a_transport_that_is_dropped_ends_whatever_it_was_told_before() {
    let (_played, amqp, mut peer) = connected(options()).await;
    let mut links = amqp.links();
    let mut pausing = Box::pin(amqp.pause(LinkId(1), Some(HOUR)));
    begun(&mut pausing).await;
    peer.until("that it leaves", |said| *said == Said::ConnectionClose).await;
    // It waits for the broker's word now. More than it keeps room for.
    let mut more: Vec<_> = (0..32).map(|_| Box::pin(amqp.pause(LinkId(1), Some(HOUR)))).collect();
    for pausing in &mut more {
        begun(pausing).await;
    }
    drop((more, pausing));
    drop(amqp);
    shortly("it ends", async { while links.next().await.is_some() {} }).await;
}

/// Whoever is stopped leaves what he has not received to others at once, and settles what he has.
#[tokio::test]
async fn what_a_stopped_subscription_has_not_received_is_for_others() {
    let (_played, amqp, mut peer) = connected(options()).await;
    let (inbox, (channel, queue)) = tokio::join!(amqp.subscribe(requests(10)), subscribed(&mut peer));
    let (mut inbox, mut taken) = (inbox.unwrap(), Vec::new());
    for tag in 1..=3 {
        peer.deliver(channel, &queue, tag, "x").await;
    }
    assert_eq!(shortly("one comes", inbox.recv(&mut taken, 1)).await.unwrap(), 1);
    inbox.stop();
    let said = |what| move |said: &Said| *said == what;
    let cancel = peer.until("cancel", said(Said::Cancel(channel, queue.clone()))).await;
    peer.until("that the second is for others", said(Said::Nack(channel, 2))).await;
    peer.until("that the third is for others", said(Said::Nack(channel, 3))).await;
    // What was on its way when it was stopped.
    peer.deliver(channel, &queue, 4, "x").await;
    peer.answer(&cancel).await;
    peer.until("that what comes late is for others", said(Said::Nack(channel, 4))).await;
    taken.remove(0).acker.settle(Disposition::Ack);
    peer.until("that the first is done with", said(Said::Ack(channel, 1))).await;
    drop(inbox);
}

/// So it is with one that is given to him only then: there was one before that he had not taken yet.
#[tokio::test]
async fn a_subscription_that_is_stopped_while_it_is_made_anew_keeps_nothing() {
    let (played, amqp, mut peer) = connected(options()).await;
    let mut links = amqp.links();
    let (inbox, _) = tokio::join!(amqp.subscribe(requests(10)), subscribed(&mut peer));
    let mut inbox = inbox.unwrap();
    drop(peer);
    goes_down(&mut links).await;
    let mut peer = played.welcomed().await;
    let (channel, queue) = subscribed(&mut peer).await;
    assert!(matches!(change(&mut links).await, LinkChange::Up(_)));
    peer.deliver(channel, &queue, 1, "x").await;
    inbox.stop();
    let said = |what| move |said: &Said| *said == what;
    let cancel = peer.until("cancel", said(Said::Cancel(channel, queue.clone()))).await;
    peer.answer(&cancel).await;
    peer.until("that it is for others", said(Said::Nack(channel, 1))).await;
    drop(inbox);
}

/// One that is stopped while the broker has not said yet that it is there is left again.
#[tokio::test]
async fn a_subscription_that_is_stopped_before_it_is_there_again_is_left() {
    let (played, amqp, mut peer) = connected(options()).await;
    let mut links = amqp.links();
    let (inbox, _) = tokio::join!(amqp.subscribe(requests(10)), subscribed(&mut peer));
    let mut inbox = inbox.unwrap();
    drop(peer);
    goes_down(&mut links).await;
    let mut peer = played.welcomed().await;
    let consumer = peer.consumer().await;
    let Said::Consume(channel, _) = consumer else { panic!("{consumer:?}") };
    inbox.stop();
    peer.answer(&consumer).await;
    peer.until("that it leaves", |said| *said == Said::ChannelClose(channel)).await;
    drop(inbox);
}

/// What needs no confirmation is on its way at once while there is a link, and waits for one while there is none: from the moment on at
/// which the loss is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_on_its_way_by_a_link_that_is_told_to_be_lost() {
    let (played, amqp, mut peer) = publishing(options()).await;
    let mut links = amqp.links();
    for round in 2..40 {
        // Publishing has its channels by now.
        drop(peer);
        goes_down(&mut links).await;
        let mut unconfirmed = frame("x");
        unconfirmed.mandatory = false;
        let mut publishing = Box::pin(amqp.publish(unconfirmed));
        begun(&mut publishing).await;
        peer = played.welcomed().await;
        let (told, published) = tokio::join!(publishing, peer.published());
        assert_eq!((told.unwrap(), body(&published)), (Receipt::Handed, "x"), "{round}");
    }
}

/// An exchange that goes with its last queue may go between its declaration and the binding: somebody else has just left.
#[tokio::test]
async fn an_exchange_that_goes_before_it_is_bound_is_declared_again() {
    let (_played, amqp, mut peer) = connected(options().exchange("kennel", Exchange::topic().auto_delete(true))).await;
    let heard = Subscription::new(Source::topic("kennel", "#"), Purpose::Events).sharing(Sharing::Broadcast).acknowledged(false);
    let (inbox, ()) = tokio::join!(amqp.subscribe(heard), async {
        let bind = peer.until("bind", |said| matches!(said, Said::Other(_, (50, 20)))).await;
        let Said::Other(channel, _) = bind else { panic!("{bind:?}") };
        peer.close_channel(channel, 404, "NOT_FOUND - no exchange 'kennel' in vhost '/'").await;
        let declare = peer.until("declare again", |said| matches!(said, Said::Other(_, (40, 10)))).await;
        peer.answer(&declare).await;
        subscribed(&mut peer).await;
    });
    inbox.unwrap();
}

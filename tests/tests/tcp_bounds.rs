//! The bounds of links over TCP, one at a time, and how a link ends: without endpoints.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rmi_core::transport::{
    Deliveries, Delivery, Destination, Disposition, Frame, LinkId, Purpose, Source, Subscription, Transport,
    tcp::{Options, Tcp},
};
use rmi_tests::{
    soon::soon,
    tcp::{Raw, link, quick, until},
};

const HOUR: Duration = Duration::from_secs(3600);

async fn listening(options: Options) -> Tcp {
    Tcp::listen("127.0.0.1:0").options(options).await.unwrap()
}

async fn receiving(tcp: &Tcp) -> Box<dyn Deliveries> {
    tcp.subscribe(Subscription::new(Source::Links, Purpose::Everything).acknowledged(false)).await.unwrap()
}

async fn raw(tcp: &Tcp) -> Raw {
    Raw::dial(tcp.local_addr().unwrap()).await
}

fn by(link: LinkId, said: &str) -> Frame {
    let mut frame = Frame::new(Destination::Link, said.to_owned());
    frame.link = Some(link);
    frame
}

async fn received(deliveries: &mut Box<dyn Deliveries>) -> Delivery {
    let mut arrived = Vec::new();
    soon("something arrives", deliveries.recv(&mut arrived, 1)).await.unwrap();
    arrived.remove(0)
}

#[tokio::test]
async fn a_line_that_was_begun_while_its_link_was_full_has_its_time() {
    let tcp = listening(quick().unsettled(1).line_time(Duration::from_millis(50))).await;
    let mut lines = receiving(&tcp).await;
    let mut peer = raw(&tcp).await;
    peer.send("one\ntwo, without an end").await;
    let one = received(&mut lines).await;
    one.acker.settle(Disposition::Ack);
    until(&tcp, "the second line has taken too long", |counters| counters.unfinished == 1).await;
}

#[tokio::test]
async fn the_turn_to_read_a_long_line_is_passed_on() {
    let tcp = listening(quick().memory(256 << 10).line_time(HOUR)).await;
    let mut lines = receiving(&tcp).await;
    // Together they have begun more than there is room for, and each no more than its share.
    let mut begun = Vec::new();
    for _ in 0..8 {
        let mut peer = raw(&tcp).await;
        peer.send("x".repeat(60 << 10)).await;
        begun.push(peer);
    }
    until(&tcp, "there is no more room", |counters| counters.held == 8 * (60 << 10)).await;
    // Whoever sends a whole long line now has the turn, and then nothing more to say.
    let mut first = raw(&tcp).await;
    first.send(format!("{}\n", "y".repeat(100 << 10))).await;
    received(&mut lines).await.acker.settle(Disposition::Ack);
    // So the turn is another's.
    begun[0].send(format!("{}\n", "x".repeat(300 << 10))).await;
    assert_eq!(received(&mut lines).await.payload.len(), 360 << 10);
}

#[tokio::test]
async fn what_lost_links_have_brought_is_bounded_by_the_number_of_links() {
    let tcp = listening(quick().max_links(8)).await;
    for number in 0..64 {
        let mut peer = raw(&tcp).await;
        peer.send(format!("{}\n", "x".repeat(1000))).await;
        until(&tcp, "it is taken or turned away", |c| c.received + c.refused > number).await;
        drop(peer);
        until(&tcp, "it is gone", |counters| counters.links == 0).await;
    }
    let counters = tcp.counters();
    assert!(counters.held <= 8 * 1000, "{counters:?}");
    assert_eq!((counters.received, counters.refused), (8, 56));
    // When that has been received there is room again.
    let mut lines = receiving(&tcp).await;
    for _ in 0..8 {
        drop(received(&mut lines).await);
    }
    raw(&tcp).await.send("again\n").await;
    assert_eq!(&received(&mut lines).await.payload[..], b"again");
}

#[tokio::test]
async fn what_was_sent_arrives_although_the_peer_had_more_to_say() {
    let tcp = listening(quick().unsettled(1)).await;
    let mut lines = receiving(&tcp).await;
    let mut peer = raw(&tcp).await;
    peer.send("first\n").await;
    let first = received(&mut lines).await;
    // It is not read any more: what it sends now stays in the system's hands.
    peer.send("unread\n".repeat(1000)).await;
    let said = "x".repeat(400 << 10);
    let frame = by(first.link, &said);
    tcp.publish(frame).await.unwrap();
    tcp.disconnect(first.link).await.unwrap();
    until(&tcp, "all of it is written", |counters| counters.sent == 1).await;
    assert_eq!(soon("all of it arrives", peer.rest()).await.unwrap().len(), said.len() + 1);
}

#[tokio::test]
async fn closing_twice_writes_what_waits() {
    let tcp = listening(quick().linger(HOUR)).await;
    let mut peer = raw(&tcp).await;
    let link = link(&tcp).await;
    let said = "x".repeat(16 << 20);
    tcp.publish(by(link, &said)).await.unwrap();
    let closing: Vec<_> = (0..2)
        .map(|_| {
            let tcp = tcp.clone();
            tokio::spawn(async move { tcp.close().await })
        })
        .collect();
    assert_eq!(soon("all of it arrives", peer.rest()).await.unwrap().len(), said.len() + 1);
    drop(peer);
    for closing in closing {
        soon("it is closed", closing).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_link_that_is_left_is_gone_although_its_peer_takes_nothing() {
    let tcp = listening(quick().linger(Duration::from_millis(50)).wait(HOUR).max_links(1)).await;
    let mut lines = receiving(&tcp).await;
    let mut peer = raw(&tcp).await;
    peer.send("here I am\n").await;
    let link = received(&mut lines).await.link;
    tcp.publish(by(link, &"x".repeat(16 << 20))).await.unwrap();
    until(&tcp, "its socket is full", |counters| counters.bytes_sent > 0).await;
    tcp.disconnect(link).await.unwrap();
    // Its place is another's.
    soon("another is let in", async {
        while tcp.counters().opened < 2 {
            raw(&tcp).await.send("and I\n").await;
        }
    })
    .await;
    drop(peer);
}

#[tokio::test]
async fn who_brings_nothing_that_is_let_in_is_not_kept() {
    let tcp = listening(quick().identify(Duration::from_millis(100))).await;
    let mut lines = receiving(&tcp).await;
    let mut silent = raw(&tcp).await;
    silent.is_closed().await;
    let mut refused = raw(&tcp).await;
    refused.send("what is this?\n").await;
    received(&mut lines).await.acker.settle(Disposition::Discard);
    refused.is_closed().await;
    assert_eq!(tcp.counters().unidentified, 2);
    // Not before it is known what becomes of what it brought, and never when that was let in.
    let mut known = raw(&tcp).await;
    known.send("a question\n").await;
    let question = received(&mut lines).await;
    for _ in 0..3 {
        raw(&tcp).await.is_closed().await;
    }
    assert_eq!((tcp.counters().unidentified, tcp.counters().links), (5, 1));
    question.acker.settle(Disposition::Ack);
    for _ in 0..3 {
        raw(&tcp).await.is_closed().await;
    }
    assert_eq!((tcp.counters().unidentified, tcp.counters().links), (8, 1));
    // Whoever dials keeps a peer that has nothing to say.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = quick().identify(Duration::from_millis(1));
    let dialler = Tcp::connect(mute.local_addr().unwrap().to_string()).options(options).await.unwrap();
    raw(&tcp).await.is_closed().await;
    assert_eq!(dialler.counters().links, 1);
}

#[tokio::test]
async fn the_pauses_of_a_dialler_begin_anew_when_something_has_come() {
    let curt = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = quick().pauses(Duration::from_millis(1), HOUR);
    let dialler = Tcp::connect(curt.local_addr().unwrap().to_string()).options(options).await.unwrap();
    // Were it not so, the last would come after hours.
    for _ in 0..24 {
        let (mut link, _) = soon("it is dialled again", curt.accept()).await.unwrap();
        let received = dialler.counters().received;
        tokio::io::AsyncWriteExt::write_all(&mut link, b"not now\n").await.unwrap();
        until(&dialler, "it is heard", |counters| counters.received > received).await;
    }
}

#[tokio::test]
async fn any_time_can_be_asked_for_signs_of_life() {
    let tcp = listening(quick().keepalive(Duration::MAX)).await;
    for after in [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(40_000), Duration::MAX] {
        let dialled = Tcp::connect(tcp.local_addr().unwrap().to_string()).options(quick().keepalive(after)).await;
        dialled.unwrap_or_else(|error| panic!("{after:?}: {error}"));
    }
    until(&tcp, "all were taken", |counters| counters.opened == 4).await;
    assert_eq!(tcp.counters().not_accepted, 0);
}

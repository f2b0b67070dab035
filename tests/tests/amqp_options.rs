//! How a broker is reached, and what a connection to it survives: credentials, TLS, several brokers, a broker that is killed, stands
//! still or takes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, sync::LazyLock, time::Duration};

use rmi_amqp::{Amqp, Sasl, Tls};
use rmi_core::transport::{
    Destination, Disposition, Frame, LinkChange, Purpose, Receipt, Sharing, Source, Subscription, Transport, TransportErrorKind,
};
use rmi_tests::{
    amqp::{address, next, options, proxied, text, url},
    certificates::{Authority, Identity},
    ports::Port,
    rabbit::Rabbit,
    soon::soon,
};
use tempfile::TempDir;

/// The part of a URL behind the credentials.
fn at(url: &str) -> &str {
    url.split_once('@').unwrap().1
}

async fn fails(connect: rmi_amqp::Connect) -> String {
    let error = soon("connecting ends", connect.into_future()).await.expect_err("it cannot connect");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("secret"), "{shown}");
    shown
}

#[tokio::test]
async fn what_is_wrong_is_told_without_the_password() {
    let url = url().await;
    let told = fails(Amqp::connect(format!("amqp://guest:secret@{}", at(&url)))).await;
    assert!(told.contains("`guest`"), "{told}");
    let told = fails(Amqp::connect(format!("amqp://guest:guest@{}/nowhere", address(&url))).credentials("guest", "guest")).await;
    assert!(told.contains("nowhere"), "{told}");
    let told = fails(Amqp::connect("amqp://dog:secret@127.0.0.1:1")).await;
    assert!(told.contains("127.0.0.1:1"), "{told}");
    let told = fails(Amqp::connect("amqp://dog:secret@broker/%zz")).await;
    assert!(told.contains('%'), "{told}");
    let told = fails(Amqp::connect("amqp://dog:secret@broker?heartbeet=7")).await;
    assert!(told.contains("heartbeet"), "{told}");
    assert!(!format!("{:?}", Amqp::connect("amqp://dog:secret@broker").credentials("x", "secret")).contains("secret"));
}

#[tokio::test]
async fn who_one_is_may_be_said_in_several_ways() {
    let url = url().await;
    for options in [options().sasl(Sasl::AmqPlain), options().sasl(Sasl::Plain).heartbeat(Duration::from_secs(1)).frame_max(4096)]
    {
        let amqp =
            Amqp::connect(format!("amqp://x:y@{}", at(&url))).credentials("guest", "guest").options(options).await.unwrap();
        let mut inbox = amqp.subscribe(alone("options.ways")).await.unwrap();
        let long = "x".repeat(100_000);
        amqp.publish(frame("options.ways", long.as_str())).await.unwrap();
        assert_eq!(text(&next(&mut inbox).await), long);
        amqp.close().await.unwrap();
    }
    Amqp::connect(format!("{url}?auth_mechanism=amqplain&heartbeat=3")).await.unwrap();
}

#[tokio::test]
async fn the_first_broker_that_answers_is_taken() {
    let url = url().await;
    let several = format!("amqp://guest:guest@127.0.0.1:1,{}", at(&url));
    let amqp = Amqp::connect(several).options(options()).await.unwrap();
    assert_eq!((amqp.counters().connected, amqp.counters().connect_failed), (1, 1));
}

#[tokio::test]
async fn whoever_is_patient_waits_for_the_broker() {
    let url = url().await;
    let (proxy, through) = proxied(&url).await;
    proxy.refuse(true);
    assert!(Amqp::connect(&through).options(options()).await.is_err());
    let amqp = Amqp::connect(&through).options(options()).patiently().await.unwrap();
    let publishing = amqp.publish(frame("options.nobody", "x"));
    proxy.refuse(false);
    assert_eq!(soon("it is connected", publishing).await.unwrap(), Receipt::NoRoute);
}

fn alone(address: &str) -> Subscription {
    Subscription::new(Source::Address(address.into()), Purpose::Requests).sharing(Sharing::Exclusive)
}

fn frame(address: &str, payload: &str) -> Frame {
    let mut frame = Frame::new(Destination::Address(address.into()), payload.to_owned());
    (frame.mandatory, frame.persistent, frame.repeatable) = (true, true, true);
    frame
}

/// The threads of the client library, of which each connection has one.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks.filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with("lapin"))).count()
}

/// Twenty connections that are made, used and dropped, closed, or given up while they are being made leave nothing behind: the broker
/// has no consumer of theirs, and this process no thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_dropped_leaves_nothing() {
    let url = url().await;
    let (proxy, silent) = proxied(&url).await;
    proxy.stall();
    for round in 0..20 {
        if round % 5 == 4 {
            let impatient = options().connect_timeout(Duration::from_millis(50));
            let told = fails(Amqp::connect(&silent).options(impatient)).await;
            assert!(told.contains("does not answer"), "{told}");
            continue;
        }
        let amqp = Amqp::connect(&url).options(options().wait(Duration::from_secs(20))).await.unwrap();
        let inbox = soon("the one before has gone", async {
            loop {
                match amqp.subscribe(alone("options.dropped")).await {
                    Ok(inbox) => break inbox,
                    Err(error) => assert_eq!(error.kind, TransportErrorKind::Refused, "{error}"),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        amqp.publish(frame("options.dropped", "x")).await.unwrap();
        if round % 2 == 0 {
            amqp.close().await.unwrap();
        }
        drop((inbox, amqp));
    }
    // Other tests of this process have connections as well, which come and go.
    soon("the threads have ended", async {
        while threads() > 12 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// A cable is out: nobody says so, and it is noticed all the same. What was on its way is sent again where that is allowed.
#[tokio::test]
async fn a_link_that_is_silent_is_lost() {
    let url = url().await;
    let (proxy, through) = proxied(&url).await;
    let quick = options().heartbeat(Duration::from_secs(1)).connect_timeout(Duration::from_secs(1));
    let amqp = Amqp::connect(through).options(quick).await.unwrap();
    let agent = Amqp::connect(url).options(options()).await.unwrap();
    let mut inbox = agent.subscribe(alone("options.silent")).await.unwrap();
    let mut links = amqp.links();
    assert!(matches!(links.next().await, Some(LinkChange::Up(_))));
    proxy.stall();
    let again = amqp.publish(frame("options.silent", "again"));
    let mut once = frame("options.silent", "once");
    once.repeatable = false;
    let (again, once, ()) = tokio::join!(again, amqp.publish(once), async {
        let LinkChange::Down(..) = soon("the silence is noticed", links.next()).await.unwrap() else { panic!("it went down") };
        proxy.cut();
        proxy.flow();
        let LinkChange::Up(link) = soon("it is there again", links.next()).await.unwrap() else { panic!("it came up") };
        assert_eq!(link.generation, 2);
    });
    assert_eq!(again.unwrap(), Receipt::Stored);
    assert_eq!(once.unwrap_err().kind, TransportErrorKind::Ambiguous);
    loop {
        // What the proxy still had may come as well: that is what `repeatable` allows.
        let delivery = next(&mut inbox).await;
        let found = text(&delivery);
        delivery.acker.settle(Disposition::Ack);
        if found == "again" {
            break;
        }
        assert_eq!(found, "once");
    }
    assert!(amqp.counters().lost == 1 && amqp.counters().repeated >= 1, "{:?}", amqp.counters());
}

/// A broker of this file's own, with TLS.
struct Own {
    rabbit: Rabbit,
    authority: Authority,
    port: Port,
    _files: TempDir,
}

static OWN: LazyLock<Own> = LazyLock::new(|| {
    let (authority, files) = (Authority::new(), TempDir::new().unwrap());
    let Identity { chain, key } = authority.vouch(&["broker.example"]);
    let file = |name: &str, text: &str| {
        let path = files.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let port = Port::claim();
    let config = format!(
        "listeners.ssl.1 = 127.0.0.1:{}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
         ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n\
         auth_mechanisms.1 = PLAIN\nauth_mechanisms.2 = AMQPLAIN\nauth_mechanisms.3 = EXTERNAL\nssl_cert_login_from = common_name\n",
        port.number(),
        file("ca.pem", &authority.pem()),
        file("cert.pem", &chain),
        file("key.pem", &key),
    );
    Own { rabbit: Rabbit::with_plugins(&config, &["rabbitmq_auth_mechanism_ssl"]), authority, port, _files: files }
});

/// The broker, for as long as the guard is kept: one test kills it.
async fn own() -> (&'static Own, tokio::sync::MutexGuard<'static, ()>) {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let turn = TURN.lock().await;
    (tokio::task::spawn_blocking(|| &*OWN).await.unwrap(), turn)
}

/// With TLS only those are talked to who are trusted, and only those are let in who show a certificate.
#[tokio::test]
async fn both_ends_prove_who_they_are() {
    let (Own { authority, port, .. }, _turn) = own().await;
    let url = format!("amqps://guest:guest@127.0.0.1:{}", port.number());
    let Identity { chain, key } = authority.vouch(&["dog"]);
    let trusting = || Tls::trusts(authority.pem()).unwrap().server_name("broker.example");
    let tls = trusting().presents(&chain, &key).unwrap();
    let amqp = Amqp::connect(&url).options(options()).tls(tls.clone()).await.unwrap();
    let mut inbox = amqp.subscribe(alone("options.tls")).await.unwrap();
    let long = "x".repeat(300_000);
    amqp.publish(frame("options.tls", &long)).await.unwrap();
    assert_eq!(text(&next(&mut inbox).await), long);

    fails(Amqp::connect(&url).options(options()).tls(trusting())).await;
    let told = fails(Amqp::connect(&url).options(options()).tls(tls.clone().server_name("other.example"))).await;
    assert!(told.contains("TLS"), "{told}");
    let stranger = Tls::trusts(Authority::new().pem()).unwrap().server_name("broker.example").presents(&chain, &key).unwrap();
    fails(Amqp::connect(&url).options(options()).tls(stranger)).await;
    let error = trusting().presents(&chain, authority.vouch(&["other"]).key).unwrap_err();
    assert!(error.message.contains("certificate"), "{error}");
}

/// Who one is may be said by the certificate alone.
#[tokio::test]
async fn a_certificate_says_who_one_is() {
    let (Own { rabbit, authority, port, .. }, _turn) = own().await;
    tokio::task::spawn_blocking(|| {
        rabbit.ctl(&["add_user", "rex", "not used"]);
        rabbit.ctl(&["set_permissions", "rex", ".*", ".*", ".*"]);
    })
    .await
    .unwrap();
    let named = |name: &str| {
        let Identity { chain, key } = authority.vouch_with(&["client.example"], |params| {
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
        });
        Tls::trusts(authority.pem()).unwrap().server_name("broker.example").presents(chain, key).unwrap()
    };
    let url = format!("amqps://127.0.0.1:{}", port.number());
    let external = || options().sasl(Sasl::External);
    let amqp = Amqp::connect(&url).options(external()).tls(named("rex")).await.unwrap();
    let mut inbox = amqp.subscribe(alone("options.external")).await.unwrap();
    amqp.publish(frame("options.external", "x")).await.unwrap();
    assert_eq!(text(&next(&mut inbox).await), "x");
    let users =
        tokio::task::spawn_blocking(|| rabbit.ctl(&["list_connections", "user", "auth_mechanism", "--silent"])).await.unwrap();
    assert!(users.lines().any(|line| line.split_whitespace().eq(["rex", "EXTERNAL"])), "{users}");
    // Whom the broker does not know.
    let told = fails(Amqp::connect(format!("{url}?auth_mechanism=external")).options(options()).tls(named("max"))).await;
    assert!(told.contains("certificate") && !told.contains("guest"), "{told}");
}

/// A broker that is short of memory takes nothing: that is told, and waited for. One that is killed comes back with what was
/// persistent, and everything goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_takes_nothing_for_a_while_is_killed_and_comes_back() {
    let (own, _turn) = own().await;
    let blocking = |work: fn(&Rabbit)| tokio::task::spawn_blocking(move || work(&OWN.rabbit));
    let amqp = Amqp::connect(own.rabbit.url()).options(options().wait(Duration::from_secs(60))).await.unwrap();
    let queue = Subscription::new(Source::Address("options.kept".into()), Purpose::Requests).durable(true);
    let mut inbox = amqp.subscribe(queue).await.unwrap();
    amqp.publish(frame("options.kept", "before")).await.unwrap();
    let before = next(&mut inbox).await;
    assert_eq!(text(&before), "before");
    before.acker.settle(Disposition::Ack);

    blocking(|rabbit| rabbit.memory_limit(0.0)).await.unwrap();
    // Who publishes is told, and not before.
    let first = frame("options.kept", "first");
    let mut publishing = Box::pin(amqp.publish(first));
    soon("it is told", async {
        while amqp.blocked().is_none() {
            let _ = tokio::time::timeout(Duration::from_millis(10), &mut publishing).await;
        }
    })
    .await;
    assert_eq!(amqp.counters().blocked, 1);
    let second = amqp.publish(frame("options.kept", "second"));
    blocking(|rabbit| rabbit.memory_limit(0.6)).await.unwrap();
    assert_eq!(soon("it takes messages again", publishing).await.unwrap(), Receipt::Stored);
    assert_eq!(soon("it takes messages again", second).await.unwrap(), Receipt::Stored);

    let mut links = amqp.links();
    links.next().await;
    blocking(Rabbit::kill).await.unwrap();
    let LinkChange::Down(..) = soon("it is noticed", links.next()).await.unwrap() else { panic!("it is down") };
    let after = amqp.publish(frame("options.kept", "after"));
    let (told, ()) = tokio::join!(after, async { blocking(Rabbit::restart).await.unwrap() });
    assert_eq!(told.unwrap(), Receipt::Stored);
    for expected in ["first", "second", "after"] {
        let delivery = next(&mut inbox).await;
        assert_eq!(text(&delivery), expected);
        delivery.acker.settle(Disposition::Ack);
    }
}

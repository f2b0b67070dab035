//! What connections and endpoints cost that do nothing.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use lapin::{Connection, ConnectionProperties};
use rmi_amqp::Amqp;
use rmi_benches::{
    Error,
    broker::Broker,
    load::Echo as _,
    process,
    rmi::{Inline, ParrotClient, ParrotServer, Polly},
    spread::Spread,
};
use rmi_core::{Endpoint, Native, Trust, transport::Transport};
use tokio::{runtime::Runtime, task::JoinSet};

/// How many connections are made one after the other, and how many are held.
const CONNECTIONS: usize = 50;
/// How many endpoints there are in one process.
const ENDPOINTS: usize = 1000;
/// How many of them share a connection: each has some channels, of which RabbitMQ allows 2047 to a connection.
const SHARING: usize = 250;
/// How many are started at a time.
const AT_A_TIME: usize = 16;

/// Measures and prints.
pub(crate) fn measure(runtime: &Runtime, broker: &Broker) -> Result<(), Error> {
    println!("\nto connect and to leave, {CONNECTIONS} times one after the other");
    println!("{:<24} {:>27} {:>8} {:>10}", "what", "ms: min / median / max", "CPU us", "broker us");
    let url = broker.url();
    let connect = async || Ok::<_, Error>(Amqp::connect(url).options(super::safest()).await?);
    runtime.block_on(async {
        each(broker, "lapin", async |_| {
            let connection = Connection::connect(url, ConnectionProperties::default()).await?;
            Ok(connection.close(200, "OK".into()).await?)
        })
        .await?;
        each(broker, "Amqp", async |_| Ok(connect().await?.close().await?)).await?;
        each(broker, "an agent on it", async |number| {
            let agent = agent(format!("hermit{number}"), connect().await?).await?;
            let _ = agent.shutdown(Duration::from_secs(5)).await?;
            Ok(())
        })
        .await
    })?;

    println!("\nto hold and do nothing");
    println!("{:<46} {:>9} {:>14} {:>14} {:>9}", "what", "ms each", "own KiB each", "broker KiB", "CPU us/s");
    runtime.block_on(async {
        let open = async |_| Ok(Connection::connect(url, ConnectionProperties::default()).await?);
        // They stay: what they leave behind would be taken by those that come after them.
        let _held = hold(broker, "connections of lapin", CONNECTIONS, open).await?;
        let held = hold(broker, "connections of Amqp", CONNECTIONS, async |_| connect().await).await?;
        for connection in held {
            connection.close().await?;
        }
        let mut shared = Vec::new();
        for _ in 0..ENDPOINTS / SHARING {
            shared.push(Arc::new(connect().await?));
        }
        let what = format!("agents of one process, {SHARING} to a connection");
        let start = async |number: usize| agent(format!("monk{number}"), Arc::clone(&shared[number / SHARING])).await;
        let agents = hold(broker, &what, ENDPOINTS, start).await?;
        let caller = Endpoint::builder("abbot").bind(Native::default(), connect().await?, Trust::insecure()).start().await?;
        let begun = Instant::now();
        for number in 0..ENDPOINTS {
            let client: ParrotClient = caller.client(format!("monk{number}"));
            Inline(client).echo(rmi_benches::text(32)).await?;
        }
        let each = begun.elapsed().as_secs_f64() * 1e6 / ENDPOINTS as f64;
        println!("each of them was called once, one after the other: {each:.0} us a call");
        let mut leaving = JoinSet::new();
        for agent in agents {
            leaving.spawn(async move { agent.shutdown(Duration::from_secs(5)).await.map(|_| ()) });
        }
        while let Some(left) = leaving.join_next().await {
            left??;
        }
        let _ = caller.shutdown(Duration::from_secs(5)).await?;
        Ok(())
    })
}

async fn agent(name: String, transport: impl Transport) -> Result<Endpoint, Error> {
    let agent = Endpoint::builder(name).bind(Native::default(), transport, Trust::insecure());
    Ok(agent.serve(ParrotServer::new(Polly)).start().await?)
}

/// Does something again and again, and prints what it takes.
async fn each(broker: &Broker, what: &str, act: impl AsyncFn(usize) -> Result<(), Error>) -> Result<(), Error> {
    let mut times = Vec::with_capacity(CONNECTIONS);
    let (own, others) = (process::cpu(), by(broker)?);
    for number in 0..CONNECTIONS {
        let begun = Instant::now();
        act(number).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let micros = |used: Duration| used.as_secs_f64() * 1e6 / CONNECTIONS as f64;
    let (own, others) = (micros(process::cpu() - own), micros(by(broker)?.saturating_sub(others)));
    let spread = Spread::of(times).ok_or("nothing was done")?;
    println!("{what:<24} {:>27} {own:>8.0} {others:>10.0}", spread.to_string());
    Ok(())
}

/// Makes so many, prints what each takes of memory, and, all together, of a core while nothing is done.
async fn hold<T, F: Future<Output = Result<T, Error>>>(
    broker: &Broker,
    what: &str,
    many: usize,
    make: impl Fn(usize) -> F,
) -> Result<Vec<T>, Error> {
    const IDLE: Duration = Duration::from_secs(2);
    let memory = || Ok::<_, Error>((process::resident()? as f64, broker.resident()?.unwrap_or(0) as f64));
    let (before, begun) = (memory()?, Instant::now());
    let mut held = Vec::with_capacity(many);
    let mut numbers = 0..many;
    loop {
        let some: Vec<_> = numbers.by_ref().take(AT_A_TIME).map(&make).collect();
        if some.is_empty() {
            break;
        }
        held.append(&mut futures_util::future::try_join_all(some).await?);
    }
    let took = begun.elapsed().as_secs_f64() * 1e3 / many as f64;
    let used = process::cpu();
    tokio::time::sleep(IDLE).await;
    let idle = (process::cpu() - used).as_secs_f64() * 1e6 / IDLE.as_secs_f64();
    let after = memory()?;
    let each = |after: f64, before: f64| (after - before) / many as f64 / 1024.0;
    let (own, others) = (each(after.0, before.0), each(after.1, before.1));
    println!("{:<46} {took:>9.2} {own:>14.1} {others:>14.1} {idle:>9.0}", format!("{many} {what}"));
    Ok(held)
}

fn by(broker: &Broker) -> Result<Duration, Error> {
    broker.pid().map_or(Ok(Duration::ZERO), process::cpu_of)
}

//! Events over the in-memory bus to many subscribers, each of which verifies for itself what was signed once.
//!
//! A case is named `unsigned/subscribers` or `signed/subscribers`: `signed/64`.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use rmi_benches::{
    Error,
    options::{self, Options},
    process,
    rmi::{AGENT, CALLER, Sealing},
    spread::{Spread, grouped, or_dash},
};
use rmi_core::{Ed25519, Endpoint, Keyring, Memory, Native, RemoteEvent, Trust, endpoint::Events, seal::PrivateKey};
use tokio::runtime::Runtime;

/// How many subscribers there are.
const SUBSCRIBERS: [usize; 3] = [1, 8, 64];
/// How many events are published before the subscribers are waited for: none has to be dropped.
const BURST: u64 = 32;

/// What parrots do.
#[derive(Debug, RemoteEvent)]
#[remote(key = "parrot.spoke.{name}")]
struct Spoke {
    name: u64,
    words: String,
}

/// One publisher, and those who listen to it.
struct Aviary {
    name: String,
    publisher: Endpoint,
    listener: Endpoint,
    listening: Vec<Events<Spoke>>,
    published: u64,
    rounds: Vec<Sample>,
}

/// What one round of a case took.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Events that were received by all, in a second.
    throughput: f64,
    /// CPU time of an event, in microseconds.
    cpu: f64,
}

fn main() -> ExitCode {
    options::run(bench)
}

fn bench(options: &Options) -> Result<(), Error> {
    let Options { rounds, window, .. } = options;
    println!("events: {options}, 32 bytes; {}", process::machine());
    let runtime = Runtime::new()?;
    let mut aviaries = Vec::new();
    for (sealing, word) in [(Sealing::Unsigned, "unsigned"), (Sealing::Signed, "signed")] {
        for subscribers in SUBSCRIBERS {
            let name = format!("{word}/{subscribers}");
            if options.wants(&name) {
                aviaries.push(runtime.block_on(Aviary::open(name, sealing, subscribers))?);
            }
        }
    }
    for _ in 0..*rounds {
        for aviary in &mut aviaries {
            let sample = runtime.block_on(aviary.listen(*window))?;
            aviary.rounds.push(sample);
        }
    }
    println!("\n{:>12} {:>12} {:>26} {:>26}", "case", "events/s", "CPU µs an event", "CPU µs a delivery");
    for aviary in aviaries {
        aviary.print();
        runtime.block_on(aviary.close())?;
    }
    Ok(())
}

impl Aviary {
    async fn open(name: String, sealing: Sealing, subscribers: usize) -> Result<Self, Error> {
        let bus = Memory::new();
        let (publishing, listening): (Trust, Trust) = match sealing {
            Sealing::Unsigned => (Trust::insecure(), Trust::insecure()),
            Sealing::Signed => {
                let (publisher, listener) = (PrivateKey::generate()?, PrivateKey::generate()?);
                let keyring = Keyring::new();
                keyring.trust(AGENT, publisher.public())?;
                keyring.trust(CALLER, listener.public())?;
                (Ed25519::new(publisher, keyring.clone()).into(), Ed25519::new(listener, keyring).into())
            }
        };
        let publisher = Endpoint::builder(AGENT).bind(Native::default(), bus.clone(), publishing).start().await?;
        let listener = Endpoint::builder(CALLER).bind(Native::default(), bus, listening).start().await?;
        let mut all = Vec::with_capacity(subscribers);
        for _ in 0..subscribers {
            all.push(listener.subscribe::<Spoke>().await?);
        }
        Ok(Aviary { name, publisher, listener, listening: all, published: 0, rounds: Vec::new() })
    }

    /// Publishes in bursts, each of which everybody has heard before the next one.
    async fn listen(&mut self, window: Duration) -> Result<Sample, Error> {
        let (begun, used, before) = (Instant::now(), process::cpu(), self.published);
        while begun.elapsed() < window {
            let first = self.published;
            for name in first..first + BURST {
                self.publisher.publish(&Spoke { name, words: rmi_benches::text(32) }).await?;
            }
            self.published += BURST;
            for events in &mut self.listening {
                for name in first..first + BURST {
                    let heard = events.next().await.ok_or("the subscription has ended")??;
                    if heard.event.name != name || heard.event.words.len() != 32 {
                        return Err(format!("event {name} came as {heard:?}").into());
                    }
                }
            }
        }
        let events = (self.published - before) as f64;
        Ok(Sample {
            throughput: events / begun.elapsed().as_secs_f64(),
            cpu: (process::cpu() - used).as_secs_f64() / events * 1e6,
        })
    }

    fn print(&self) {
        let throughput = Spread::of(self.rounds.iter().map(|round| round.throughput));
        let cpu = |by: f64| or_dash(Spread::of(self.rounds.iter().map(|round| round.cpu / by)));
        let throughput = throughput.map_or_else(|| "-".to_owned(), |spread| grouped(spread.median));
        println!("{:>12} {throughput:>12} {:>26} {:>26}", self.name, cpu(1.0), cpu(self.listening.len() as f64));
    }

    async fn close(self) -> Result<(), Error> {
        const GRACE: Duration = Duration::from_secs(5);
        let _ = self.publisher.shutdown(GRACE).await?;
        let _ = self.listener.shutdown(GRACE).await?;
        Ok(())
    }
}

//! Every calling style, one after the other.

use std::{
    convert::Infallible,
    error::Error,
    io::{IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rmi_core::{
    CallError, Client, Ed25519, Endpoint, Keyring, Limits, Memory, Native,
    call::{Callback, Update},
    message::Progress,
    seal::PrivateKey,
};
use serde_json::{Value, json};

use crate::{
    Chance, CowboyArgs, CowboyClient, CowboyServer, DogArgs, DogClient, DogError, DogEvent, DogModuleServer, DogServer, Module,
    Ranch,
};

mod forger;

type Outcome = Result<(), Box<dyn Error>>;

/// Runs the demonstration.
///
/// # Errors
///
/// Something did not go as it is shown.
pub async fn run() -> Outcome {
    let bus = Memory::new();
    let (agent_key, caller_key) = (PrivateKey::generate()?, PrivateKey::generate()?);
    let keyring = Keyring::new();
    keyring.trust("dog", agent_key.public())?;
    keyring.trust("walker", caller_key.public())?;

    let barks = Arc::new(AtomicU64::new(0));
    let agent = agent(&bus, Ed25519::new(agent_key, keyring.clone()), &barks).await?;
    let walker = Endpoint::builder("walker")
        .bind(Native::default(), bus.clone(), Ed25519::new(caller_key.clone(), keyring.clone()))
        .start()
        .await?;

    waiting(&walker).await?;
    watching(&walker).await?;
    elsewhere(&walker).await?;
    without_a_contract(&walker).await?;
    listening(&walker).await?;
    failures(&walker).await?;
    forger::run(&bus, &walker, &agent, caller_key, keyring, &barks).await?;

    let _ = walker.shutdown(Duration::from_secs(5)).await?;
    let drained = agent.shutdown(Duration::from_secs(5)).await?;
    say("shut down", &format!("drained, {} handlers left behind", drained.left_behind));
    Ok(())
}

async fn agent(bus: &Memory, trust: Ed25519, barks: &Arc<AtomicU64>) -> Result<Endpoint, Box<dyn Error>> {
    let barks = Arc::clone(barks);
    let endpoint = Endpoint::builder("dog")
        .bind(Native::default(), bus.clone(), trust)
        .serve(DogServer::per_call(move |me: DogArgs| Ok::<_, Infallible>(Chance::new(me, Arc::clone(&barks)))))
        .serve(CowboyServer::per_call(|he: CowboyArgs| Ok::<_, Infallible>(Ranch(he))))
        .serve(DogModuleServer::new(Module))
        .concurrency(16)
        .limits(Limits::default().payload(1 << 20))
        .start()
        .await?;
    Ok(endpoint)
}

async fn waiting(walker: &Endpoint) -> Outcome {
    let dog: DogClient = walker.client("dog");
    say("await", &dog.bark("hello").await?);

    let rex = dog.with_cntr(&DogArgs { name: "rex".to_owned(), age: 3 })?;
    say("constructor", &format!("{:?}", rex.who().await?));

    let cowboy: CowboyClient = walker.client("dog");
    say("another class", &cowboy.with_cntr(&json!({"name": "Roy"}))?.howdy().await?);

    let bounded = dog.bark("quick").timeout(Duration::from_secs(2)).ttl(Duration::from_secs(1)).data(json!({"job": 7}));
    say("timeout, ttl, data", &bounded.await?);
    Ok(())
}

async fn watching(walker: &Endpoint) -> Outcome {
    let dog: DogClient = walker.client("dog");

    let mut wagging = dog.wag(20, 0.02).send().await?;
    while let Some(update) = wagging.next().await {
        match update? {
            Update::Accepted => say("send and watch", "accepted"),
            Update::Started => say("", "started"),
            Update::Progress(step) => bar(&step),
            Update::Done(result) => say("", &result),
        }
    }

    struct Ui;
    impl Callback<String, Infallible, String> for Ui {
        fn progress(&mut self, step: Progress<String>) {
            bar(&step);
        }
        fn succeeded(&mut self, result: String) {
            say("callback", &result);
        }
    }
    dog.wag(5, 0.02).send().await?.attach(Ui).await;

    let mut napping = dog.cancellable(60.0).send().await?;
    while !matches!(napping.next().await.ok_or("no end")??, Update::Started) {}
    napping.cancel().await?;
    say("cancel", &napping.await?);
    Ok(())
}

async fn elsewhere(walker: &Endpoint) -> Outcome {
    let dog: DogClient = walker.client("dog");

    let mut replies = walker.replies("walker.log").await?;
    let sn = dog.bark("for the log").data("log").reply_to("walker.log").send().await?;
    let reply = replies.next().await.ok_or("no reply")?;
    assert_same(Some(&sn), reply.sn.as_ref())?;
    let words: String = reply.body.decode::<_, Infallible>().ok_or("not the outcome")??;
    say("reply elsewhere", &format!("{words} (data {})", reply.data.unwrap_or_default()));

    let later = dog.bark("later").prepare();
    say("manual trigger", &format!("serial number {} is known before the call", later.sn()));
    say("", &later.trigger().await?);

    dog.bark("nobody waits").notify().await?;
    say("fire and forget", "sent");
    Ok(())
}

async fn without_a_contract(walker: &Endpoint) -> Outcome {
    let dog = walker.peer("dog").class("dog");
    let echoed: Value = dog.call("echo", [json!({"any": ["json", 1]})]).await?;
    say("no contract", &echoed.to_string());
    Ok(())
}

async fn listening(walker: &Endpoint) -> Outcome {
    let dog: DogClient = walker.client("dog");
    let mut barking = walker.subscribe::<DogEvent>().key("dog.barked.chance").await?;
    dog.bark_times("woof", 2).await?;
    let heard = barking.next().await.ok_or("no event")??;
    say("event", &format!("{:?}, by {}", heard.event, heard.principal));
    Ok(())
}

async fn failures(walker: &Endpoint) -> Outcome {
    let dog: DogClient = walker.client("dog");
    match dog.sit().await {
        Err(CallError::Remote(DogError::Value(words, number))) => {
            say("typed exception", &format!("ValueError({words:?}, {number}), which a Python caller catches as its own"));
        }
        other => return Err(format!("sit() gave {other:?}").into()),
    }
    let nobody: DogClient = walker.client("cat");
    match nobody.bark("hello").await {
        Err(error @ CallError::NoAgent(_)) => say("nobody there", &format!("{error} (at once, not after a timeout)")),
        other => return Err(format!("nobody answered {other:?}").into()),
    }
    match dog.nap(0.5).timeout(Duration::from_millis(50)).await {
        Err(error) => say("too slow", &format!("{error}; did it run: {:?}", error.fate())),
        Ok(()) => return Err("a nap of half a second was over at once".into()),
    }
    Ok(())
}

fn assert_same<T: PartialEq + std::fmt::Debug>(expected: T, found: T) -> Outcome {
    if expected == found { Ok(()) } else { Err(format!("expected {expected:?}, found {found:?}").into()) }
}

fn say(style: &str, what: &str) {
    println!("{style:>20}  {what}");
}

/// Draws a bar over itself.
fn bar(step: &Progress<String>) {
    const WIDTH: u64 = 30;
    let full = (step.completed * WIDTH).checked_div(step.total).unwrap_or(0).min(WIDTH);
    let (full, rest) = ("#".repeat(full as usize), ".".repeat((WIDTH - full) as usize));
    if !std::io::stdout().is_terminal() && step.completed != step.total {
        return;
    }
    print!("\r{:>20}  [{full}{rest}] {}/{} {:<8}", "", step.completed, step.total, step.details);
    if step.completed == step.total {
        println!();
    }
    // A terminal that is gone is no reason to stop.
    let _ = std::io::stdout().flush();
}

/// How often the agent's dogs have barked.
fn heard(barks: &AtomicU64) -> u64 {
    barks.load(Ordering::Relaxed)
}

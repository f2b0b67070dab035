//! Agents at a broker that are killed while they are called: one that has its queue and its journal to itself, and two that share a
//! queue.
//!
//! `RMI_TEST_LONG=1` kills more often; `RMI_TEST_SEED` repeats the times of the kills.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use rmi_tests::{
    crash::{Audit, Killed, Totals, keys, says, start},
    long::ordinarily_or_long,
    rabbit::Pool,
    random::Random,
};

/// One broker for each test.
static BROKERS: Pool = Pool::of(2);

fn kills() -> u32 {
    ordinarily_or_long(10, 200)
}

/// The time of the kill is what is drawn, not something that is waited for.
fn pause(random: &mut Random) {
    sleep(Duration::from_millis(20 + random.draw() % 400));
}

fn agent(home: &Path, url: &str, more: &[&str]) -> Killed {
    let mut arguments = vec![url];
    arguments.extend(more);
    let mut agent = start(env!("CARGO_BIN_EXE_crash_agent"), home, &arguments);
    says(&mut agent, "ready");
    agent
}

fn callers(home: &Path, url: &str) -> Killed {
    start(env!("CARGO_BIN_EXE_crash_callers"), home, &[url, "all"])
}

/// The callers come to their end, and the books are compared.
fn end(name: &str, mut calling: Killed, home: &Path, began: Instant, read: impl FnOnce(Audit) -> Audit) -> Totals {
    calling.hang_up();
    says(&mut calling, "done");
    let totals = read(Audit::read(&home.join("callers.log"), &home.join("agent.log"))).totals();
    println!("{name}: {} kills, {} s: {totals}", kills(), began.elapsed().as_secs());
    assert!(totals.wrong.is_empty(), "{:#?}", &totals.wrong[..totals.wrong.len().min(10)]);
    assert!(totals.cut_off > 0, "no kill hit a method that ran: {totals}");
    assert!(
        totals.ends.get("result").is_some_and(|results| *results > u64::from(kills())),
        "hardly anything was called: {totals}"
    );
    assert!(totals.notes > u64::from(kills()) && totals.steps > 0, "hardly anything was sent: {totals}");
    totals
}

#[test]
fn an_agent_with_its_own_journal_is_killed_and_loses_nothing() {
    let broker = BROKERS.take();
    let (home, url, mut random) = (tempfile::tempdir().unwrap(), broker.url(), Random::seeded());
    let home = home.path();
    keys(home);
    let began = Instant::now();
    // Of what was sent within a minute of a journal's beginning nobody can say that it never came: clocks may be as far apart.
    drop(agent(home, &url, &["120"]));
    let (mut serving, calling) = (agent(home, &url, &["0"]), callers(home, &url));
    for _ in 0..kills() {
        pause(&mut random);
        serving.kill();
        serving = agent(home, &url, &["0"]);
    }
    let totals = end("agent killed, alone with its journal", calling, home, began, Audit::of_a_killed_agent);
    // It was about to run, and may have: that is all that can be known of it.
    assert!(totals.lost <= totals.cut_off, "what the bus has confirmed has run, or was about to: {totals}");
}

#[test]
fn one_of_two_agents_is_killed_and_the_other_goes_on() {
    let broker = BROKERS.take();
    let (home, url, mut random) = (tempfile::tempdir().unwrap(), broker.url(), Random::seeded());
    let home = home.path();
    keys(home);
    let began = Instant::now();
    let mut two = [agent(home, &url, &["0", "shared"]), agent(home, &url, &["0", "shared"])];
    let calling = callers(home, &url);
    for _ in 0..kills() {
        pause(&mut random);
        let one = random.draw() as usize % 2;
        two[one].kill();
        two[one] = agent(home, &url, &["0", "shared"]);
    }
    let totals = end("one of two agents killed", calling, home, began, Audit::of_a_shared_queue);
    assert!(totals.again > 0, "nothing was delivered to the other one: {totals}");
}

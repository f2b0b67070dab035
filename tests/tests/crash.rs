//! An agent and its callers that are killed, again and again, while they call it: every call that it accepted has one outcome, nothing
//! runs twice that may not, and what is said about an outcome is true. Callers that are started again know their calls from what they
//! wrote down.
//!
//! `RMI_TEST_LONG=1` kills it more often; `RMI_TEST_SEED` repeats the times of the kills.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use rmi_tests::{
    crash::{Audit, keys, says, start},
    long::ordinarily_or_long,
    ports::Port,
    random::Random,
};

fn kills() -> u32 {
    ordinarily_or_long(20, 200)
}

fn run(sealed: bool) {
    let (kills, mut random, began) = (kills(), Random::seeded(), Instant::now());
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    if sealed {
        keys(home);
    }
    let claimed = Port::claim();
    let port = claimed.number().to_string();
    let agent = |behind: u32| {
        let mut agent = start(env!("CARGO_BIN_EXE_crash_agent"), home, &[&port, &behind.to_string()]);
        says(&mut agent, "ready");
        agent
    };
    let callers = || start(env!("CARGO_BIN_EXE_crash_callers"), home, &[&port]);
    // Of what was sent within a minute of a journal's beginning nobody can say that it never came: clocks may be as far apart.
    drop(agent(120));
    let (mut serving, mut calling) = (agent(0), callers());
    for _ in 0..kills {
        // The time of the kill is what is drawn, not something that is waited for; and whom it hits.
        let drawn = random.draw();
        sleep(Duration::from_millis(20 + drawn % 400));
        let (agents, theirs) = [(true, false), (false, true), (true, true)][(drawn >> 32) as usize % 3];
        if theirs {
            calling.kill();
        }
        if agents {
            serving.kill();
            serving = agent(0);
        }
        if theirs {
            calling = callers();
        }
    }
    calling.hang_up();
    says(&mut calling, "done");
    drop(serving);

    let totals = Audit::read(&home.join("callers.log"), &home.join("agent.log")).totals();
    println!("{kills} kills, {} s, sealed {sealed}: {totals}", began.elapsed().as_secs());
    assert!(totals.wrong.is_empty(), "{:#?}", &totals.wrong[..totals.wrong.len().min(10)]);
    assert!(totals.cut_off > 0, "no kill hit a method that ran: {totals}");
    assert!(totals.found > 0, "no caller that was started again found a result: {totals}");
    assert!(totals.ends.get("result").is_some_and(|results| *results > u64::from(kills)), "hardly anything was called: {totals}");
}

#[test]
fn every_accepted_call_has_one_outcome_whatever_is_killed() {
    run(true);
}

#[test]
fn so_it_is_where_nobody_signs() {
    run(false);
}

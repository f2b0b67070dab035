//! Calls, one-way calls and events over RabbitMQ, beside what is written by hand with the same client library, with bodies as long and
//! the same guarantees, and beside Python with pika; then what endpoints and connections cost.
//!
//! A case is named `case/in flight/payload`: `safest/64/32`; the last part is `endpoints`.

mod calls;
mod endpoints;
mod flows;
mod frames;

use std::{path::PathBuf, process::ExitCode};

use rmi_amqp::{Options as Amqp, Queues};
use rmi_benches::{
    Error,
    broker::Broker,
    grid,
    options::{self, Options},
    peers::Pika,
    process,
};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    options::run(bench)
}

fn bench(options: &Options) -> Result<(), Error> {
    println!("amqp: {options}; {}", process::machine());
    let broker = Broker::start();
    let python = python(options);
    let runtime = Runtime::new()?;

    let callees = runtime.block_on(calls::Callees::start(&broker, python.as_deref(), options))?;
    println!("\ncalls: from the caller to the agent and back");
    grid::run(&runtime, &callees, options, &calls::COLUMNS, &calls::GOALS)?;
    runtime.block_on(callees.stop())?;

    let flows = runtime.block_on(flows::Flows::start(&broker, python.as_deref(), options))?;
    println!("\nmessages that nobody answers: p50 and p99 are what the publisher waits for");
    grid::run(&runtime, &flows, options, &flows::COLUMNS, &flows::GOALS)?;
    runtime.block_on(flows.stop())?;

    if options.wants("endpoints") {
        endpoints::measure(&runtime, &broker)?;
    }
    Ok(())
}

/// The Python that has pika, where it is wanted and can be had.
fn python(options: &Options) -> Option<PathBuf> {
    if !grid::wants(options, calls::Case::Pika)
        && !grid::wants(options, calls::Case::PikaSafest)
        && !flows::PIKA.iter().any(|case| grid::wants(options, *case))
    {
        return None;
    }
    Pika::python().inspect_err(|error| println!("without pika: {error}")).ok()
}

/// What is lost with the broker may be lost; what it takes is acknowledged.
fn transient() -> Amqp {
    safest().confirms(false).persistent(false)
}

/// Durable, persistent, acknowledged and confirmed: the defaults. No queue stays for long at a broker that is somebody's own.
fn safest() -> Amqp {
    Amqp::default().queues(Queues::default().expires(std::time::Duration::from_secs(600)))
}

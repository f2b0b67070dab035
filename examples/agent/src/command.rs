//! The commands of an operator, and how what comes of them is shown.

mod bar;
mod told;

use std::{
    fs,
    future::Future,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::{Subcommand, ValueEnum};
use rmi_core::message::Progress;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use self::bar::Bar;
use crate::{
    contract::{Pattern, Step, Wanted},
    options::{Error, printable},
    order::{Answer, Failure, Order},
};

/// What an operator wants.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Say which agents are connected
    List,
    /// Ask an agent how it is
    Status {
        /// The agent
        agent: String,
    },
    /// Overwrite disks of an agent, and verify them
    Erase {
        /// The agent
        agent: String,
        /// A disk, by the name that the agent's command line gave it; all of them unless some are named. May be repeated
        #[arg(long = "disk", value_name = "NAME")]
        disks: Vec<String>,
        /// What to overwrite them with, pass after pass: zeros, ones, random, or a byte as 0xA5
        #[arg(long, value_name = "PATTERN,..", value_parser = pattern, value_delimiter = ',', default_value = "zeros")]
        patterns: Vec<Pattern>,
        /// Give their blocks back at the end (TRIM, or a hole in a file)
        #[arg(long)]
        discard: bool,
    },
    /// Compare firmware versions, and run the updaters that the agent is configured with
    Firmware {
        /// The agent
        agent: String,
        /// The version that a component should have, as in bios=2.11; what the agent is configured with unless it is said. May be
        /// repeated
        #[arg(long = "want", value_name = "COMPONENT=VERSION", value_parser = wanted)]
        wanted: Vec<Wanted>,
    },
    /// Compare a machine with its specification; exit status 1 if it does not pass
    Qc {
        /// The agent
        agent: String,
        /// The specification, in JSON, as in `{"cpu": {"threads": 64}, "disks_at_least": [960000000000]}`
        #[arg(long, value_name = "FILE")]
        spec: PathBuf,
    },
    /// Have an agent keep images; exit status 1 if it cannot keep all of them
    Cache {
        /// The agent
        agent: String,
        /// The images, the most important first
        #[arg(value_name = "UUID", required = true)]
        image_ids: Vec<Uuid>,
    },
    /// Write an image to a disk
    Prepare {
        /// The agent
        agent: String,
        /// The image
        #[arg(value_name = "UUID")]
        image_id: Uuid,
        /// The disk, where the agent has several
        #[arg(long, value_name = "NAME")]
        disk: Option<String>,
    },
    /// Run an image that was prepared
    Run {
        /// The agent
        agent: String,
        /// The image
        #[arg(value_name = "UUID")]
        image_id: Uuid,
        /// What it is told, in JSON, as in {"meta_data": {"hostname": "node-1"}, "user_data": "#cloud-config\n"}
        #[arg(long, value_name = "FILE")]
        config_drive: PathBuf,
        /// The disk, where the image was prepared on several
        #[arg(long, value_name = "NAME")]
        disk: Option<String>,
    },
}

/// For whom answers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people: a bar at a terminal, and lines
    #[default]
    Text,
    /// For programs: one JSON object a line
    Json,
}

impl Command {
    /// The agent and its order; `None` is a question to the server.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or does not say what it should.
    pub fn order(self) -> Result<Option<(String, Order)>, Error> {
        let some = |disks: Vec<String>| (!disks.is_empty()).then_some(disks);
        Ok(Some(match self {
            Command::List => return Ok(None),
            Command::Status { agent } => (agent, Order::Status {}),
            Command::Erase { agent, disks, patterns, discard } => (agent, Order::Erase { disks: some(disks), patterns, discard }),
            Command::Firmware { agent, wanted } => (agent, Order::Firmware { wanted: (!wanted.is_empty()).then_some(wanted) }),
            Command::Qc { agent, spec } => (agent, Order::Qc { specification: read(&spec)? }),
            Command::Cache { agent, image_ids } => (agent, Order::Cache { image_ids }),
            Command::Prepare { agent, image_id, disk } => (agent, Order::Prepare { image_id, disk }),
            Command::Run { agent, image_id, config_drive, disk } => {
                (agent, Order::Run { image_id, config_drive: read(&config_drive)?, disk })
            }
        }))
    }
}

/// Shows what an order comes to, and gives the exit status that says so. `give` is told how to show a step.
pub async fn show<F, G>(form: Form, agent: &str, give: G) -> u8
where
    F: Future<Output = Result<Answer, Failure>>,
    G: FnOnce(Box<dyn FnMut(Progress<Step>) + Send>) -> F,
{
    let bar = Bar::new(form, agent, io::stderr().is_terminal());
    let shown = bar.clone();
    let outcome = give(Box::new(move |step| shown.step(&step))).await;
    bar.clear();
    match outcome {
        Ok(Answer { fulfilled, result }) => {
            match form {
                Form::Json => line(&json!({"result": result, "fulfilled": fulfilled}).to_string()),
                Form::Text => told::lines(&result).iter().for_each(|told| line(&printable(told))),
            }
            u8::from(!fulfilled)
        }
        Err(failure) => {
            if form == Form::Text {
                note(&format!("{agent}: {failure}"));
                return failure.exit_status();
            }
            complain(form, &failure)
        }
    }
}

/// Says why nothing came of it, and gives the exit status that says so.
pub fn complain(form: Form, failure: &Failure) -> u8 {
    match form {
        Form::Json => line(&json!({"failure": failure, "message": failure.to_string()}).to_string()),
        Form::Text => note(&failure.to_string()),
    }
    failure.exit_status()
}

/// Shows who is connected.
pub fn show_agents(form: Form, agents: &[String]) {
    match form {
        Form::Json => line(&json!({"agents": agents}).to_string()),
        Form::Text if agents.is_empty() => note("no agent is connected"),
        Form::Text => agents.iter().for_each(|agent| line(&printable(agent))),
    }
}

/// A line of what was asked for. Whoever asked may have gone.
pub fn line(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// A remark.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "agent: {}", printable(text));
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?)
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let hex = |text: &str| text.strip_prefix("0x").and_then(|digits| u8::from_str_radix(digits, 16).ok());
    match text {
        "zeros" => Ok(Pattern::Zeros),
        "ones" => Ok(Pattern::Ones),
        "random" => Ok(Pattern::Random),
        text => hex(text).map(Pattern::Byte).ok_or_else(|| "write zeros, ones, random, or a byte as 0xA5".to_owned()),
    }
}

fn wanted(text: &str) -> Result<Wanted, String> {
    let (component, version) = text.split_once('=').ok_or("write COMPONENT=VERSION, as in bios=2.11")?;
    Ok(Wanted { component: component.to_owned(), version: version.to_owned() })
}

/// A member of an object, for people.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

//! `agent server`: the other end, which agents dial and operators command.

use std::{collections::BTreeSet, future::Future, time::Duration};

use clap::Args;
use rmi_core::{Endpoint, Native, Trust, protocol::JsonLines, transport::tcp::Tcp};
use rmi_options::{Scheme, Security, Tls, Url, Way};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    command::{Command, Form, line, note, show, show_agents},
    contract::{LogEntry, Server, ServerServer, TaskState, TaskStatus},
    operator::{Desk, OperatorServer, connected},
    options::{Dialect, Error, SECONDS, printable},
};

/// Be the server that agents dial, and command them
///
/// With a command it waits until the agent is there, has it done, shows how far it is, and ends: agents dial again and again. Without one
/// it stays, says what it hears, and takes commands at --control, from `agent ctl`.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// Where agents dial: tcp://, or tls:// with --tls-cert; port 0 is any that is free
    #[arg(long, value_name = "tcp://HOST:PORT", value_parser = Url::peer, default_value = "tcp://127.0.0.1:8081")]
    pub listen: Url,
    /// What this server is called
    #[arg(long, value_name = "NAME", default_value = "server")]
    pub name: String,
    /// How to talk with agents
    #[arg(long, value_enum, default_value_t)]
    pub dialect: Dialect,
    /// Who is trusted
    #[command(flatten)]
    pub security: Security,
    /// TLS to agents and operators
    #[command(flatten)]
    pub tls: Tls,
    /// Take commands of `agent ctl` here. With --insecure that is an address of this machine only, and whoever is on it can command
    #[arg(long, value_name = "tcp://HOST:PORT", value_parser = Url::peer)]
    pub control: Option<Url>,
    /// How long to wait for the agent of a command, and for agents to list, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(..=SECONDS))]
    pub wait: u64,
    /// For whom to write
    #[arg(long, value_enum, default_value_t)]
    pub form: Form,
    /// What to have done
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// How often it is looked who is there.
const LOOK: Duration = Duration::from_millis(50);
const GRACE: Duration = Duration::from_secs(5);

impl Serve {
    /// Does the command, or serves until `stop` is ready. `stop` gives a future for each time that it is told to stop: during a command
    /// the first asks the agent to stop, and the second leaves. The exit status says how it went.
    ///
    /// # Errors
    ///
    /// A key or a file cannot be read, or an address not be had.
    pub async fn run<F: Future<Output = ()> + Send>(self, stop: impl Fn() -> F) -> Result<u8, Error> {
        self.tls.check(std::iter::once(&self.listen).chain(&self.control).map(Way::Listens))?;
        let trust = self.security.open(self.dialect.scheme(), &self.name)?.trust;
        let order = self.command.clone().map(Command::order).transpose()?;
        let (server, at) = self.agents(trust).await?;
        let Some(order) = order else {
            let control = match &self.control {
                Some(control) => Some(self.operators(control, &server).await?),
                None => None,
            };
            line(&format!("{} listens for agents at {at} ({})", self.name, self.dialect));
            if let Some((_, at)) = &control {
                line(&format!("{} listens for operators at {at}", self.name));
            }
            tokio::select! {
                () = stop() => {}
                () = watch(&server) => {}
            }
            if let Some((control, _)) = control {
                let _ = control.shutdown(GRACE).await?;
            }
            let _ = server.shutdown(GRACE).await?;
            return Ok(0);
        };
        let until = Instant::now() + Duration::from_secs(self.wait);
        let status = match order {
            None => {
                tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = stop() => {}
                }
                show_agents(self.form, &connected(&server));
                0
            }
            Some((agent, order)) => {
                while !server.linked().iter().any(|name| *name == agent.as_str()) && Instant::now() < until {
                    tokio::time::sleep(LOOK).await;
                }
                let give = |on| order.give(&server, &agent, on, stop());
                let given = show(self.form, &agent, give);
                tokio::select! {
                    status = given => status,
                    () = async { stop().await; stop().await } => 130,
                }
            }
        };
        let _ = server.shutdown(GRACE).await?;
        Ok(status)
    }

    async fn agents(&self, trust: Trust) -> Result<(Endpoint, Url), Error> {
        let listener = Tcp::listen(self.listen.authority()).options(self.dialect.tcp());
        let listener = match self.tls.listens(&self.listen)? {
            Some(tls) => listener.tls(tls).await?,
            None => listener.await?,
        };
        let at = self.listen.got(listener.local_addr().ok_or("a listener has an address")?);
        let builder = Endpoint::builder(self.name.as_str());
        let builder = match self.dialect.profile() {
            None => builder.bind(Native::default(), listener, trust),
            Some(profile) => builder.bind(JsonLines::server().profile(profile), listener, trust),
        };
        let ear = Ear { silent: self.command.is_some() };
        Ok((builder.serve(ServerServer::new(ear)).start().await?, at))
    }

    async fn operators(&self, control: &Url, server: &Endpoint) -> Result<(Endpoint, Url), Error> {
        let listener = Tcp::listen(control.authority());
        let listener = match self.tls.listens(control)? {
            Some(tls) => listener.tls(tls).await?,
            None => listener.await?,
        };
        let at = listener.local_addr().ok_or("a listener has an address")?;
        // What was got is looked at, and not what a name may stand for. Nobody is served yet.
        if self.security.insecure && !at.ip().is_loopback() {
            return Err(format!(
                "--control {control} is not of this machine only, and with --insecure whoever reaches it commands every agent: \
                 name 127.0.0.1, or use --key and --trust"
            )
            .into());
        }
        let trust = self.security.open(Scheme::Ed25519, &self.name)?.trust;
        let desk = OperatorServer::new(Desk(server.clone()));
        let operators =
            Endpoint::builder(self.name.as_str()).bind(Native::default(), listener, trust).serve(desk).start().await?;
        Ok((operators, control.got(at)))
    }
}

/// Says who comes and goes. Does not end.
async fn watch(server: &Endpoint) {
    let mut known = BTreeSet::new();
    loop {
        let now: BTreeSet<String> = connected(server).into_iter().collect();
        now.difference(&known).for_each(|agent| line(&format!("{} is connected", printable(agent))));
        known.difference(&now).for_each(|agent| line(&format!("{} is gone", printable(agent))));
        known = now;
        tokio::time::sleep(LOOK).await;
    }
}

/// Says what agents say.
#[derive(Clone, Copy, Debug)]
struct Ear {
    /// A command's own answer is what is waited for.
    silent: bool,
}

impl Server for Ear {
    async fn log(&self, entry: LogEntry) {
        if self.silent {
            return;
        }
        let field = |name: &str| entry.fields.get(name).and_then(Value::as_str).unwrap_or("?");
        note(&format!("{} {}: {}", field("agent"), field("level"), entry.message));
    }

    async fn task_status(&self, status: TaskStatus) {
        if self.silent || status.state != TaskState::Running {
            return;
        }
        let eta = status.eta.map_or_else(String::new, |eta| format!(", {eta:.0} s to go"));
        note(&format!("{} ({}): {:.1} %{eta}", status.method, status.task_id, status.percent));
    }
}

//! `agent ctl`: commands for the agents of a server that runs.

use std::{future::Future, pin::pin};

use clap::Args;
use rmi_core::{CallError, Endpoint, Native, Update, transport::tcp::Tcp};
use rmi_options::{Scheme, Security, Tls, Url, Way};
use uuid::Uuid;

use crate::{
    command::{Command, Form, complain, note, show, show_agents},
    operator::OperatorClient,
    options::Error,
    order::{Failure, SILENCE},
};

/// Command the agents of a server that runs (`agent server --control`)
#[derive(Clone, Debug, Args)]
pub struct Ctl {
    /// Where the server takes commands: tcp://, or tls:// with --tls-ca
    #[arg(long, value_name = "tcp://HOST:PORT", value_parser = Url::peer, default_value = "tcp://127.0.0.1:8082")]
    pub server: Url,
    /// What the server is called
    #[arg(long, value_name = "NAME", default_value = "server")]
    pub server_name: String,
    /// Who asks: the name that the server's keys know; the name of the key's file unless it is said
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Who is trusted
    #[command(flatten)]
    pub security: Security,
    /// TLS to the server
    #[command(flatten)]
    pub tls: Tls,
    /// For whom to write
    #[arg(long, value_enum, default_value_t)]
    pub form: Form,
    /// What to have done
    #[command(subcommand)]
    pub command: Command,
}

impl Ctl {
    /// Does the command. `stop` gives a future for each time that it is told to stop: the first asks the agent to stop, the second
    /// leaves. The exit status says how it went.
    ///
    /// # Errors
    ///
    /// A key or a file cannot be read, or the server is not there.
    pub async fn run<F: Future<Output = ()> + Send>(self, stop: impl Fn() -> F) -> Result<u8, Error> {
        let order = self.command.clone().order()?;
        self.tls.check([Way::Dials(&self.server)])?;
        let name = self.name.clone().or_else(|| self.security.name());
        let name = name.unwrap_or_else(|| format!("operator-{}", Uuid::new_v4()));
        let trust = self.security.open(Scheme::Ed25519, &name)?.trust;
        let tcp = Tcp::connect(self.server.authority());
        let tcp = match self.tls.dials(&self.server)? {
            Some(tls) => tcp.tls(tls).await,
            None => tcp.await,
        };
        let tcp = match tcp {
            Ok(tcp) => tcp,
            Err(error) => return Ok(lost(self.form, &self.server, &format!("it cannot be reached: {error}"))),
        };
        let endpoint = Endpoint::builder(name).bind(Native::default(), tcp, trust).start().await?;
        let operator: OperatorClient = endpoint.client(self.server_name.as_str());
        // Whoever is not heard there learns it now, and not when an order's own time is over.
        let agents = match operator.agents().await {
            Ok(agents) => agents,
            Err(CallError::Rejected(rejection)) => {
                return Ok(complain(self.form, &Failure::Rejected(rejection.to_string())));
            }
            Err(error) => {
                let hint = if self.security.insecure && self.tls.tls_cert.is_none() {
                    ""
                } else {
                    ": does it believe your key or certificate, and you its?"
                };
                return Ok(lost(self.form, &self.server, &format!("{error}{hint}")));
            }
        };
        let Some((agent, order)) = order else {
            show_agents(self.form, &agents);
            return Ok(0);
        };
        let give = async |mut on: Box<dyn FnMut(_) + Send>| {
            let mut pending = operator.give(agent.clone(), order).idle(SILENCE).send().await.map_err(failure)?;
            let mut cancelled = false;
            // One for all steps: what comes between two of them is heard, too.
            let mut told = pin!(stop());
            loop {
                let update = tokio::select! {
                    update = pending.next() => update,
                    () = told.as_mut(), if !cancelled => {
                        cancelled = true;
                        note("told to stop: the agent is asked to; once more leaves it alone");
                        if let Err(error) = pending.cancel().await {
                            note(&format!("the server cannot be told: {error}"));
                        }
                        continue;
                    }
                };
                match update {
                    Some(Ok(Update::Progress(step))) => on(step),
                    Some(Ok(Update::Accepted | Update::Started)) => {}
                    Some(Ok(Update::Done(answer))) => return Ok(answer),
                    Some(Err(error)) => return Err(failure(error)),
                    None => return Err(Failure::Lost("the call has no end".to_owned())),
                }
            }
        };
        tokio::select! {
            status = show(self.form, &agent, give) => Ok(status),
            () = async { stop().await; stop().await } => Ok(130),
        }
    }
}

/// Says that the server is not there, or does not answer.
fn lost(form: Form, server: &Url, why: &str) -> u8 {
    complain(form, &Failure::Lost(format!("the server at {server} does not answer: {why}")))
}

fn failure(error: CallError<Failure>) -> Failure {
    match error {
        CallError::Remote(failure) => failure,
        CallError::Rejected(rejection) => Failure::Rejected(rejection.to_string()),
        CallError::Timeout { .. } => Failure::Timeout(error.to_string()),
        error if error.is_ambiguous() => Failure::Lost(format!("{error}: whether it was done is unknown")),
        error => Failure::Lost(error.to_string()),
    }
}

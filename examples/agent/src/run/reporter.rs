use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime},
};

use rmi_core::{
    Endpoint,
    transport::{LinkChange, Transport, tcp::Tcp},
};
use serde_json::{Map, Value};
use tokio::{sync::broadcast::error::RecvError, task::JoinHandle};

use crate::{
    contract::{LogEntry, ServerClient, TaskState, TaskStatus},
    task::Tasks,
};

/// How often the server hears of a task that goes on.
const INTERVAL: Duration = Duration::from_secs(10);

/// Tells the server what it did not ask: that the agent is there, by each link anew, which also says who is at the link's end; and
/// how its tasks are. The line protocol says the latter itself, to whoever gave the command.
///
/// None of it is waited for, and what is not heard is not said again: each status says everything.
pub(super) fn start(endpoint: &Endpoint, tcp: &Tcp, server: &str, statuses: bool, tasks: Tasks) -> JoinHandle<()> {
    let reporter = Reporter { agent: endpoint.address().to_string(), server: endpoint.client(server), told: HashMap::new() };
    let mut links = tcp.links();
    tokio::spawn(async move {
        let mut reporter = reporter;
        let mut changes = tasks.changes();
        loop {
            tokio::select! {
                change = links.next() => match change {
                    Some(LinkChange::Up(_)) => reporter.log("info", "standing by").await,
                    Some(LinkChange::Down(..) | LinkChange::Blocked(..) | LinkChange::Unblocked(_)) => {}
                    None => return,
                },
                change = changes.recv() => match change {
                    Ok(status) => reporter.task(status, statuses).await,
                    Err(RecvError::Lagged(_)) => reporter.catch_up(&tasks.report(), statuses).await,
                    Err(RecvError::Closed) => return,
                },
            }
        }
    })
}

struct Reporter {
    agent: String,
    server: ServerClient,
    /// When each running task was last told of.
    told: HashMap<String, Instant>,
}

impl Reporter {
    async fn log(&self, level: &str, message: &str) {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut fields = Map::new();
        fields.insert("agent".to_owned(), Value::from(self.agent.as_str()));
        fields.insert("level".to_owned(), Value::from(level));
        let entry = LogEntry { message: message.to_owned(), time, fields };
        if let Err(error) = self.server.log(entry).await {
            tracing::debug!(%error, "the server does not hear the log");
        }
    }

    /// Tells how those ended that were told of and whose end was missed.
    async fn catch_up(&mut self, now: &[TaskStatus], statuses: bool) {
        let mut told = std::mem::take(&mut self.told);
        for status in now {
            match told.remove(&status.task_id) {
                Some(at) if status.state == TaskState::Running => drop(self.told.insert(status.task_id.clone(), at)),
                Some(_) => self.task(status.clone(), statuses).await,
                None => {}
            }
        }
    }

    async fn task(&mut self, status: TaskStatus, statuses: bool) {
        match status.state {
            TaskState::Running => {
                if self.told.get(&status.task_id).is_some_and(|at| at.elapsed() < INTERVAL) {
                    return;
                }
                self.told.insert(status.task_id.clone(), Instant::now());
            }
            TaskState::Complete | TaskState::Error => {
                self.told.remove(&status.task_id);
                let level = if status.state == TaskState::Error { "warn" } else { "info" };
                let why = status.msg.as_deref().map_or_else(String::new, |msg| format!(": {msg}"));
                self.log(level, &format!("{} ended: {}{why}", status.method, status.state)).await;
            }
        }
        if statuses && let Err(error) = self.server.task_status(status).await {
            tracing::debug!(%error, "the server does not hear of a task");
        }
    }
}

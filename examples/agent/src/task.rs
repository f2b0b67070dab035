//! The long tasks of an agent: which run, how far they are, how the last ones ended.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use rmi_core::Context;
use tokio::sync::{broadcast, watch};

use crate::{
    contract::{Step, TaskState, TaskStatus},
    work::{Stop, Work},
};

/// The long tasks of an agent. Clones are the same.
#[derive(Clone, Debug)]
pub struct Tasks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    list: Mutex<VecDeque<Arc<Task>>>,
    stopping: AtomicBool,
    unnamed: AtomicU64,
    changes: broadcast::Sender<TaskStatus>,
    /// How many pieces of work have begun and not returned, whether somebody waits for them or not.
    working: watch::Sender<usize>,
}

#[derive(Debug)]
struct Task {
    id: String,
    method: &'static str,
    began: Instant,
    progress: Mutex<Progress>,
}

#[derive(Clone, Debug)]
struct Progress {
    total: u64,
    completed: u64,
    end: Option<Result<(), String>>,
}

impl Default for Tasks {
    fn default() -> Self {
        let (changes, _) = broadcast::channel(Self::CHANGES);
        let (working, _) = watch::channel(0);
        let (stopping, unnamed) = (AtomicBool::new(false), AtomicU64::new(0));
        Tasks(Arc::new(Inner { list: Mutex::default(), stopping, unnamed, changes, working }))
    }
}

impl Tasks {
    /// How many tasks that have ended are remembered.
    const REMEMBERED: usize = 32;
    /// How many changes wait for whoever listens; who is slower misses the oldest.
    const CHANGES: usize = 256;

    /// Begins a task for a request, which is its id. Whoever sent none has one drawn for it.
    #[must_use]
    pub fn begin(&self, method: &'static str, cx: &Context<Step>) -> Job {
        let id = match cx.sn() {
            Some(sn) => sn.to_string(),
            None => format!("unnamed-{}", self.0.unnamed.fetch_add(1, Ordering::Relaxed) + 1),
        };
        let progress = Mutex::new(Progress { total: 0, completed: 0, end: None });
        let task = Arc::new(Task { id, method, began: Instant::now(), progress });
        let mut list = self.list();
        list.push_back(Arc::clone(&task));
        let ended = list.iter().filter(|task| task.progress().end.is_some()).count();
        if ended > Self::REMEMBERED
            && let Some(oldest) = list.iter().position(|task| task.progress().end.is_some())
        {
            list.remove(oldest);
        }
        drop(list);
        self.tell(&task);
        Job { tasks: self.clone(), task, cx: cx.clone(), left: Arc::default() }
    }

    /// Tells every task to stop. Those that begin later are told at once.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether tasks are told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    /// Waits until no work goes on: also none that was told to stop and that nobody waits for any more, such as an updater that cannot
    /// be interrupted. Cancel safe.
    pub async fn idle(&self) {
        // The sender lives as long as this.
        let _ = self.0.working.subscribe().wait_for(|working| *working == 0).await;
    }

    /// Whether work goes on.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        *self.0.working.borrow() == 0
    }

    /// Those that run, and the last ones that have ended, in the order in which they began.
    #[must_use]
    pub fn report(&self) -> Vec<TaskStatus> {
        self.list().iter().map(|task| task.status()).collect()
    }

    /// Every change from now on.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<TaskStatus> {
        self.0.changes.subscribe()
    }

    fn list(&self) -> MutexGuard<'_, VecDeque<Arc<Task>>> {
        self.0.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, task: &Task) {
        if self.0.changes.receiver_count() > 0 {
            // That nobody listens any more is no error.
            let _ = self.0.changes.send(task.status());
        }
    }
}

impl Task {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> TaskStatus {
        let Progress { total, completed, end } = self.progress().clone();
        let done = if total == 0 { 0.0 } else { completed as f64 / total as f64 };
        let (state, percent, msg) = match end {
            None => (TaskState::Running, 100.0 * done, None),
            Some(Ok(())) => (TaskState::Complete, 100.0, None),
            Some(Err(error)) => (TaskState::Error, 100.0 * done, Some(error)),
        };
        let running = state == TaskState::Running && done > 0.0;
        let eta = running.then(|| self.began.elapsed().as_secs_f64() * (1.0 - done) / done);
        TaskStatus { task_id: self.id.clone(), method: self.method.to_owned(), state, percent, eta, msg }
    }
}

/// A task that runs, as its work sees it. Clones are the same task.
#[derive(Clone, Debug)]
pub struct Job {
    tasks: Tasks,
    task: Arc<Task>,
    cx: Context<Step>,
    /// Nobody waits for it any more.
    left: Arc<AtomicBool>,
}

impl Job {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.task.id
    }

    /// What it is called where something is said to be busy with it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} ({})", self.task.method, self.task.id)
    }

    /// Runs work that blocks, away from the asynchronous threads, and notes how it ends. When the future is dropped the work is
    /// told to stop.
    ///
    /// # Errors
    ///
    /// As the work; `failed` makes one of a panic in it.
    pub async fn run<T, E>(
        self,
        work: impl FnOnce(&Job) -> Result<T, E> + Send + 'static,
        failed: impl FnOnce(String) -> E,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        struct Leave(Job);
        impl Drop for Leave {
            fn drop(&mut self) {
                self.0.left.store(true, Ordering::Relaxed);
                self.0.end(Err("the agent left it behind".to_owned()));
            }
        }
        struct Working(Tasks);
        impl Drop for Working {
            fn drop(&mut self) {
                self.0.0.working.send_modify(|working| *working -= 1);
            }
        }
        let leave = Leave(self.clone());
        self.tasks.0.working.send_modify(|working| *working += 1);
        let working = Working(self.tasks.clone());
        let blocking = move || {
            let _working = working;
            work(&self)
        };
        let outcome = match tokio::task::spawn_blocking(blocking).await {
            Ok(outcome) => outcome,
            Err(error) => Err(failed(error.to_string())),
        };
        leave.0.end(outcome.as_ref().map(|_| ()).map_err(ToString::to_string));
        outcome
    }

    /// Notes its end; the first word counts.
    fn end(&self, end: Result<(), String>) {
        {
            let mut progress = self.task.progress();
            if progress.end.is_some() {
                return;
            }
            progress.end = Some(end);
        }
        self.tasks.tell(&self.task);
    }
}

impl Work for Job {
    fn report(&self, total: u64, completed: u64, step: Step) {
        {
            let mut progress = self.task.progress();
            (progress.total, progress.completed) = (total, completed);
        }
        self.tasks.tell(&self.task);
        self.cx.progress(total, completed, step);
    }

    fn stop(&self) -> Option<Stop> {
        if self.cx.is_cancelled() {
            return Some(Stop::Cancelled);
        }
        (self.left.load(Ordering::Relaxed) || self.tasks.is_stopping()).then_some(Stop::Stopping)
    }
}

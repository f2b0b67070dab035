//! What runs in the agent's place when `run_image` has answered.

use std::{io, os::unix::process::CommandExt, path::PathBuf, process::Command, sync::Mutex, sync::PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::contract::Launch;

/// The configured command, and whether it is about to run.
#[derive(Debug, Default)]
pub struct Launcher {
    command: Option<PathBuf>,
    chosen: Mutex<Option<Launch>>,
    told: Notify,
}

impl Launcher {
    /// Runs a program, or nothing.
    #[must_use]
    pub fn new(command: Option<PathBuf>) -> Self {
        Launcher { command, ..Launcher::default() }
    }

    /// What will happen for an image: the program gets the image's UUID, the path of its disk, and that of its config drive.
    #[must_use]
    pub fn plan(&self, image: Uuid, disk: &str, config_drive: &str) -> Launch {
        match &self.command {
            None => Launch::Dry,
            Some(program) => {
                let command = vec![program.display().to_string(), image.to_string(), disk.to_owned(), config_drive.to_owned()];
                Launch::Exec { command }
            }
        }
    }

    /// Has the program run once the agent has drained; false when something was to run already. A plan to run nothing changes
    /// nothing.
    pub fn set(&self, launch: &Launch) -> bool {
        if *launch == Launch::Dry {
            return !self.is_set();
        }
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        if chosen.is_some() {
            return false;
        }
        *chosen = Some(launch.clone());
        self.told.notify_one();
        true
    }

    /// Whether something is about to run.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Waits until something is to run.
    pub async fn wait(&self) {
        while !self.is_set() {
            self.told.notified().await;
        }
    }

    /// Replaces this process by the program, if one is to run; returns only if that fails, or none is. There is no shell in between.
    ///
    /// # Errors
    ///
    /// The program cannot be run.
    pub fn exec(&self) -> io::Result<()> {
        let chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Launch::Exec { command }) = chosen else { return Ok(()) };
        let [program, arguments @ ..] = command.as_slice() else { return Ok(()) };
        let error = Command::new(program).args(arguments).exec();
        Err(io::Error::new(error.kind(), format!("{program}: {error}")))
    }
}

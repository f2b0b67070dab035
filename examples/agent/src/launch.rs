//! What runs in the agent's place when `run_image` has answered.

use std::{
    fs, io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::{contract::Launch, device::Claim};

/// The configured command, and whether it is about to run.
#[derive(Debug, Default)]
pub struct Launcher {
    command: Option<PathBuf>,
    chosen: Mutex<Option<Chosen>>,
    told: Notify,
}

/// What is about to run.
#[derive(Debug)]
struct Chosen {
    launch: Launch,
    /// Its disks: nobody else has them until it has. They are closed when it takes this process's place.
    _claims: Vec<Claim>,
}

impl Launcher {
    /// Runs a program, or nothing. The program is a path: nothing looks for it elsewhere.
    ///
    /// # Errors
    ///
    /// There is no such program now: better known at the start than when the machine has nothing else left to do.
    pub fn new(command: Option<PathBuf>) -> io::Result<Self> {
        let command = command.map(|path| executable(&path).and_then(|()| std::path::absolute(&path))).transpose()?;
        Ok(Launcher { command, ..Launcher::default() })
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

    /// Has the program run once the agent has drained, and keeps its disks for it until then; false when something was to run already.
    /// A plan to run nothing changes nothing, and keeps nothing.
    pub fn set(&self, launch: &Launch, claims: Vec<Claim>) -> bool {
        if *launch == Launch::Dry {
            return !self.is_set();
        }
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        if chosen.is_some() {
            return false;
        }
        *chosen = Some(Chosen { launch: launch.clone(), _claims: claims });
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
        let Some(Chosen { launch: Launch::Exec { command }, _claims }) = chosen else { return Ok(()) };
        let [program, arguments @ ..] = command.as_slice() else { return Ok(()) };
        let error = Command::new(program).args(arguments).exec();
        Err(io::Error::new(error.kind(), format!("{program}: {error}")))
    }
}

/// Demands a file that can be run.
pub(crate) fn executable(program: &Path) -> io::Result<()> {
    let context = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", program.display()));
    let metadata = fs::metadata(program).map_err(context)?;
    if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
        return Ok(());
    }
    Err(context(io::Error::new(io::ErrorKind::PermissionDenied, "it is no program: name a file that can be executed")))
}

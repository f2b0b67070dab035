use std::{
    io,
    io::Read,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::launch::executable;

/// A program of the operator's that installs firmware.
#[derive(Debug)]
pub(super) struct Updater {
    program: PathBuf,
}

impl Updater {
    /// How long one may take. One that takes longer is killed, and what it left is unknown: hence so long.
    pub(super) const MOST: Duration = Duration::from_secs(30 * 60);
    const LOOK: Duration = Duration::from_millis(20);
    /// How many bytes of what it says are told.
    const TOLD: u64 = 2048;

    /// The program at a path, if there is one.
    pub(super) fn find(program: PathBuf) -> io::Result<Option<Self>> {
        match executable(&program) {
            Ok(()) => Ok(Some(Updater { program })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Runs it, without a shell, in an environment that has only a path to look for programs. The beginning of what it says on its
    /// error output is told if it fails.
    pub(super) fn run(&self, component: &str, version: &str, wanted: &str) -> Result<(), String> {
        let failed = |error: io::Error| format!("{}: {error}", self.program.display());
        let (mut said, says) = io::pipe().map_err(failed)?;
        let mut command = Command::new(&self.program);
        command
            .args([component, version, wanted])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            // A group of its own: ctrl-c at the agent's terminal is not meant for what writes firmware.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(says);
        let mut child = command.spawn().map_err(failed)?;
        // The writing end that this process has.
        drop(command);
        let listener = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = (&mut said).take(Self::TOLD).read_to_end(&mut text);
            // It may say more; that is not kept, and does not hold it up.
            let _ = io::copy(&mut said, &mut io::sink());
            String::from_utf8_lossy(&text).trim().to_owned()
        });
        let status = Self::wait(&mut child).map_err(failed)?;
        if status.success() {
            return Ok(());
        }
        // What it has started may live on with its error output open: that is not waited for.
        let said =
            if listener.is_finished() || Self::soon(&listener) { listener.join().unwrap_or_default() } else { String::new() };
        Err(if said.is_empty() {
            format!("its updater ended with {status}")
        } else {
            format!("its updater ended with {status}: {said}")
        })
    }

    fn wait(child: &mut Child) -> io::Result<std::process::ExitStatus> {
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if began.elapsed() > Self::MOST {
                // With whatever it has started.
                if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                    let _ = kill_process_group(group, Signal::KILL);
                }
                child.kill()?;
                child.wait()?;
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it took more than 30 minutes, and was killed"));
            }
            std::thread::sleep(Self::LOOK);
        }
    }

    fn soon(listener: &std::thread::JoinHandle<String>) -> bool {
        for _ in 0..50 {
            if listener.is_finished() {
                return true;
            }
            std::thread::sleep(Self::LOOK);
        }
        false
    }
}

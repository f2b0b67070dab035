use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use super::lapin::Bodies;
use crate::{
    Error,
    broker::Broker,
    load::{Load, Sample, WARM_UP},
};

/// What Python does with [pika](https://pika.readthedocs.io), both ends in processes of their own. They end with this value.
#[derive(Debug)]
pub struct Pika {
    child: Child,
    input: Mutex<Option<ChildStdin>>,
    output: Mutex<BufReader<ChildStdout>>,
}

/// The version that is installed.
const PIKA: &str = "pika==1.3.2";

impl Pika {
    /// Makes a virtual environment with pika under `target`, unless there is one, and returns its Python.
    ///
    /// # Errors
    ///
    /// There is no Python with `venv`, or the package cannot be had.
    pub fn python() -> Result<PathBuf, Error> {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench-python");
        let (python, ready) = (home.join("bin/python"), home.join(PIKA));
        if !ready.exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
            run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PIKA]))?;
            fs::write(ready, "")?;
        }
        Ok(python)
    }

    /// Starts both ends: `kind` is `calls`, `one-way`, or `events` with the number of those who receive them. `safest` is persistent and
    /// confirmed.
    ///
    /// # Errors
    ///
    /// They do not reach the broker.
    pub fn start(python: &Path, broker: &Broker, kind: &str, safest: bool, bodies: Bodies) -> Result<Self, Error> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/echo.py");
        let number = |number: usize| number.to_string();
        let mut child = Command::new(python)
            .arg(script)
            .args([broker.url(), &broker.pid().unwrap_or(0).to_string(), kind, &number(safest.into())])
            .args([number(bodies.request), number(bodies.reply)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = Mutex::new(child.stdin.take());
        let stdout = child.stdout.take().ok_or("pika has no output")?;
        let pika = Pika { child, input, output: Mutex::new(BufReader::new(stdout)) };
        match pika.line()?.as_str() {
            "ready" => Ok(pika),
            other => Err(format!("pika says `{other}`").into()),
        }
    }

    fn line(&self) -> Result<String, Error> {
        let mut line = String::new();
        self.output.lock().unwrap_or_else(PoisonError::into_inner).read_line(&mut line)?;
        if line.is_empty() { Err("pika has ended".into()) } else { Ok(line.trim().to_owned()) }
    }

    /// Puts a load on it.
    ///
    /// # Errors
    ///
    /// It has ended, or nothing was done within the window.
    pub fn put(&self, load: Load) -> Result<Sample, Error> {
        let Load { in_flight, payload, window } = load;
        let order = format!("{in_flight} {payload} {} {}\n", (window / WARM_UP).as_millis(), window.as_millis());
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        input.as_mut().ok_or("pika has no input")?.write_all(order.as_bytes())?;
        let figures = self.line()?;
        let figures: Vec<f64> = figures.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [throughput, cpu, broker, p50, p99] = figures[..] else { return Err("pika says too little".into()) };
        Ok(Sample { throughput, cpu, broker, p50, p99 })
    }
}

impl Drop for Pika {
    fn drop(&mut self) {
        // It ends when its input does, and its other end with it: that would not be so if it were killed.
        *self.input.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let _ = self.child.wait();
    }
}

fn run(command: &mut Command) -> Result<(), Error> {
    let done = command.stdin(Stdio::null()).output()?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&done.stderr).trim()).into())
}

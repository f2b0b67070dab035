//! What the process has used so far.

use std::{fs, time::Duration};

use rustix::{
    param::page_size,
    time::{ClockId, Timespec, clock_gettime},
};

use crate::Error;

/// The CPU time of all threads of the process, in user and kernel mode, those that have ended included.
#[must_use]
pub fn cpu() -> Duration {
    duration(clock_gettime(ClockId::ProcessCPUTime))
}

/// The CPU time of this thread.
#[must_use]
pub fn thread_cpu() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

fn duration(used: Timespec) -> Duration {
    Duration::new(u64::try_from(used.tv_sec).unwrap_or_default(), u32::try_from(used.tv_nsec).unwrap_or_default())
}

/// The CPU time of all threads of another process that are still there, as the scheduler counts it.
///
/// # Errors
///
/// There is no such process, or the kernel has no `schedstat`.
pub fn cpu_of(pid: u32) -> Result<Duration, Error> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the two.
        let Ok(stat) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanos += stat.split_ascii_whitespace().next().ok_or("schedstat is empty")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// The memory of the process that is in RAM, in bytes.
///
/// # Errors
///
/// The kernel has no `/proc/self/statm`.
pub fn resident() -> Result<u64, Error> {
    resident_of(std::process::id())
}

/// The memory of another process that is in RAM, in bytes.
///
/// # Errors
///
/// There is no such process, or the kernel has no `/proc`.
pub fn resident_of(pid: u32) -> Result<u64, Error> {
    let pages: u64 = fs::read_to_string(format!("/proc/{pid}/statm"))?
        .split_ascii_whitespace()
        .nth(1)
        .ok_or("statm has no second figure")?
        .parse()?;
    Ok(pages * page_size() as u64)
}

/// The name of the CPU, as far as the kernel says it.
#[must_use]
pub fn cpu_name() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}

/// One line that says where the figures come from, and how busy the machine was with others.
#[must_use]
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_ascii_whitespace().next().unwrap_or("unknown").to_owned();
    format!("{cores} cores, {}, load average {load} at the start", cpu_name())
}

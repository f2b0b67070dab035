//! Quality control: what a machine has, compared with what it should have.

mod facts;

use std::cmp::Reverse;

use crate::{
    contract::{CpuSpecification, Finding, NetworkSpecification, QcError, QcReport, Specification},
    device::Disks,
    qc::facts::Facts,
    system::System,
};

/// Compares a machine with its specification. Blocks.
///
/// # Errors
///
/// Nothing is asked for, or the system does not say what is asked about.
pub fn check(system: &System, disks: &Disks, specification: &Specification) -> Result<QcReport, QcError> {
    let facts = Facts::read(system, disks);
    let mut findings = Findings::default();
    if let Some(cpu) = &specification.cpu {
        findings.cpu(cpu, &facts)?;
    }
    if let Some(bytes) = specification.memory_at_least {
        findings.at_least("memory", bytes, known("memory", &facts.memory)?, "bytes");
    }
    findings.disks(&specification.disks_at_least, &facts);
    if let Some(network) = &specification.network {
        findings.network(network, &facts);
    }
    if findings.0.is_empty() {
        return Err(QcError::Empty);
    }
    let passed = findings.0.iter().all(|finding| finding.passed);
    Ok(QcReport { passed, findings: findings.0, facts: facts.told() })
}

fn known<T: Copy>(what: &str, fact: &Result<T, String>) -> Result<T, QcError> {
    fact.as_ref().copied().map_err(|error| QcError::Unreadable { what: what.to_owned(), error: error.clone() })
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, what: impl Into<String>, expected: String, found: String, passed: bool) {
        self.0.push(Finding { what: what.into(), expected, found, passed });
    }

    fn at_least(&mut self, what: impl Into<String>, expected: u64, found: u64, unit: &str) {
        self.add(what, format!("at least {expected} {unit}"), format!("{found} {unit}"), found >= expected);
    }

    fn cpu(&mut self, wanted: &CpuSpecification, facts: &Facts) -> Result<(), QcError> {
        let unreadable = |error: &String| QcError::Unreadable { what: "the processors".to_owned(), error: error.clone() };
        let cpus = facts.cpus.as_ref().map_err(unreadable)?;
        if let Some(model) = &wanted.model {
            let passed = !cpus.models.is_empty() && cpus.models.iter().all(|found| found.contains(model.as_str()));
            let found: Vec<&str> = cpus.models.iter().map(String::as_str).collect();
            self.add("cpu.model", format!("one with {model:?} in its name"), found.join(", "), passed);
        }
        if let Some(sockets) = wanted.sockets {
            self.add("cpu.sockets", sockets.to_string(), cpus.sockets.to_string(), cpus.sockets == sockets);
        }
        if let Some(threads) = wanted.threads {
            self.add("cpu.threads", threads.to_string(), cpus.threads.to_string(), cpus.threads == threads);
        }
        Ok(())
    }

    /// The largest disk that is asked for has to be met by the largest that is there, and so on: no other assignment does better.
    fn disks(&mut self, wanted: &[u64], facts: &Facts) {
        let mut found: Vec<&(String, u64)> = facts.disks.iter().collect();
        found.sort_unstable_by_key(|(_, size)| Reverse(*size));
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by_key(|index| Reverse(wanted[*index]));
        let mut findings: Vec<(usize, Finding)> = Vec::new();
        for (rank, index) in order.into_iter().enumerate() {
            let expected = format!("at least {} bytes", wanted[index]);
            let (found, passed) = match found.get(rank) {
                Some((name, size)) => (format!("{name}, {size} bytes"), *size >= wanted[index]),
                None => ("no other disk".to_owned(), false),
            };
            findings.push((index, Finding { what: format!("disks[{index}]"), expected, found, passed }));
        }
        findings.sort_unstable_by_key(|(index, _)| *index);
        self.0.extend(findings.into_iter().map(|(_, finding)| finding));
    }

    fn network(&mut self, wanted: &NetworkSpecification, facts: &Facts) {
        let up: Vec<_> = facts.interfaces.iter().filter(|interface| interface.up).collect();
        if let Some(interfaces) = wanted.interfaces_at_least {
            self.at_least("network.interfaces", interfaces, facts.interfaces.len() as u64, "interfaces");
        }
        if let Some(interfaces) = wanted.up_at_least {
            self.at_least("network.up", interfaces, up.len() as u64, "interfaces with a link");
        }
        if let Some(speed) = wanted.speed_at_least {
            let told: Vec<String> = up
                .iter()
                .map(|i| match i.speed {
                    Some(speed) => format!("{} {speed} Mb/s", i.name),
                    None => format!("{} does not say", i.name),
                })
                .collect();
            let passed = !up.is_empty() && up.iter().all(|interface| interface.speed.is_some_and(|found| found >= speed));
            let found = if told.is_empty() { "no interface has a link".to_owned() } else { told.join(", ") };
            self.add("network.speed", format!("at least {speed} Mb/s"), found, passed);
        }
    }
}

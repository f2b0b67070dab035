//! Which method of which class is which command.

use std::borrow::Cow;

use super::Profile;
use crate::text::Text;

/// What the deployed agent has for its class of the same name, and how its documentation spells it.
const STANDBY: [&str; 2] = ["standby", "standbye"];

/// One method as one command.
///
/// ```
/// use rmi_core::protocol::{JsonLines, json_lines::Command};
///
/// const COMMANDS: &[Command] = &[
///     Command::new("Burnin", "start", "burnin.start").task(),
///     Command::new("Console", "write", "console").whole(),
/// ];
/// let server = JsonLines::server().commands(COMMANDS);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    class: &'static str,
    method: &'static str,
    wire: &'static str,
    task: bool,
    whole: bool,
}

impl Command {
    /// A method (class and name as on other wires), and what its command is called.
    #[must_use]
    pub const fn new(class: &'static str, method: &'static str, command: &'static str) -> Self {
        Command { class, method, wire: command, task: false, whole: false }
    }

    /// The command has a `task_id`.
    #[must_use]
    pub const fn task(mut self) -> Self {
        self.task = true;
        self
    }

    /// The command's `params` are the method's one argument, whole: for commands that have whatever members they like, as `log`.
    #[must_use]
    pub const fn whole(mut self) -> Self {
        self.whole = true;
        self
    }
}

/// All methods of a class.
#[derive(Clone, Debug)]
struct Class {
    class: Text,
    prefix: Text,
    task: bool,
}

/// Which method of which class is which command.
#[derive(Clone, Debug, Default)]
pub(super) struct Commands {
    single: Vec<Command>,
    classes: Vec<Class>,
}

/// A command as the table has it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) class: Text,
    pub(super) method: Text,
    pub(super) task: bool,
    pub(super) whole: bool,
}

impl Commands {
    /// The provisioning agent's own.
    pub(super) fn provisioning() -> Self {
        let mut commands = Commands::default();
        commands.add(Command::new("agent", "status", "status"));
        commands.add(Command::new("server", "log", "log").whole());
        for prefix in ["decom", "standby"] {
            commands.class(Text::from_static(prefix), Text::from_static(prefix), true);
        }
        commands
    }

    pub(super) fn add(&mut self, command: Command) {
        self.single.push(command);
    }

    pub(super) fn class(&mut self, class: Text, prefix: Text, task: bool) {
        self.classes.push(Class { class, prefix, task });
    }

    /// The method that a command is for, in either spelling.
    pub(super) fn method(&self, command: &str) -> Option<Found> {
        let command = usual(command);
        if let Some(single) = self.single.iter().rev().find(|single| usual(single.wire) == command) {
            let Command { class, method, task, whole, .. } = *single;
            return Some(Found { class: Text::from_static(class), method: Text::from_static(method), task, whole });
        }
        self.classes.iter().rev().find_map(|entry| {
            let prefix = usual_prefix(&entry.prefix);
            let method = if prefix.is_empty() { &*command } else { command.strip_prefix(prefix)?.strip_prefix('.')? };
            // A method without a prefix has no dot: what has one is another class's.
            let foreign = prefix.is_empty() && method.contains('.');
            let (class, task) = (entry.class.clone(), entry.task);
            (!method.is_empty() && !foreign).then(|| Found { class, method: Text::from(method), task, whole: false })
        })
    }

    /// What a method's command is called, and how its arguments are written.
    pub(super) fn command(&self, class: &str, method: &str, profile: Profile) -> Option<(String, bool, bool)> {
        if let Some(single) = self.single.iter().rev().find(|single| single.class == class && single.method == method) {
            return Some((spelled(single.wire, profile), single.task, single.whole));
        }
        let entry = self.classes.iter().rev().find(|entry| entry.class == class)?;
        let command = if entry.prefix.is_empty() { method.to_owned() } else { format!("{}.{method}", entry.prefix) };
        Some((spelled(&command, profile), entry.task, false))
    }
}

fn usual_prefix(prefix: &str) -> &str {
    if STANDBY.contains(&prefix) { STANDBY[0] } else { prefix }
}

/// A command as it is looked up.
fn usual(command: &str) -> Cow<'_, str> {
    match command.split_once('.') {
        Some((prefix, method)) if prefix == STANDBY[1] => Cow::Owned(format!("{}.{method}", STANDBY[0])),
        _ => Cow::Borrowed(command),
    }
}

/// A command as a profile writes it.
fn spelled(command: &str, profile: Profile) -> String {
    let ours = match profile {
        Profile::Deployed => STANDBY[0],
        Profile::Documented => STANDBY[1],
    };
    match command.split_once('.') {
        Some((prefix, method)) if STANDBY.contains(&prefix) => format!("{ours}.{method}"),
        _ => command.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(commands: &Commands, command: &str) -> Option<(String, String, bool)> {
        commands.method(command).map(|found| (found.class.to_string(), found.method.to_string(), found.task))
    }

    #[test]
    fn both_spellings_are_read_and_the_profile_writes_one() {
        let commands = Commands::provisioning();
        let prepare = Some(("standby".to_owned(), "prepare_image".to_owned(), true));
        assert_eq!(read(&commands, "standby.prepare_image"), prepare);
        assert_eq!(read(&commands, "standbye.prepare_image"), prepare);
        let written = |profile| commands.command("standby", "run_image", profile).unwrap().0;
        assert_eq!(written(Profile::Deployed), "standby.run_image");
        assert_eq!(written(Profile::Documented), "standbye.run_image");
        assert_eq!(read(&commands, "status"), Some(("agent".into(), "status".into(), false)));
        for unknown in ["", ".", "standby", "standby.", "standbyee.x", "nosuch", "Admin.cancel", "agent.status"] {
            assert_eq!(read(&commands, unknown), None, "{unknown}");
        }
    }

    #[test]
    fn what_is_added_later_is_looked_up_first() {
        let mut commands = Commands::provisioning();
        commands.class("Standby".into(), "standbye".into(), true);
        commands.class("Tool".into(), Text::EMPTY, false);
        commands.add(Command::new("Tool", "erase", "decom.disk_erase"));
        assert_eq!(read(&commands, "standby.x"), Some(("Standby".into(), "x".into(), true)));
        assert_eq!(commands.command("Standby", "x", Profile::Deployed).unwrap().0, "standby.x");
        assert_eq!(read(&commands, "decom.disk_erase"), Some(("Tool".into(), "erase".into(), false)));
        assert_eq!(read(&commands, "decom.qc"), Some(("decom".into(), "qc".into(), true)));
        assert_eq!(read(&commands, "anything"), Some(("Tool".into(), "anything".into(), false)));
        assert_eq!(read(&commands, "any.thing"), None);
        assert_eq!(commands.command("Tool", "anything", Profile::Deployed).unwrap().0, "anything");
        assert!(commands.command("Other", "x", Profile::Deployed).is_none());
    }
}

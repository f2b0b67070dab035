//! `rmi man`: the manual page.

use clap::{Args, CommandFactory};
use clap_mangen::Man as Page;

use crate::{cli::Cli, ending::Ending, exit::Exit, out::Out};

/// Print the manual page, of all or of one command
///
/// rmi man | man -l -
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Man {
    /// The command
    command: Option<String>,
}

impl Man {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Box<Ending>> {
        let mut command = Cli::command();
        command.build();
        let command = match self.command {
            Some(name) => {
                let unknown = || Ending::usage(format!("there is no command `{name}`")).try_this("rmi --help");
                command.find_subcommand(&name).ok_or_else(unknown)?.clone()
            }
            None => command,
        };
        let mut page = Vec::new();
        Page::new(command).render(&mut page).map_err(|e| Ending::file(&e))?;
        out.text(String::from_utf8_lossy(&page).trim_end());
        Ok(Exit::Result)
    }
}

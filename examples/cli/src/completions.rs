//! `rmi completions`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::{cli::Cli, ending::Ending, exit::Exit, out::Out};

/// Print a completion script for a shell
///
/// bash: rmi completions bash > ~/.local/share/bash-completion/completions/rmi
/// zsh:  rmi completions zsh > a directory of $fpath, as _rmi
/// fish: rmi completions fish > ~/.config/fish/completions/rmi.fish
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Box<Ending>> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "rmi", &mut script);
        out.text(String::from_utf8_lossy(&script).trim_end());
        Ok(Exit::Result)
    }
}

//! The commands that the README shows are run as they stand there.

use std::{fs, path::Path};

use rmi_tests::rabbit;
use tempfile::tempdir;

use crate::{
    agent::Agent,
    program::{command, run, words},
};

/// The commands of the README's section, one by one, without what is said about them.
fn commands() -> Vec<String> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).unwrap();
    let section = readme.split("\n## From the command line\n").nth(1).expect("the README has the section");
    let blocks = section.split("\n## ").next().unwrap().split("```sh\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap().lines());
    let commands = lines.flat_map(|line| line.split(" #").next().unwrap().split(" && "));
    commands.map(|command| command.trim().to_owned()).filter(|command| !command.is_empty()).collect()
}

#[test]
fn the_commands_of_the_readme_work() {
    let here = tempdir().unwrap();
    let (mut agents, mut urls, mut calls) = (Vec::new(), Vec::<(String, String)>::new(), 0);
    for mut line in commands() {
        for (written, real) in &urls {
            line = line.replace(written, real);
        }
        if let Some(agent) = line.strip_prefix("kennel agent --listen ") {
            let (address, rest) = agent.trim_end_matches('&').split_once(' ').unwrap();
            let agent = Agent::start(&rest.split_whitespace().collect::<Vec<_>>(), here.path());
            urls.push((format!("tcp://{address}"), agent.url.clone()));
            agents.push(agent);
        } else if let Some(agent) = line.strip_prefix("kennel agent --url ") {
            let (written, rest) = agent.trim_end_matches('&').split_once(' ').unwrap();
            let agent = Agent::by_broker(&rabbit::url(), &rest.split_whitespace().collect::<Vec<_>>());
            urls.push((written.to_owned(), agent.url.clone()));
            agents.push(agent);
        } else if let Some(arguments) = line.strip_prefix("rmi ") {
            let ended = run(command().args(words(&arguments.replace('\'', ""))).current_dir(here.path()));
            assert_eq!(ended.status, 0, "{line}: {ended:?}");
            calls += 1;
        } else {
            assert!(line.starts_with("cargo install --path examples/"), "nobody checks `{line}`");
        }
    }
    assert!(agents.len() >= 3 && calls >= 10, "{calls} commands");
}

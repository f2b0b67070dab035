//! What the program says about itself. `INSTA_UPDATE=always` writes the snapshots anew.

use std::{fs, path::Path};

use crate::program::rmi;

const COMMANDS: [&str; 10] =
    ["call", "publish", "subscribe", "describe", "cancel", "keygen", "trust", "bench", "completions", "man"];

#[test]
fn without_a_command_it_says_what_it_does() {
    let ended = rmi::<_, &str>([]);
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""), "{ended:?}");
    assert_eq!(ended.stdout.trim_end(), rmi(["--help"]).stdout.trim_end());
    assert!(COMMANDS.iter().all(|command| ended.stdout.contains(command)), "{ended:?}");
}

#[test]
fn help_is_what_it_was() {
    insta::assert_snapshot!("rmi", rmi(["--help"]).stdout);
    for command in COMMANDS {
        insta::assert_snapshot!(command, rmi([command, "--help"]).stdout);
    }
    for command in ["list", "add", "revoke", "expire", "verify"] {
        insta::assert_snapshot!(format!("trust_{command}"), rmi(["trust", command, "--help"]).stdout);
    }
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = rmi(["completions", shell]);
        assert_eq!(ended.status, 0, "{ended:?}");
        for name in COMMANDS.iter().chain(&["reply-to", "insecure", "in-flight"]) {
            assert!(ended.stdout.contains(name), "{shell} is not told of {name}");
        }
    }
    assert_eq!(rmi(["completions", "cobol"]).status, 2);
}

#[test]
fn the_manual_page_has_the_commands_and_each_command_has_one() {
    let page = rmi(["man"]).stdout;
    assert!(page.contains(".TH rmi 1") && COMMANDS.iter().all(|command| page.contains(command)), "{page}");
    assert!(rmi(["man", "call"]).stdout.contains("reply\\-to"));
    assert_eq!(rmi(["man", "dance"]).status, 2);
}

/// Whom to trust and what is given for TLS is said in the same words to every program here.
#[test]
fn every_program_is_told_the_same() {
    let part = |help: &str, heading: &str| {
        let part = help.split(&format!("\n{heading}:\n")).nth(1).unwrap_or_else(|| panic!("no {heading}: {help}"));
        // Up to the next heading.
        part.lines()
            .take_while(|line| line.is_empty() || line.starts_with(' '))
            .collect::<Vec<_>>()
            .join("\n")
            .trim_end()
            .to_owned()
    };
    let ours = rmi(["call", "--help"]).stdout;
    for heading in ["Trust", "TLS"] {
        let expected = part(&ours, heading);
        let options = if heading == "Trust" { vec!["--key", "--trust", "--insecure"] } else { vec!["--tls-ca", "--tls-name"] };
        assert!(options.iter().all(|option| expected.contains(option)), "{expected}");
        for others in [
            "agent/tests/snapshots/help__run",
            "agent/tests/snapshots/help__server",
            "agent/tests/snapshots/help__ctl",
            "kennel/tests/snapshots/help__agent",
            "dhcp/tests/snapshots/help__serve",
            "dhcp/tests/snapshots/help__lease",
        ] {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(format!("{others}.snap"));
            assert_eq!(part(&fs::read_to_string(&file).unwrap(), heading), expected, "{others}");
        }
    }
}

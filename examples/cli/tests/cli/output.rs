//! What is seen at a terminal and what is not, and readers that go away.

use std::process::{Command, Stdio};

use crate::{agent::Agent, program::words, terminal::Terminal};

#[test]
fn a_result_at_a_terminal_is_indented_and_coloured() {
    let agent = Agent::insecure();
    let line = format!(r#"call {} dog dog.echo {{"a":[1,"x"]}} --insecure"#, agent.url);
    let screen = Terminal::new(80).run(&line, &[]);
    assert_eq!(screen.status, Some(0));
    assert!(screen.text.contains("\u{1b}[36m1\u{1b}[0m"), "{:?}", screen.text);
    assert_eq!(screen.plain(), "{\n  \"a\": [\n    1,\n    \"x\"\n  ]\n}\n");
}

#[test]
fn no_color_is_no_colour() {
    let agent = Agent::insecure();
    let line = format!("call {} dog Dog.sit --insecure", agent.url);
    let colored = Terminal::new(80).run(&line, &[]);
    assert!(colored.text.contains("\u{1b}[") && colored.plain().contains("raised ValueError"), "{:?}", colored.text);
    for (line, environment) in [
        (line.clone(), [("NO_COLOR", "1")].as_slice()),
        (line.clone(), &[("TERM", "dumb")]),
        (format!("{line} --color never"), &[]),
    ] {
        let screen = Terminal::new(80).run(&line, environment);
        assert_eq!(screen.status, Some(1));
        assert!(!screen.text.contains('\u{1b}'), "{line}: {:?}", screen.text);
    }
}

#[test]
fn watching_at_a_terminal_is_a_bar_that_goes_away() {
    let agent = Agent::insecure();
    let line = format!("call {} dog Dog.wag 25 --kw delay=0.02 --watch --insecure", agent.url);
    let screen = Terminal::new(100).run(&line, &[]);
    assert_eq!(screen.status, Some(0));
    assert!(
        screen.text.contains("Dog.wag [") && screen.text.contains("/25") && screen.text.contains("for: "),
        "{:?}",
        screen.text
    );
    let alone = "\r\u{1b}[2K\u{1b}[32m\"wagged 25\"\u{1b}[0m\r\n";
    assert!(screen.text.ends_with(alone), "the bar gives its line to the result: {:?}", screen.text);
    // Where nothing can be drawn over, there are lines.
    let screen = Terminal::new(100).run(&line, &[("TERM", "dumb")]);
    assert!(screen.text.contains("25/25 for: 24\r\n") && !screen.text.contains('\u{1b}'), "{:?}", screen.text);
    // Programs get no bar, even at a terminal.
    let screen = Terminal::new(100).run(&format!("{line} --json"), &[]);
    assert!(!screen.text.contains("Dog.wag [") && screen.text.contains(r#"{"result":"wagged 25"}"#), "{:?}", screen.text);
}

#[test]
fn a_table_is_as_wide_as_its_terminal() {
    let agent = Agent::insecure();
    let line = format!("describe {} dog Dog --insecure", agent.url);
    for width in [60, 120] {
        let screen = Terminal::new(width).run(&line, &[]).plain();
        let longest = screen.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        assert!(longest <= usize::from(width) && longest > usize::from(width) - 20, "{longest} of {width}:\n{screen}");
    }
}

#[test]
fn a_terminal_is_given_no_orders_by_a_peer() {
    let agent = Agent::insecure();
    for arguments in ["Dog.key_error", "dog.echo", "dog.echo --raw"] {
        let (method, option) = arguments.split_once(' ').unwrap_or((arguments, "--color=auto"));
        let evil = "evil\u{1b}]0;title\u{7}\u{9b}31m\u{202e}";
        let arguments = ["call", &agent.url, "dog", method, evil, option, "--insecure", "--color", "never"];
        let arguments: Vec<_> = arguments.into_iter().filter(|argument| *argument != "--color=auto").map(str::to_owned).collect();
        let screen = Terminal::new(80).run_words(&arguments, &[]);
        assert!(screen.text.contains("evil"), "{:?}", screen.text);
        assert!(!screen.text.contains(['\u{1b}', '\u{9b}', '\u{7}', '\u{202e}']), "{:?}", screen.text);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let agent = Agent::insecure();
    for line in ["--help".to_owned(), "completions bash".to_owned(), format!("call {} dog Dog.big 100000 --insecure", agent.url)]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rmi"));
        let mut child = command.args(words(&line)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{line}: {said}");
        assert_eq!(output.status.code(), Some(0), "{line}: {said}");
    }
}

#[test]
fn a_result_that_could_not_be_written_is_not_told_to_be_there() {
    let agent = Agent::insecure();
    for form in ["", "--json"] {
        let line = format!("call {} dog dog.echo hello --insecure {form}", agent.url);
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_rmi")).args(words(&line)).stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("the result could not be written"), "{said}");
    }
}

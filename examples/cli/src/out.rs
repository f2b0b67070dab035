//! What goes where: results to standard output, everything else to standard error, and orders to a terminal only from ourselves.

use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style};
use rmi_core::Json;
use serde::Serialize;

use crate::{
    cli::{ColorWhen, OutputArguments},
    ending::Ending,
    json_text::{compact, pretty},
};

/// Where results and remarks go.
pub(crate) struct Out {
    /// Standard output, but in tests.
    results: RefCell<Box<dyn Write>>,
    /// Results are lines for programs.
    json: bool,
    /// Whether each of the two may be coloured.
    stdout: bool,
    stderr: bool,
    /// Nobody reads the results any more.
    closed: Cell<bool>,
    /// Results could not be written.
    lost: Cell<bool>,
}

impl Out {
    pub(crate) fn new(arguments: &OutputArguments) -> Self {
        let colored = |is_terminal: bool| match arguments.color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => is_terminal && allowed_by_environment(),
        };
        Out {
            results: RefCell::new(Box::new(io::stdout())),
            json: arguments.json,
            stdout: colored(io::stdout().is_terminal()),
            stderr: colored(io::stderr().is_terminal()),
            closed: Cell::new(false),
            lost: Cell::new(false),
        }
    }

    /// Results for programs, before the command line is known.
    pub(crate) fn for_programs() -> Self {
        Out::to(io::stdout())
    }

    /// Results for programs, which go there.
    pub(crate) fn to(results: impl Write + 'static) -> Self {
        let results = RefCell::new(Box::new(results) as Box<dyn Write>);
        Out { results, json: true, stdout: false, stderr: false, closed: Cell::new(false), lost: Cell::new(false) }
    }

    /// Whether results are lines for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether remarks may be coloured.
    pub(crate) fn is_colored(&self) -> bool {
        self.stderr
    }

    /// Whether somebody has gone who read the results: there is no use in more of them.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Whether results are missing where they should have been written.
    pub(crate) fn has_lost(&self) -> bool {
        self.lost.get()
    }

    /// Whether remarks go to a terminal that can be drawn on.
    pub(crate) fn can_draw(&self) -> bool {
        io::stderr().is_terminal() && !is_dumb()
    }

    /// How wide standard output is, if it is a terminal.
    pub(crate) fn width(&self) -> Option<u16> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        (size.ws_col > 0).then_some(size.ws_col)
    }

    /// A text as the result.
    pub(crate) fn text(&self, text: &str) {
        let mut results = self.results.borrow_mut();
        if let Err(error) = writeln!(results, "{text}").and_then(|()| results.flush()) {
            // A pipe that nobody reads is no failure of ours; a disk that is full has lost a result.
            if error.kind() != io::ErrorKind::BrokenPipe && !self.lost.replace(true) {
                self.note(&format!("rmi: the result could not be written: {error}"));
            }
            self.closed.set(true);
        }
    }

    /// A JSON value as the result: indented and coloured for people, on one line for programs.
    pub(crate) fn value(&self, value: &Json) {
        let is_terminal = io::stdout().is_terminal();
        self.text(&if is_terminal || self.stdout { pretty(value.as_str(), self.stdout) } else { compact(value.as_str()) });
    }

    /// A string as it is: exactly, unless it goes to a terminal, which is given no orders.
    pub(crate) fn raw(&self, text: &str) {
        self.text(&if io::stdout().is_terminal() { printable(text) } else { text.to_owned() });
    }

    /// A heading among results for people.
    pub(crate) fn heading(&self, text: &str) {
        let style = if self.stdout { Style::new().bold() } else { Style::new() };
        self.text(&paint(style, &printable(text)));
    }

    /// One line for programs.
    pub(crate) fn line(&self, line: &impl Serialize) {
        match serde_json::to_string(line) {
            Ok(line) => self.text(&compact(&line)),
            Err(error) => self.note(&format!("a line could not be written as JSON: {error}")),
        }
    }

    /// A remark beside the result.
    pub(crate) fn note(&self, remark: &str) {
        // Where remarks cannot be written there is no other place for them.
        let _ = writeln!(io::stderr().lock(), "{}", printable(remark));
    }

    /// A remark of little weight.
    pub(crate) fn aside(&self, remark: &str) {
        let remark = self.paint(Style::new().dimmed(), &printable(remark));
        let _ = writeln!(io::stderr().lock(), "{remark}");
    }

    /// How it ended, if that was not with a result.
    pub(crate) fn ending(&self, ending: &Ending) {
        if self.json {
            self.line(&ending.line());
        }
        let mut text = self.paint(AnsiColor::Red.on_default().bold(), "rmi:");
        let _ = write!(text, " {}", printable(ending.message()));
        for detail in ending.details() {
            for line in detail.lines() {
                let _ = write!(text, "\n  {}", self.paint(Style::new().dimmed(), &printable(line)));
            }
        }
        if let Some(advice) = ending.advice() {
            let _ = write!(text, "\n{} {}", self.paint(AnsiColor::Yellow.on_default(), "try:"), printable(advice));
        }
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.stderr { paint(style, text) } else { text.to_owned() }
    }
}

/// A text in a style.
pub(crate) fn paint(style: Style, text: &str) -> String {
    if style.is_plain() { text.to_owned() } else { format!("{style}{text}{style:#}") }
}

/// <https://no-color.org>, and terminals that say that they have none.
fn allowed_by_environment() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !no_color && !is_dumb()
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Whether a character only looks, and neither orders a terminal nor turns the text around.
pub(crate) fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text in which whatever a peer has said is only text.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_printable(c) || matches!(c, '\n' | '\t') {
            shown.push(c);
        } else {
            shown.extend(c.escape_unicode());
        }
    }
    shown
}

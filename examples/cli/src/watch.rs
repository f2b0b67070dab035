//! How far a call has come: a bar for people at a terminal, lines for people elsewhere, JSON for programs.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rmi_core::{
    Json, Update,
    message::{Progress, Sn},
};
use serde::Serialize;

use crate::{
    arguments::Method,
    json_text::compact,
    out::{Out, printable},
};

/// Shows the statuses of one call.
pub(crate) struct Watch<'a> {
    out: &'a Out,
    sn: &'a Sn,
    form: Form,
}

enum Form {
    /// At a terminal.
    Bar(ProgressBar),
    /// Where remarks go to a file.
    Lines,
    /// For programs.
    Json,
}

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum StatusLine<'a> {
    Accepted { sn: &'a str },
    Started,
    Progress { total: u64, completed: u64, details: &'a Json },
}

/// How often what cannot be counted is seen to go on.
const TICK: Duration = Duration::from_millis(100);

impl<'a> Watch<'a> {
    pub(crate) fn new(out: &'a Out, method: &Method, sn: &'a Sn, for_people: bool) -> Self {
        let form = match (out.is_json(), out.can_draw()) {
            (true, _) => Form::Json,
            (false, true) => Form::Bar(bar(method, out.is_colored())),
            (false, false) => Form::Lines,
        };
        let watch = Watch { out, sn, form };
        if for_people {
            watch.say(&format!("{method} is request {sn}"));
        }
        watch
    }

    /// Shows a status.
    pub(crate) fn show(&self, update: &Update<Json>) {
        match (&self.form, update) {
            (Form::Json, Update::Accepted) => self.out.line(&StatusLine::Accepted { sn: self.sn.as_str() }),
            (Form::Json, Update::Started) => self.out.line(&StatusLine::Started),
            (Form::Json, Update::Progress(Progress { total, completed, details })) => {
                self.out.line(&StatusLine::Progress { total: *total, completed: *completed, details });
            }
            (Form::Bar(bar), Update::Accepted) => bar.set_message("accepted"),
            (Form::Bar(bar), Update::Started) => bar.set_message("started"),
            (Form::Bar(bar), Update::Progress(step)) => {
                if step.total > 0 && bar.length() != Some(step.total) {
                    bar.set_style(counted(self.out.is_colored()));
                    bar.set_length(step.total);
                }
                bar.set_position(step.completed);
                bar.set_message(words(&step.details));
            }
            (Form::Lines, Update::Accepted) => self.out.note("accepted"),
            (Form::Lines, Update::Started) => self.out.note("started"),
            (Form::Lines, Update::Progress(step)) => {
                let total = if step.total > 0 { format!("/{}", step.total) } else { String::new() };
                self.out.note(format!("{}{total} {}", step.completed, words(&step.details)).trim_end());
            }
            (_, Update::Done(_)) => {}
        }
    }

    /// A remark, above the bar.
    pub(crate) fn say(&self, remark: &str) {
        match &self.form {
            Form::Bar(bar) => bar.suspend(|| self.out.aside(remark)),
            Form::Lines | Form::Json => self.out.aside(remark),
        }
    }

    /// Makes room for what comes.
    pub(crate) fn clear(&self) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}

/// What a method says about a step, on one line.
fn words(details: &Json) -> String {
    let words = match details.decode::<Option<String>>() {
        Ok(words) => words.unwrap_or_default(),
        Err(_) => compact(details.as_str()),
    };
    printable(&words).replace(['\n', '\t'], " ")
}

fn bar(method: &Method, colored: bool) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(uncounted(colored));
    bar.set_prefix(printable(&method.to_string()));
    bar.set_message("sent");
    bar.enable_steady_tick(TICK);
    bar
}

/// As long as it is not known how much there is to do.
fn uncounted(colored: bool) -> ProgressStyle {
    style(if colored { "{prefix} {spinner:.green} {pos} {wide_msg:.dim}" } else { "{prefix} {spinner} {pos} {wide_msg}" })
}

fn counted(colored: bool) -> ProgressStyle {
    let bar = if colored {
        "{prefix} [{bar:30.green}] {pos}/{len} {wide_msg:.dim}"
    } else {
        "{prefix} [{bar:30}] {pos}/{len} {wide_msg}"
    };
    style(bar).progress_chars("=> ")
}

fn style(template: &str) -> ProgressStyle {
    // Without its own style a bar has the usual one.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

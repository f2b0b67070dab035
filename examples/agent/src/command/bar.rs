use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rmi_core::message::Progress;
use serde_json::json;

use super::{Form, line, note};
use crate::{
    contract::{Phase, Step},
    options::printable,
};

/// How far an order has come: a bar at a terminal, a line for each thing that is done elsewhere, JSON for programs.
#[derive(Clone, Debug)]
pub(super) struct Bar(Arc<Shown>);

#[derive(Debug)]
struct Shown {
    form: Form,
    agent: String,
    bar: Option<ProgressBar>,
    last: Mutex<Option<(Phase, String)>>,
}

impl Bar {
    pub(super) fn new(form: Form, agent: &str, terminal: bool) -> Self {
        let bar = (form == Form::Text && terminal).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // Without its own style a bar has the usual one.
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {percent:>3} % {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
            bar.set_prefix(printable(agent));
            bar
        });
        Bar(Arc::new(Shown { form, agent: agent.to_owned(), bar, last: Mutex::default() }))
    }

    pub(super) fn step(&self, step: &Progress<Step>) {
        let Progress { total, completed, details } = step;
        if self.0.form == Form::Json {
            line(&json!({"status": "progress", "total": total, "completed": completed, "details": details}).to_string());
            return;
        }
        if let Some(bar) = &self.0.bar {
            bar.set_length(*total);
            bar.set_position(*completed);
            bar.set_message(words(details));
            return;
        }
        let now = (details.phase, details.subject.clone());
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(&now) {
            let percent = percent(*completed, *total);
            note(&format!("{}: {percent} %, {}", self.0.agent, words(details)));
            *last = Some(now);
        }
    }

    pub(super) fn clear(&self) {
        if let Some(bar) = &self.0.bar {
            bar.finish_and_clear();
        }
    }
}

/// Both are what an agent says.
fn percent(completed: u64, total: u64) -> u128 {
    (u128::from(completed.min(total)) * 100).checked_div(u128::from(total)).unwrap_or(0)
}

fn words(step: &Step) -> String {
    let rate = step.rate.map_or_else(String::new, |rate| format!(", {} MiB/s", rate >> 20));
    printable(&format!("{} {}{rate}", step.phase, step.subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_an_agent_says_is_at_most_everything() {
        for (completed, total, expected) in [(0, 0, 0), (1, 3, 33), (u64::MAX, u64::MAX, 100), (u64::MAX, 1, 100), (5, 0, 0)] {
            assert_eq!(percent(completed, total), expected, "{completed} of {total}");
        }
    }
}

//! The types of bodies that RackHD knows, and what it demands of them.

use std::net::Ipv4Addr;

use serde_json::value::RawValue;

use super::body::{pick, string};

/// What a peer of RackHD says about a body that is not as its type demands.
pub(super) const VIOLATION: &str = "SchemaError: JSON Schema Violation";

/// Whose demands they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demands {
    /// The first generation's: MAC addresses may have dashes, and logs have nine levels.
    First,
    /// The last release's.
    Last,
}

impl Demands {
    /// Checks a body, an object, against what RackHD demands of a type. Types that it does not know demand nothing.
    pub(super) fn check(self, kind: &str, body: &str) -> Result<(), String> {
        match kind {
            "IpAddress" => value(body, "an IPv4 address", |value| value.parse::<Ipv4Addr>().is_ok()),
            "MacAddress" => match self {
                Demands::First => value(body, "a MAC address", |value| is_mac(value, &[':', '-'])),
                Demands::Last => value(body, "a MAC address with colons", |value| is_mac(value, &[':'])),
            },
            "LogEvent" => self.log_event(body),
            _ => Ok(()),
        }
    }

    /// Whether a body is one of this type.
    pub(super) fn meets(self, kind: &str, body: &str) -> bool {
        self.check(kind, body).is_ok()
    }

    fn log_event(self, body: &str) -> Result<(), String> {
        const TEXTS: [&str; 4] = ["level", "timestamp", "caller", "subject"];
        let texts = pick(TEXTS, body).map_err(|e| format!("a LogEvent: {e}"))?;
        for (name, value) in TEXTS.into_iter().zip(texts) {
            let text = value.map(string).ok_or_else(|| format!("a LogEvent has a `{name}`"))?;
            let text = text.map_err(|e| format!("the `{name}` of a LogEvent: {e}"))?;
            if name == "level" && !self.levels().contains(&&*text) {
                return Err(format!("{:?} is no level of a LogEvent", shown(&text)));
            }
        }
        Ok(())
    }

    fn levels(self) -> &'static [&'static str] {
        match self {
            Demands::First => &["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug", "silly"],
            Demands::Last => &["critical", "error", "warning", "info", "debug"],
        }
    }
}

fn value(body: &str, what: &str, is: impl FnOnce(&str) -> bool) -> Result<(), String> {
    let wrong = |e: &dyn std::fmt::Display| format!("the body is {{\"value\": {what}}}: {e}");
    let [value] = pick(["value"], body).map_err(|e| wrong(&e))?;
    let value: &RawValue = value.ok_or_else(|| wrong(&"there is no `value`"))?;
    let value = string(value).map_err(|e| wrong(&e))?;
    if is(&value) { Ok(()) } else { Err(format!("{:?} is not {what}", shown(&value))) }
}

fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

fn is_mac(text: &str, between: &[char]) -> bool {
    let mut octets = 0;
    let hex = |octet: &str| octet.len() == 2 && octet.bytes().all(|b| b.is_ascii_hexdigit());
    text.split(between).all(|octet| {
        octets += 1;
        hex(octet)
    }) && octets == 6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_of(kind: &str, body: &str) -> bool {
        Demands::Last.meets(kind, body)
    }

    #[test]
    fn addresses_are_as_rackhd_checks_them() {
        for good in ["08:00:27:52:d2:a4", "AA:BB:CC:DD:EE:FF"] {
            assert!(is_of("MacAddress", &format!("{{\"value\":\"{good}\",\"more\":1}}")), "{good}");
        }
        let dashes = r#"{"value":"08-00-27-52-d2-a4"}"#;
        assert!(Demands::First.meets("MacAddress", dashes) && !is_of("MacAddress", dashes));
        for bad in ["08:00:27:52:d2", "08:00:27:52:d2:a4:00", "8:0:27:52:d2:a4", "", "0g:00:27:52:d2:a4"] {
            for demands in [Demands::First, Demands::Last] {
                assert!(!demands.meets("MacAddress", &format!("{{\"value\":\"{bad}\"}}")), "{bad}");
            }
        }
        assert!(is_of("IpAddress", r#"{"value":"10.1.1.2"}"#));
        for bad in [r#"{"value":"::1"}"#, r#"{"value":"300.1.1.2"}"#, r#"{"value":7}"#, "{}", "[]", r#"["10.1.1.2"]"#] {
            assert!(!is_of("IpAddress", bad), "{bad}");
        }
        assert!(is_of("Result", "{}") && is_of("console", "[]"));
    }

    #[test]
    fn logs_are_of_a_level_of_their_generation() {
        let log = |level: &str| format!(r#"{{"level":"{level}","timestamp":"t","caller":"c","subject":"s"}}"#);
        for (level, first, last) in
            [("emerg", true, false), ("critical", false, true), ("error", true, true), ("crti", false, false), ("", false, false)]
        {
            let met = (Demands::First.meets("LogEvent", &log(level)), Demands::Last.meets("LogEvent", &log(level)));
            assert_eq!(met, (first, last), "{level}");
        }
        assert!(!is_of("LogEvent", r#"{"level":"error","timestamp":"t","caller":"c"}"#));
        assert!(!is_of("LogEvent", r#"{"level":"error","timestamp":7,"caller":"c","subject":"s"}"#));
    }
}

//! The types of bodies that RackHD knows, and what it demands of them.

use std::net::Ipv4Addr;

use serde::Deserialize;

/// What a peer of RackHD says about a body that is not as its type demands.
pub(super) const VIOLATION: &str = "SchemaError: JSON Schema Violation";

/// Checks a body, an object, against what RackHD demands of a type. Types that it does not know demand nothing.
pub(super) fn check(kind: &str, body: &str) -> Result<(), String> {
    match kind {
        "IpAddress" => value(body, "an IPv4 address", |value| value.parse::<Ipv4Addr>().is_ok()),
        "MacAddress" => value(body, "a MAC address with colons", is_mac),
        "LogEvent" => log_event(body),
        _ => Ok(()),
    }
}

/// Whether a body is one of this type.
pub(super) fn is_of(kind: &str, body: &str) -> bool {
    check(kind, body).is_ok()
}

fn value(body: &str, what: &str, is: impl FnOnce(&str) -> bool) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Valued {
        value: String,
    }
    let Valued { value } = serde_json::from_str(body).map_err(|e| format!("the body is {{\"value\": {what}}}: {e}"))?;
    if is(&value) { Ok(()) } else { Err(format!("{:?} is not {what}", value.chars().take(64).collect::<String>())) }
}

fn is_mac(text: &str) -> bool {
    let mut octets = 0;
    let hex = |octet: &str| octet.len() == 2 && octet.bytes().all(|b| b.is_ascii_hexdigit());
    text.split(':').all(|octet| {
        octets += 1;
        hex(octet)
    }) && octets == 6
}

fn log_event(body: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "they only have to be there")]
    struct Logged {
        level: String,
        timestamp: String,
        caller: String,
        subject: String,
    }
    serde_json::from_str::<Logged>(body).map(drop).map_err(|e| format!("a LogEvent: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_as_rackhd_checks_them() {
        for good in ["08:00:27:52:d2:a4", "AA:BB:CC:DD:EE:FF"] {
            assert!(is_of("MacAddress", &format!("{{\"value\":\"{good}\",\"more\":1}}")), "{good}");
        }
        for bad in ["08-00-27-52-d2-a4", "08:00:27:52:d2", "08:00:27:52:d2:a4:00", "8:0:27:52:d2:a4", "", "0g:00:27:52:d2:a4"] {
            assert!(!is_of("MacAddress", &format!("{{\"value\":\"{bad}\"}}")), "{bad}");
        }
        assert!(is_of("IpAddress", r#"{"value":"10.1.1.2"}"#));
        for bad in [r#"{"value":"::1"}"#, r#"{"value":"300.1.1.2"}"#, r#"{"value":7}"#, "{}", "[]"] {
            assert!(!is_of("IpAddress", bad), "{bad}");
        }
        assert!(is_of("Result", "{}") && is_of("console", "[]"));
    }
}

//! Durations as they are written in options: `500ms`, `30s`, `5m`, `2h`, `1d`.

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a duration as milliseconds, or says what is wrong with it.
pub(crate) fn millis(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit.trim_start());
    let Some((_, factor)) = unit.filter(|_| !number.is_empty()) else {
        return Err(format!(
            "`{text}` is not a duration: write a whole number and one of `ms`, `s`, `m`, `h`, `d`, such as \"30s\""
        ));
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor)) {
        None => Err(format!("`{text}` is longer than can be counted")),
        Some(0) => Err("a duration of nothing would end every call at once: write a longer one, or leave it out".to_owned()),
        Some(millis) => Ok(millis),
    }
}

#[cfg(test)]
mod tests {
    use super::millis;

    #[test]
    fn units() {
        let read = |text| millis(text).ok();
        assert_eq!(read("500ms"), Some(500));
        assert_eq!(read("30s"), Some(30_000));
        assert_eq!(read("10 m"), Some(600_000));
        assert_eq!(read("2h"), Some(7_200_000));
        assert_eq!(read("1d"), Some(86_400_000));
    }

    #[test]
    fn what_is_not_a_duration_says_what_would_be() {
        for text in ["", "30", "s", "1.5s", "-1s", "30 seconds", "30S", " 30s"] {
            assert!(millis(text).is_err_and(|e| e.contains("whole number")), "{text}");
        }
        assert!(millis("0s").is_err_and(|e| e.contains("nothing")));
        assert!(millis("18446744073709551615d").is_err_and(|e| e.contains("longer")));
        assert!(millis("99999999999999999999s").is_err_and(|e| e.contains("longer")));
    }
}

//! The two forms that messages write dates in, without a formatter's generality: they are written once per message.
//!
//! The calendar arithmetic is Howard Hinnant's `civil_from_days` and `days_from_civil`.

const DAY: i64 = 86_400_000;
/// 0000-01-01T00:00:00.000Z
const FIRST: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z
const LAST: i64 = 253_402_300_799_999;

/// The bytes of `2026-11-20T23:56:00.123Z`. RFC 3339 years have four digits: moments outside of them become the nearest
/// moment inside.
pub(super) fn millis(at: i64) -> [u8; 24] {
    let at = at.clamp(FIRST, LAST);
    let (year, month, day) = civil(at.div_euclid(DAY));
    let millis = at.rem_euclid(DAY);
    let mut out = *b"0000-00-00T00:00:00.000Z";
    digits(&mut out[0..4], year);
    digits(&mut out[5..7], month);
    digits(&mut out[8..10], day);
    digits(&mut out[11..13], millis / 3_600_000);
    digits(&mut out[14..16], millis / 60_000 % 60);
    digits(&mut out[17..19], millis / 1_000 % 60);
    digits(&mut out[20..23], millis % 1_000);
    out
}

/// The bytes of `2026-11-20T23:56:00Z`, otherwise as [`millis`].
pub(super) fn seconds(at: i64) -> [u8; 20] {
    let mut out = [b'Z'; 20];
    out[..19].copy_from_slice(&millis(at)[..19]);
    out
}

/// Reads the two forms above, with any number of digits after the point. `None` for all others, right or wrong.
pub(super) fn parse(text: &str) -> Option<i64> {
    let text = text.as_bytes();
    if text.len() < 20 || [text[4], text[7], text[10], text[13], text[16]] != *b"--T::" {
        return None;
    }
    let (year, month, day) = (number(&text[0..4])?, number(&text[5..7])?, number(&text[8..10])?);
    let (hour, minute, second) = (number(&text[11..13])?, number(&text[14..16])?, number(&text[17..19])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction: &[u8] = match &text[19..] {
        b"Z" => b"",
        [b'.', digits @ .., b'Z'] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => digits,
        _ => return None,
    };
    let millis = (0..3).fold(0, |all, i| all * 10 + i64::from(fraction.get(i).map_or(0, |digit| digit - b'0')));
    let days = days(year, month, day);
    // A day that the month does not have comes back as another one.
    (civil(days) == (year, month, day)).then_some(days * DAY + ((hour * 60 + minute) * 60 + second) * 1_000 + millis)
}

fn digits(out: &mut [u8], mut value: i64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |all, digit| digit.is_ascii_digit().then(|| all * 10 + i64::from(digit - b'0')))
}

/// Year, month and day of a day counted from the Unix epoch.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`], for days that there are.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, SecondsFormat, Utc};

    use super::*;

    /// Days of the whole calendar, at an hour that moves through the day, and the ends.
    fn moments() -> impl Iterator<Item = i64> {
        (FIRST / DAY..=LAST / DAY)
            .step_by(11)
            .map(|day| day * DAY + (day * 7_919_117).rem_euclid(DAY))
            .chain([FIRST, -1, 0, 1, LAST])
    }

    #[test]
    fn dates_are_written_as_chrono_writes_them_and_read_back() {
        for at in moments() {
            let date = DateTime::<Utc>::from_timestamp_millis(at).unwrap();
            let text = String::from_utf8(millis(at).to_vec()).unwrap();
            assert_eq!(text, date.to_rfc3339_opts(SecondsFormat::Millis, true));
            assert_eq!(parse(&text), Some(at), "{text}");
        }
        assert_eq!(&seconds(1_795_218_960_999), b"2026-11-20T23:56:00Z");
    }

    #[test]
    fn what_has_no_four_digit_year_becomes_the_nearest_that_has() {
        assert_eq!(&millis(i64::MIN), b"0000-01-01T00:00:00.000Z");
        assert_eq!(&millis(i64::MAX), b"9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn what_is_no_date_is_not_read_as_one() {
        for wrong in [
            "",
            "2026-11-20",
            "2026-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.1xZ",
            "2026-01-01T00:00:00+01:00",
            "+026-01-01T00:00:00Z",
            "2026-01-01T00:00:0\u{fc}Z",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(parse("2024-02-29T00:00:00Z"), Some(1_709_164_800_000));
        assert_eq!(parse("1970-01-01T00:00:00.0019999Z"), Some(1));
    }
}

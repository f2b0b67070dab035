//! Keys of events, and patterns of keys: words that are separated by `.`.

use std::fmt;

/// How long a key may be, in bytes: a routing key of AMQP 0-9-1 is a short string (4.2.5.3).
pub const LONGEST_KEY: usize = 255;

/// What is wrong with a key, or with one of its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFlaw {
    /// It is empty, or one of its words is.
    Empty,
    /// It has a character that means something else in a key or a pattern, on one of the buses.
    Character(char),
    /// It makes a key of so many bytes.
    TooLong(usize),
    /// A wildcard is a part of a word.
    Wildcard,
}

impl fmt::Display for KeyFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyFlaw::Empty => f.write_str("has an empty word"),
            KeyFlaw::Character('.') => f.write_str("contains a '.', which separates the words of a key"),
            KeyFlaw::Character(c) => write!(f, "contains {c:?}, which no word of a key may"),
            KeyFlaw::TooLong(bytes) => write!(f, "makes a key of {bytes} bytes, and a bus carries {LONGEST_KEY}"),
            KeyFlaw::Wildcard => {
                f.write_str("has a wildcard within a word: `*` stands for a whole word, `#` for any number of them")
            }
        }
    }
}

/// Whether a text can be one word of a key on every bus: `*`, `#` and `+` are wildcards, `/` separates the words of MQTT.
pub(crate) fn check_word(word: &str) -> Result<(), KeyFlaw> {
    if word.is_empty() {
        return Err(KeyFlaw::Empty);
    }
    match word.chars().find(|c| matches!(c, '.' | '*' | '#' | '+' | '/') || c.is_control()) {
        Some(c) => Err(KeyFlaw::Character(c)),
        None => Ok(()),
    }
}

/// Whether a text can be a key.
pub(crate) fn check(key: &str) -> Result<(), KeyFlaw> {
    key.split('.').try_for_each(check_word)?;
    check_length(key)
}

/// Whether a text can be a pattern of keys.
pub(crate) fn check_pattern(pattern: &str) -> Result<(), KeyFlaw> {
    for word in pattern.split('.').filter(|word| !matches!(*word, "*" | "#")) {
        check_word(word).map_err(|flaw| match flaw {
            KeyFlaw::Character('*' | '#') => KeyFlaw::Wildcard,
            flaw => flaw,
        })?;
    }
    check_length(pattern)
}

pub(crate) fn check_length(key: &str) -> Result<(), KeyFlaw> {
    if key.len() > LONGEST_KEY { Err(KeyFlaw::TooLong(key.len())) } else { Ok(()) }
}

/// Whether there is a key that both patterns match; a key is a pattern that matches itself. Takes time and memory as their numbers of
/// words multiply: they are to be no longer than [`LONGEST_KEY`].
#[must_use]
pub fn overlap(one: &str, other: &str) -> bool {
    let (one, other): (Vec<_>, Vec<_>) = (one.split('.').collect(), other.split('.').collect());
    // Whether the words from here on overlap, for each place in `other`, from the last word of `one` to its first.
    let mut rest: Vec<bool> = (0..=other.len()).map(|at| other[at..].iter().all(|word| *word == "#")).collect();
    for word in one.iter().rev() {
        let mut here = vec![false; other.len() + 1];
        for at in (0..=other.len()).rev() {
            let theirs = other.get(at).copied();
            here[at] = match (*word, theirs) {
                // No word, or the one that is there and more.
                ("#", theirs) => rest[at] || (theirs.is_some() && here[at + 1]),
                (_, Some("#")) => here[at + 1] || rest[at],
                (_, None) => false,
                (word, Some(theirs)) => (word == "*" || theirs == "*" || word == theirs) && rest[at + 1],
            };
        }
        rest = here;
    }
    rest[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_words() {
        for good in ["a", "a.b", "dhcp.bind.success.42", "ä.ß", "a b"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, flaw) in [
            ("", KeyFlaw::Empty),
            ("a.", KeyFlaw::Empty),
            (".a", KeyFlaw::Empty),
            ("a..b", KeyFlaw::Empty),
            ("a.*", KeyFlaw::Character('*')),
            ("a.#.b", KeyFlaw::Character('#')),
            ("a/b", KeyFlaw::Character('/')),
            ("a+", KeyFlaw::Character('+')),
            ("a\nb", KeyFlaw::Character('\n')),
        ] {
            assert_eq!(check(bad), Err(flaw), "{bad:?}");
        }
        assert_eq!(check(&"a".repeat(255)), Ok(()));
        assert_eq!(check(&"a".repeat(256)), Err(KeyFlaw::TooLong(256)));
    }

    #[test]
    fn patterns_have_wildcards_for_whole_words() {
        for good in ["#", "*", "a.*.b", "a.#", "#.b.*"] {
            assert_eq!(check_pattern(good), Ok(()), "{good}");
        }
        assert_eq!(check_pattern("a*"), Err(KeyFlaw::Wildcard));
        assert_eq!(check_pattern("a.b#.c"), Err(KeyFlaw::Wildcard));
        assert_eq!(check_pattern("a..b"), Err(KeyFlaw::Empty));
        assert_eq!(check_pattern("a/+"), Err(KeyFlaw::Character('/')));
    }

    #[test]
    fn patterns_overlap_when_one_key_matches_both() {
        for (one, other, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("a.*", "a.b", true),
            ("a.*", "*.b", true),
            ("a.*", "b.*", false),
            ("a.*", "a", false),
            ("#", "a.b.c", true),
            ("a.#", "a", true),
            ("a.#", "*.b.c", true),
            ("a.#.c", "a.b", false),
            ("a.#.c", "a.*", true),
            ("#.b", "a.#", true),
            ("#.b", "a.*.c", false),
            ("a.#.b.#", "a.*.*", true),
            ("*", "#.a.b", false),
            ("#", "#", true),
        ] {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
            assert_eq!(overlap(other, one), expected, "{other} {one}");
        }
    }
}

//! Routing keys with parameters in them: `run.{taskId}`.

use rmi_core::event::LONGEST_KEY;

/// A word of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word<'t> {
    Fixed(&'t str),
    /// Any one word: the parameter of this name.
    Parameter(&'t str),
}

fn words(template: &str) -> impl Iterator<Item = Word<'_>> {
    template.split('.').map(|word| match word.strip_prefix('{').and_then(|word| word.strip_suffix('}')) {
        Some(name) => Word::Parameter(name),
        None => Word::Fixed(word),
    })
}

/// How many words of a template are fixed: of two that match a key the one with more of them is meant.
pub(super) fn fixed(template: &str) -> usize {
    words(template).filter(|word| matches!(word, Word::Fixed(word) if !matches!(*word, "*" | "#"))).count()
}

/// Whether a template has a parameter of this name.
pub(super) fn has(template: &str, parameter: &str) -> bool {
    words(template).any(|word| word == Word::Parameter(parameter))
}

/// The pattern that a template's keys match: `*`, or what it is narrowed to, in the place of each parameter.
pub(super) fn pattern<'n>(template: &str, narrowed: impl Fn(&str) -> Option<&'n str>) -> String {
    let words = words(template).map(|word| match word {
        Word::Fixed(word) => word.to_owned(),
        Word::Parameter(name) => narrowed(name).unwrap_or("*").to_owned(),
    });
    words.collect::<Vec<_>>().join(".")
}

/// The parameters of a key; `None` when it is not one of the template's.
pub(super) fn read<'t, 'k>(template: &'t str, key: &'k str) -> Option<Vec<(&'t str, &'k str)>> {
    let mut found = key.split('.');
    let mut parameters = Vec::new();
    for word in words(template) {
        match (word, found.next()?) {
            (Word::Fixed(word), found) if word == found => {}
            (Word::Fixed(_), _) => return None,
            (Word::Parameter(name), found) => parameters.push((name, found)),
        }
    }
    found.next().is_none().then_some(parameters)
}

/// The key of a template with these parameters.
pub(super) fn fill<'v, E>(
    template: &str,
    mut parameter: impl FnMut(&str) -> Result<std::borrow::Cow<'v, str>, E>,
    wrong: impl Fn(String) -> E,
) -> Result<String, E> {
    let mut key = String::with_capacity(template.len() + 32);
    for word in words(template) {
        if !key.is_empty() {
            key.push('.');
        }
        match word {
            Word::Fixed(word) => key.push_str(word),
            Word::Parameter(name) => {
                let value = parameter(name)?;
                check_word(&value).map_err(|why| wrong(format!("`{name}` is a word of the routing key, and {why}")))?;
                key.push_str(&value);
            }
        }
    }
    if key.len() > LONGEST_KEY {
        return Err(wrong(format!("a routing key of {} bytes is too long: a bus carries {LONGEST_KEY}", key.len())));
    }
    Ok(key)
}

/// Whether a text can be one word of a key: then it chooses no other route, and is no wildcard.
fn check_word(word: &str) -> Result<(), String> {
    if word.is_empty() {
        return Err("is empty".to_owned());
    }
    match word.chars().find(|c| matches!(c, '.' | '*' | '#') || c.is_control()) {
        Some(c) => Err(format!("{:?} contains {c:?}", shown(word))),
        None => Ok(()),
    }
}

/// Whether a text can be one word of a key.
pub(super) fn is_word(text: &str) -> bool {
    check_word(text).is_ok()
}

fn shown(word: &str) -> String {
    word.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn a_key_is_read_by_its_template_alone() {
        let template = "ipmi.command.{command}.{graphId}";
        assert_eq!(read(template, "ipmi.command.sdr.g1"), Some(vec![("command", "sdr"), ("graphId", "g1")]));
        for other in ["ipmi.command.sdr", "ipmi.command.sdr.result.g1", "ipmi.run.sdr.g1", ""] {
            assert_eq!(read(template, other), None, "{other}");
        }
        assert_eq!(pattern(template, |_| None), "ipmi.command.*.*");
        assert_eq!(pattern(template, |name| (name == "graphId").then_some("g1")), "ipmi.command.*.g1");
        assert_eq!((fixed(template), fixed("a.*.#")), (2, 1));
    }

    #[test]
    fn a_parameter_is_one_word_and_chooses_no_other_key() {
        let with = |value: &'static str| fill("run.{task}", |_| Ok(Cow::Borrowed(value)), |why| why);
        assert_eq!(with("t1").as_deref(), Ok("run.t1"));
        assert_eq!(with("uuid:1::urn:x").as_deref(), Ok("run.uuid:1::urn:x"));
        for bad in ["", "a.b", "*", "#", "a*", "\n"] {
            assert!(with(bad).unwrap_err().contains("`task`"), "{bad:?}");
        }
        let long = fill("run.{task}", |_| Ok::<_, String>(Cow::Owned("t".repeat(252))), |why| why);
        assert!(long.unwrap_err().contains("256 bytes"));
    }
}

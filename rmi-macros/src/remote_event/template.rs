//! Templates of keys: `dhcp.bind.{node}`.

use syn::{LitStr, ext::IdentExt};

use super::model::{Field, Word};
use crate::errors::Errors;

/// How long a key may be, in bytes.
const LONGEST: usize = 255;

/// Reads a template. `None` after a mistake.
pub(super) fn read(text: &LitStr, fields: &[Field], errors: &mut Errors) -> Option<Vec<Word>> {
    let before = errors.count();
    let value = text.value();
    if value.is_empty() {
        errors.at(text, "a key has at least one word: write one such as \"dhcp.bind.{node}\"");
        return None;
    }
    let mut words = Vec::new();
    for word in value.split('.') {
        match read_word(word, fields) {
            Ok(Word::Field(field)) if words.iter().any(|word| matches!(word, Word::Field(other) if *other == field)) => {
                errors.at(text, format!("`{word}` is in this key twice: an event that arrives would have two values for it"));
            }
            Ok(word) => words.push(word),
            Err(mistake) => errors.at(text, mistake),
        }
    }
    let shortest: usize = words.iter().map(|word| if let Word::Same(word) = word { word.len() + 1 } else { 2 }).sum();
    if shortest > LONGEST + 1 {
        errors.at(text, format!("this makes keys of at least {} bytes, and a bus carries {LONGEST}: shorten it", shortest - 1));
    }
    (errors.count() == before).then_some(words)
}

fn read_word(word: &str, fields: &[Field]) -> Result<Word, String> {
    if word.is_empty() {
        return Err("a key has no empty words: remove the `.` that is too many".to_owned());
    }
    if let Some(name) = word.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
        && !name.contains(['{', '}'])
    {
        if name.is_empty() {
            return Err("`{}` names no field: write its name between the braces".to_owned());
        }
        return fields.iter().position(|field| field.ident.unraw() == name).map(Word::Field).ok_or_else(|| {
            let names: Vec<_> = fields.iter().map(|field| format!("`{{{}}}`", field.ident.unraw())).collect();
            match names.as_slice() {
                [] => format!("there is no field `{name}`: this event has none"),
                names => format!("there is no field `{name}`: this event has {}", names.join(", ")),
            }
        });
    }
    match word.chars().find(|c| !is_of_words(*c)) {
        None => Ok(Word::Same(word.to_owned())),
        Some('{' | '}') => {
            Err(format!("in `{word}` a field is not a whole word, so it could not be read back: put dots around `{{field}}`"))
        }
        Some(c @ ('*' | '#' | '+')) => {
            Err(format!("a key has no `{c}`: wildcards are for those who subscribe; for a value that varies write `{{field}}`"))
        }
        Some(c) => Err(format!("a key has no {c:?}: its words are separated by dots, and each bus has to carry them")),
    }
}

fn is_of_words(c: char) -> bool {
    !matches!(c, '{' | '}' | '*' | '#' | '+' | '/') && !c.is_whitespace() && !c.is_control()
}

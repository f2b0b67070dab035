//! A line taken apart: which of the protocol's messages it is, by the checks of the original in their order.

use std::borrow::Cow;

use crate::{
    protocol::python,
    scan::{ScanError, Scanner, Value},
    text::Text,
};

/// A member of an object, and its key.
pub(super) type Member<'a> = (Cow<'a, str>, Value<'a>);

/// What is said on a line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said<'a> {
    Command { id: Value<'a>, version: Value<'a>, method: Value<'a>, params: Value<'a> },
    Answer { id: Value<'a>, answer: Answer<'a> },
    Fatal(Value<'a>),
}

/// How a command ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer<'a> {
    Result(Value<'a>),
    Error(Value<'a>),
}

/// Why a line is none of the protocol's: what the `fatal_error` says that answers it.
pub(super) mod fatal {
    pub(in super::super) const UNDECODABLE: &str = "protocol error: unable to decode message.";
    pub(in super::super) const MALFORMED: &str = "protocol error: malformed message.";
    pub(in super::super) const NO_VERSION: &str = "protocol violation: missing message version.";
    pub(in super::super) const NO_ID: &str = "protocol violation: missing message id.";
    pub(in super::super) const NO_PARAMS: &str = "protocol violation: missing message params.";
    pub(in super::super) const PARAMS: &str = "protocol violation: message params must be an object.";
    pub(in super::super) const UNKNOWN_ID: &str = "protocol violation: unknown message id referenced.";
    pub(in super::super) const UNKNOWN_VERSION: &str = "unknown message version";
    pub(in super::super) const UNKNOWN_METHOD: &str = "unknown message method";
}

/// A text in which numbers that only Python has are `null`, if there were any and it is read as one.
#[derive(Debug, Default)]
pub(super) struct Spare(Option<Text>);

/// Reads a line. With it comes the text that it was read from.
///
/// # Errors
///
/// It is none of the protocol's; what its `fatal_error` is to say.
pub(super) fn read<'a>(text: &'a Text, spare: &'a mut Spare) -> Result<(&'a Text, Said<'a>), &'static str> {
    match said(text) {
        Err(fatal::UNDECODABLE) => {}
        read => return read.map(|said| (text, said)),
    }
    spare.0 = python::without_special_numbers(text);
    let text = spare.0.as_ref().ok_or(fatal::UNDECODABLE)?;
    said(text).map(|said| (text, said))
}

fn said(text: &str) -> Result<Said<'_>, &'static str> {
    let mut line = Line::default();
    let each = |key: Cow<'_, str>, value| {
        let member = match &*key {
            "id" => &mut line.id,
            "version" => &mut line.version,
            "method" => &mut line.method,
            "params" => &mut line.params,
            "result" => &mut line.result,
            "error" => &mut line.error,
            "fatal_error" => &mut line.fatal_error,
            _ => return,
        };
        // Of two members of one name the last one counts.
        *member = Some(value);
    };
    if Scanner::new(text).peek() != Some(b'{') {
        let mut scanner = Scanner::new(text);
        let json = scanner.value().and_then(|_| scanner.end()).is_ok();
        return Err(if json { fatal::MALFORMED } else { fatal::UNDECODABLE });
    }
    walk(text, each).map_err(|_| fatal::UNDECODABLE)?;
    line.check()
}

#[derive(Debug, Default)]
struct Line<'a> {
    id: Option<Value<'a>>,
    version: Option<Value<'a>>,
    method: Option<Value<'a>>,
    params: Option<Value<'a>>,
    result: Option<Value<'a>>,
    error: Option<Value<'a>>,
    fatal_error: Option<Value<'a>>,
}

impl<'a> Line<'a> {
    fn check(self) -> Result<Said<'a>, &'static str> {
        if let Some(why) = self.fatal_error {
            return Ok(Said::Fatal(why));
        }
        let version = self.version.filter(|version| is_truthy(*version)).ok_or(fatal::NO_VERSION)?;
        let id = self.id.filter(|id| is_truthy(*id)).ok_or(fatal::NO_ID)?;
        if let Some(method) = self.method {
            let params = self.params.ok_or(fatal::NO_PARAMS)?;
            if !params.get().starts_with('{') {
                return Err(fatal::PARAMS);
            }
            return Ok(Said::Command { id, version, method, params });
        }
        match (self.error, self.result) {
            (Some(error), _) => Ok(Said::Answer { id, answer: Answer::Error(error) }),
            (None, Some(result)) => Ok(Said::Answer { id, answer: Answer::Result(result) }),
            (None, None) => Err(fatal::MALFORMED),
        }
    }
}

/// Goes through the members of an object, which is the whole text.
fn walk<'a>(text: &'a str, mut each: impl FnMut(Cow<'a, str>, Value<'a>)) -> Result<(), ScanError> {
    let mut scanner = Scanner::new(text);
    let mut more = scanner.object()?;
    while more {
        let key = scanner.key()?;
        let value = scanner.value()?;
        // A key whose escapes are no characters is none that anybody looks for.
        if let Some(key) = string(key) {
            each(key, value);
        }
        more = scanner.another()?;
    }
    scanner.end()
}

/// The members of an object. None where it is no object.
pub(super) fn members(object: &str) -> Vec<Member<'_>> {
    let mut members: Vec<Member<'_>> = Vec::new();
    let walked = walk(object, |key, value| members.push((key, value)));
    if walked.is_err() { Vec::new() } else { members }
}

/// The member of a name: the last one.
pub(super) fn member<'a>(object: &'a str, name: &str) -> Option<Value<'a>> {
    let mut found = None;
    let walked = walk(object, |key, value| {
        if key == name {
            found = Some(value);
        }
    });
    walked.ok().and(found)
}

/// What a string says; `None` when it is none.
pub(super) fn string(value: Value<'_>) -> Option<Cow<'_, str>> {
    value.plain().map(Cow::Borrowed).or_else(|| value.unescaped().map(Cow::Owned))
}

/// What Python takes for true: not `null`, `false`, a zero, or what is empty.
pub(super) fn is_truthy(value: Value<'_>) -> bool {
    let text = value.get();
    let inside = |text: &str| !text.trim_matches(['[', ']', '{', '}', ' ', '\t', '\r', '\n']).is_empty();
    match text.as_bytes().first() {
        Some(b'n' | b'f') => false,
        Some(b'"') => text.len() > 2,
        Some(b'[' | b'{') => inside(text) || text.matches(['[', '{']).count() > 1,
        Some(b't') => true,
        _ => text.parse::<f64>().is_ok_and(|number| number != 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Result<String, &'static str> {
        let (text, mut spare) = (Text::from(text), Spare::default());
        read(&text, &mut spare).map(|(_, said)| match said {
            Said::Command { id, method, params, .. } => format!("{} {} {}", id.get(), method.get(), params.get()),
            Said::Answer { id, answer: Answer::Result(value) } => format!("{} result {}", id.get(), value.get()),
            Said::Answer { id, answer: Answer::Error(value) } => format!("{} error {}", id.get(), value.get()),
            Said::Fatal(value) => format!("fatal {}", value.get()),
        })
    }

    #[test]
    fn checks_are_made_in_the_order_of_the_original() {
        let cases = [
            ("", Err(fatal::UNDECODABLE)),
            ("{", Err(fatal::UNDECODABLE)),
            ("{} {}", Err(fatal::UNDECODABLE)),
            ("{\"id\": 1,}", Err(fatal::UNDECODABLE)),
            ("null", Err(fatal::MALFORMED)),
            ("[1]", Err(fatal::MALFORMED)),
            ("NaN", Err(fatal::MALFORMED)),
            ("{}", Err(fatal::NO_VERSION)),
            (r#"{"version": "v913"}"#, Err(fatal::NO_ID)),
            (r#"{"id": "1", "version": "v2"}"#, Err(fatal::MALFORMED)),
            (r#"{"id": "1", "version": 1, "method": "x"}"#, Err(fatal::NO_PARAMS)),
            (r#"{"id": "1", "version": "v1", "method": "x", "params": []}"#, Err(fatal::PARAMS)),
            (r#"{"id": "1", "version": "v1", "method": "x", "params": null}"#, Err(fatal::PARAMS)),
            (r#"{"fatal_error": "", "method": 1}"#, Ok("fatal \"\"")),
            (r#"{"id": 7, "version": "v1", "method": "x", "params": {}, "result": 1, "error": 2}"#, Ok("7 \"x\" {}")),
            (r#"{"id": 7, "version": "x", "result": 1, "error": null}"#, Ok("7 error null")),
            (r#"{"id": 7, "version": "x", "result": null}"#, Ok("7 result null")),
            (r#"{"id": 0, "version": "v1", "id": 7, "result": 1, "result": 2}"#, Ok("7 result 2")),
            (r#"{"\u0069d": 7, "version": "v1", "method": [], "params": {"x": NaN}}"#, Ok("7 [] {\"x\": null}")),
        ];
        for (text, expected) in cases {
            assert_eq!(verdict(text), expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn what_python_takes_for_false_counts_as_missing() {
        let truthy = |text: &str| is_truthy(Scanner::new(text).value().unwrap());
        for falsy in ["null", "false", "0", "-0", "0.0", "0e7", "1e-999", "\"\"", "[]", "{}", "[ ]", "{ }"] {
            assert!(!truthy(falsy), "{falsy}");
        }
        for value in ["true", "1", "-1", "0.5", "1e999", "\"0\"", "\" \"", "[0]", "[[]]", "[{}]", "{\"\":0}", "[\"]\"]"] {
            assert!(truthy(value), "{value}");
        }
    }
}

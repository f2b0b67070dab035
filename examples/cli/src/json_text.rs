//! JSON text laid out anew without being read: every number keeps its digits.

use std::fmt::Write;

use crate::out::{is_printable, paint};
use anstyle::{AnsiColor, Style};

/// On one line, as programs like it.
pub(crate) fn compact(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for token in Tokens(json) {
        write_token(&mut text, token);
    }
    text
}

/// Indented, as people like it; coloured where that can be seen.
pub(crate) fn pretty(json: &str, colored: bool) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut tokens = Tokens(json).peekable();
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(token) = tokens.next() {
        match token {
            "{" | "[" if tokens.peek().is_some_and(|next| matches!(*next, "}" | "]")) => text.push_str(token),
            "{" | "[" => {
                text.push_str(token);
                depth += 1;
                line(&mut text, depth);
            }
            "}" | "]" => {
                if !text.ends_with(['{', '[']) {
                    depth = depth.saturating_sub(1);
                    line(&mut text, depth);
                }
                text.push_str(token);
            }
            "," => {
                text.push(',');
                line(&mut text, depth);
            }
            ":" => text.push_str(": "),
            word => {
                let is_key = tokens.peek() == Some(&":");
                let style = if colored { style_of(word, is_key) } else { Style::new() };
                let mut shown = String::with_capacity(word.len());
                write_token(&mut shown, word);
                text.push_str(&paint(style, &shown));
            }
        }
    }
    text
}

fn style_of(token: &str, is_key: bool) -> Style {
    match token.as_bytes().first() {
        Some(b'"') if is_key => AnsiColor::Blue.on_default(),
        Some(b'"') => AnsiColor::Green.on_default(),
        Some(b'n') => Style::new().dimmed(),
        _ => AnsiColor::Cyan.on_default(),
    }
}

/// A terminal must not take what a peer says for an order: what is no character to look at is written as an escape, which is the same
/// JSON.
fn write_token(text: &mut String, token: &str) {
    for c in token.chars() {
        if is_printable(c) {
            text.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a string does not fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
}

/// The tokens of a text that is known to be JSON, without the space between them.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start_matches([' ', '\t', '\r', '\n']);
        let length = match text.as_bytes().first()? {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            b'"' => string(text),
            _ => text.find([',', ':', '{', '}', '[', ']', ' ', '\t', '\r', '\n']).unwrap_or(text.len()),
        };
        let (token, rest) = text.split_at(length);
        self.0 = rest;
        Some(token)
    }
}

/// The length of the string that a text begins with, quotes included.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{ \"a b\" :\n[1.50000000000000000001,  \"x\\\"y, z\", {}, [ ], null],\"n\":9007199254740993}";

    #[test]
    fn compact_takes_out_what_is_between() {
        let expected = r#"{"a b":[1.50000000000000000001,"x\"y, z",{},[],null],"n":9007199254740993}"#;
        assert_eq!(compact(TEXT), expected);
        assert_eq!(compact(&pretty(TEXT, false)), expected);
    }

    #[test]
    fn pretty_indents() {
        assert_eq!(pretty(r#"{"a":[1,{}],"b":[]}"#, false), "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
        assert_eq!(pretty("\"alone\"", false), "\"alone\"");
        assert!(pretty("[1]", true).contains("\u{1b}[36m1\u{1b}[0m"));
    }

    #[test]
    fn a_terminal_is_given_no_orders() {
        assert_eq!(compact("\"\u{9b}31m \u{7f} \u{202e}\""), r#""\u009b31m \u007f \u202e""#);
    }
}

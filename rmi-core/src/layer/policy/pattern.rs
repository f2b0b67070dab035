//! What a policy file writes for principals and methods: names, in which `*` stands for anything.

use crate::{seal::Principal, text::Text};

/// A name in which `*` stands for any characters, also for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Box<str>);

impl Glob {
    fn new(text: &str) -> Self {
        Glob(text.into())
    }

    fn is_name(&self) -> bool {
        !self.0.contains('*')
    }

    /// Whether a name is meant. Takes no longer than the pattern's length times the name's.
    pub(super) fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut at, mut seen) = (0, 0);
        // Behind the last star, and how much of the name it has taken.
        let mut star: Option<(usize, usize)> = None;
        while seen < name.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at + 1, seen));
                    at += 1;
                }
                Some(byte) if *byte == name[seen] => (at, seen) = (at + 1, seen + 1),
                _ => {
                    let Some((behind, taken)) = star else { return false };
                    star = Some((behind, taken + 1));
                    (at, seen) = (behind, taken + 1);
                }
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

/// The principals that a rule is about. The three kinds never compare equal, whatever the names are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Key(Glob),
    Transport(Glob),
    Anonymous,
}

impl Who {
    /// # Errors
    ///
    /// What to write instead.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let named = |name: &str| if name.is_empty() { Err(nameless(text)) } else { Ok(Glob::new(name)) };
        match text.split_once(':') {
            None if text == "anonymous" => Ok(Who::Anonymous),
            Some(("key", name)) => named(name).map(Who::Key),
            Some(("transport", name)) => named(name).map(Who::Transport),
            None if text == "*" => {
                Err("`*` alone is nobody: write `key:*`, `transport:*` and `anonymous`, those of the three that are meant".into())
            }
            _ => {
                let name = text.rsplit_once(':').map_or(text, |(_, name)| name);
                let name = if name.is_empty() { "name" } else { name };
                Err(format!(
                    "{text:?} does not say what kind of principal it is: write `key:{name}` for the holder of a key, \
                     `transport:{name}` for whom the transport vouches for, `anonymous` for nobody in particular, or `@group`"
                ))
            }
        }
    }

    pub(super) fn matches(&self, principal: &Principal) -> bool {
        match (self, principal) {
            (Who::Key(glob), Principal::Key(name)) | (Who::Transport(glob), Principal::Transport(name)) => glob.matches(name),
            (Who::Anonymous, Principal::Anonymous) => true,
            (Who::Key(_) | Who::Transport(_) | Who::Anonymous, _) => false,
        }
    }

    /// The one principal that is meant, if there is no `*` in it.
    pub(super) fn only(&self) -> Option<Principal> {
        match self {
            Who::Key(glob) => glob.is_name().then(|| Principal::Key(Text::from(&*glob.0))),
            Who::Transport(glob) => glob.is_name().then(|| Principal::Transport(Text::from(&*glob.0))),
            Who::Anonymous => Some(Principal::Anonymous),
        }
    }
}

fn nameless(text: &str) -> String {
    format!("{text:?} has no name behind the colon: write one, or `{text}*` for all of that kind")
}

/// The methods that a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct What {
    class: Glob,
    method: Glob,
    pub(super) text: Box<str>,
}

impl What {
    /// # Errors
    ///
    /// What to write instead.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (class, method) = match text.split_once('.') {
            Some((class, method)) if !class.is_empty() && !method.is_empty() => (class, method),
            None if text == "*" => ("*", "*"),
            None if !text.is_empty() => {
                return Err(format!(
                    "{text:?} is a class without a method: write `{text}.*` for all of them, or `{text}.method`"
                ));
            }
            _ => return Err(format!("{text:?} is no method: write `Class.method`, `Class.*`, or `*` for everything")),
        };
        Ok(What { class: Glob::new(class), method: Glob::new(method), text: text.into() })
    }

    pub(super) fn matches(&self, class: &str, method: &str) -> bool {
        self.class.matches(class) && self.method.matches(method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, yes, no) in [
            ("*", vec!["", "a", "a.b"], vec![]),
            ("a*", vec!["a", "ab", "a*"], vec!["", "ba"]),
            ("*a", vec!["a", "ba", "aa", "aba"], vec!["", "ab"]),
            ("a*b*c", vec!["abc", "aXbYc", "abcbc", "abbc"], vec!["ac", "abcd", "acb"]),
            ("a**b", vec!["ab", "axb"], vec!["a", "b"]),
            ("ops", vec!["ops"], vec!["op", "opss", "Ops", ""]),
            ("é*", vec!["é", "éa"], vec!["e"]),
        ] {
            let glob = Glob::new(pattern);
            yes.iter().for_each(|name| assert!(glob.matches(name), "{pattern} {name}"));
            no.iter().for_each(|name| assert!(!glob.matches(name), "{pattern} {name}"));
        }
    }

    #[test]
    fn many_stars_end_soon() {
        let glob = Glob::new(&"a*".repeat(200));
        assert!(!glob.matches(&format!("{}b", "b".repeat(50_000))));
        assert!(!Glob::new(&format!("{}b", "*a".repeat(50))).matches(&"a".repeat(20_000)));
    }

    #[test]
    fn the_kinds_of_principals_never_compare_equal() {
        let kinds = [Principal::Key("x".into()), Principal::Transport("x".into()), Principal::Anonymous];
        for (at, text) in ["key:x", "transport:x", "anonymous"].into_iter().enumerate() {
            let who = Who::parse(text).unwrap();
            for (other, principal) in kinds.iter().enumerate() {
                assert_eq!(who.matches(principal), at == other, "{text} {principal}");
            }
            assert_eq!(who.only().as_ref(), Some(&kinds[at]));
        }
        assert!(!Who::parse("key:*").unwrap().matches(&Principal::Anonymous));
        assert!(!Who::parse("key:*").unwrap().matches(&Principal::Transport("x".into())));
        assert_eq!(Who::parse("transport:x*").unwrap().only(), None);
        // A name that looks like another kind is a name.
        assert!(!Who::parse("anonymous").unwrap().matches(&Principal::Key("anonymous".into())));
        assert!(Who::parse("key:transport:x").unwrap().matches(&Principal::Key("transport:x".into())));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (text, said) in [
            ("*", "`key:*`, `transport:*` and `anonymous`"),
            ("ops", "`key:ops`"),
            ("user:ops", "`key:ops`"),
            ("Key:ops", "`key:ops`"),
            ("", "`key:name`"),
            ("key:", "`key:*`"),
        ] {
            let error = Who::parse(text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        for (text, said) in [("dhcp", "`dhcp.*`"), ("", "`Class.method`"), (".x", "`Class.method`"), ("x.", "`Class.method`")] {
            let error = What::parse(text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let what = What::parse("dhcp.look*").unwrap();
        assert!(what.matches("dhcp", "lookup") && !what.matches("dhcp", "drop") && !what.matches("dhcp2", "lookup"));
    }
}

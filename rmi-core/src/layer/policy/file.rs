//! Reads the text that is documented at [`Policy`](super::Policy).

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use toml::Spanned;

use super::{
    Effect, Grant, Policy, PolicyError, Rule,
    pattern::{What, Who},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    groups: BTreeMap<String, Names>,
    #[serde(default, deserialize_with = "tables")]
    allow: Vec<Spanned<RuleText>>,
    #[serde(default, deserialize_with = "tables")]
    deny: Vec<Spanned<RuleText>>,
    #[serde(default, deserialize_with = "tables")]
    admin: Vec<Spanned<GrantText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    name: Option<String>,
    who: Spanned<Names>,
    call: Spanned<Names>,
    bindings: Option<Spanned<Numbers>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantText {
    who: Spanned<Names>,
    may: Spanned<Names>,
    whose: Spanned<Names>,
}

/// A list of texts.
struct Names(Vec<Spanned<String>>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        list(deserializer, r#"a list of texts, as in ["key:alice"]"#).map(Names)
    }
}

/// A list of bindings.
struct Numbers(Vec<Spanned<i64>>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        list(deserializer, "a list of numbers, as in [0, 1]").map(Numbers)
    }
}

fn tables<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Spanned<T>>, D::Error> {
    list(deserializer, "tables whose name stands in two pairs of brackets, as in [[allow]]")
}

/// A list, or an error that says what was expected in an operator's words.
fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D, expected: &'static str) -> Result<Vec<T>, D::Error> {
    struct List<T>(&'static str, PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            std::iter::from_fn(|| items.next_element().transpose()).collect()
        }
    }
    deserializer.deserialize_seq(List(expected, PhantomData))
}

/// What a text says, or what is wrong with it first.
pub(super) fn parse(text: &str) -> Result<Policy, PolicyError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        wrong(text, at, error.message().trim().replace('\n', ": "))
    })?;
    let reader = Reader { text, groups: Reader::groups(text, &file.groups)? };
    let mut rules = Vec::with_capacity(file.allow.len() + file.deny.len());
    for (effect, written) in [(Effect::Allow, file.allow), (Effect::Deny, file.deny)] {
        for rule in written {
            rules.push(reader.rule(effect, rule)?);
        }
    }
    // As a person reads them, so that the rule that is named is the first of those that say the same.
    rules.sort_by_key(|rule| rule.line);
    let grants = file.admin.iter().map(|grant| reader.grant(grant.as_ref())).collect::<Result<_, _>>()?;
    Ok(Policy::of(rules, grants))
}

struct Reader<'a> {
    text: &'a str,
    groups: BTreeMap<&'a str, Vec<Who>>,
}

impl<'a> Reader<'a> {
    fn groups(text: &'a str, written: &'a BTreeMap<String, Names>) -> Result<BTreeMap<&'a str, Vec<Who>>, PolicyError> {
        let mut groups = BTreeMap::new();
        for (name, members) in written {
            let mut read = Vec::new();
            for member in &members.0 {
                let who = match member.as_ref().strip_prefix('@') {
                    Some(_) => Err("a group holds principals, and no groups: write its members here as well".to_owned()),
                    None => Who::parse(member.as_ref()),
                };
                read.push(who.map_err(|why| wrong(text, member.span().start, why))?);
            }
            groups.insert(name.as_str(), read);
        }
        Ok(groups)
    }

    fn rule(&self, effect: Effect, written: Spanned<RuleText>) -> Result<Rule, PolicyError> {
        let line = line(self.text, written.span().start);
        let RuleText { name, who, call, bindings } = written.into_inner();
        let bindings = bindings.map(|bindings| self.bindings(&bindings)).transpose()?;
        let who = self.principals(&who, "who")?;
        let call = self.list(&call, "call", What::parse)?;
        Ok(Rule { name, line, effect, who, call, bindings })
    }

    fn bindings(&self, written: &Spanned<Numbers>) -> Result<Vec<usize>, PolicyError> {
        if written.as_ref().0.is_empty() {
            let why = "`bindings` is empty, so the rule never holds: name some by number, from 0, or leave it out for all";
            return Err(wrong(self.text, written.span().start, why.to_owned()));
        }
        let read = |number: &Spanned<i64>| {
            let why = || format!("there is no binding {}: they are numbered from 0", number.as_ref());
            usize::try_from(*number.as_ref()).map_err(|_| wrong(self.text, number.span().start, why()))
        };
        written.as_ref().0.iter().map(read).collect()
    }

    fn grant(&self, written: &GrantText) -> Result<Grant, PolicyError> {
        let may = self.list(&written.may, "may", |action| match action {
            "cancel" | "resume" => Ok(action.to_owned()),
            _ => Err(format!("{action:?} cannot be done to others' requests: write `cancel`, `resume` or both")),
        })?;
        Ok(Grant {
            who: self.principals(&written.who, "who")?,
            cancel: may.iter().any(|action| action == "cancel"),
            resume: may.iter().any(|action| action == "resume"),
            whose: self.principals(&written.whose, "whose")?,
        })
    }

    /// Principals, with groups as their members.
    fn principals(&self, written: &Spanned<Names>, key: &str) -> Result<Vec<Who>, PolicyError> {
        let lists = self.list(written, key, |text| match text.strip_prefix('@') {
            None => Who::parse(text).map(|who| vec![who]),
            Some(group) => self.groups.get(group).cloned().ok_or_else(|| self.no_group(group)),
        })?;
        Ok(lists.into_iter().flatten().collect())
    }

    fn no_group(&self, group: &str) -> String {
        let known: Vec<_> = self.groups.keys().map(|name| format!("`{name}`")).collect();
        match known.as_slice() {
            [] => format!("there is no group `{group}`: write a table `[groups]` with a list `{group} = [\"key:name\"]`"),
            known => format!("there is no group `{group}`: `[groups]` has {}", known.join(", ")),
        }
    }

    fn list<T>(
        &self,
        written: &Spanned<Names>,
        key: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, PolicyError> {
        if written.as_ref().0.is_empty() {
            let why = format!("`{key}` is empty, so this never holds: put something into it, or remove the whole table");
            return Err(wrong(self.text, written.span().start, why));
        }
        let read = |item: &Spanned<String>| read(item.as_ref().as_str()).map_err(|why| wrong(self.text, item.span().start, why));
        written.as_ref().0.iter().map(read).collect()
    }
}

fn wrong(text: &str, at: usize, why: String) -> PolicyError {
    PolicyError::Text { path: None, line: line(text, at), why }
}

/// The number of the line that a byte is in, from 1.
fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

//! Wire names: how they are made of identifiers, and which are good.

use proc_macro2::Ident;
use syn::{LitStr, ext::IdentExt};

use crate::errors::Errors;

/// A way to write names of several words, as serde has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    const ALL: [(&'static str, Case); 8] = [
        ("camelCase", Case::Camel),
        ("snake_case", Case::Snake),
        ("kebab-case", Case::Kebab),
        ("PascalCase", Case::Pascal),
        ("SCREAMING_SNAKE_CASE", Case::ScreamingSnake),
        ("SCREAMING-KEBAB-CASE", Case::ScreamingKebab),
        ("lowercase", Case::Lower),
        ("UPPERCASE", Case::Upper),
    ];

    /// Reads the value of `rename_all`.
    pub(crate) fn read(text: Option<LitStr>, errors: &mut Errors) -> Option<Case> {
        let text = text?;
        let value = text.value();
        let found = Case::ALL.iter().find(|(name, _)| *name == value).map(|(_, case)| *case);
        if found.is_none() {
            let names: Vec<_> = Case::ALL.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            errors.at(text, format!("there is no case `{value}`: write one of {}", names.join(", ")));
        }
        found
    }

    /// The wire name of a method, a parameter or a field, which Rust writes in snake case.
    pub(crate) fn of_snake(case: Option<Case>, ident: &Ident) -> String {
        let name = ident.unraw().to_string();
        let words = || name.split('_').filter(|word| !word.is_empty());
        match case {
            None | Some(Case::Snake | Case::Lower) => name,
            Some(Case::Upper | Case::ScreamingSnake) => name.to_ascii_uppercase(),
            Some(Case::Kebab) => name.replace('_', "-"),
            Some(Case::ScreamingKebab) => name.to_ascii_uppercase().replace('_', "-"),
            Some(Case::Pascal) => words().map(capitalised).collect(),
            Some(Case::Camel) => {
                words().enumerate().map(|(index, word)| if index == 0 { word.to_owned() } else { capitalised(word) }).collect()
            }
        }
    }

    /// The wire name of a variant, which Rust writes in Pascal case.
    pub(crate) fn of_pascal(case: Option<Case>, ident: &Ident) -> String {
        let name = ident.unraw().to_string();
        let joined = |by: char| {
            let mut text = String::new();
            for (index, letter) in name.char_indices() {
                if index > 0 && letter.is_ascii_uppercase() {
                    text.push(by);
                }
                text.push(letter.to_ascii_lowercase());
            }
            text
        };
        match case {
            None | Some(Case::Pascal) => name,
            Some(Case::Lower) => name.to_ascii_lowercase(),
            Some(Case::Upper) => name.to_ascii_uppercase(),
            Some(Case::Camel) => {
                let mut letters = name.chars();
                letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
            }
            Some(Case::Snake) => joined('_'),
            Some(Case::ScreamingSnake) => joined('_').to_ascii_uppercase(),
            Some(Case::Kebab) => joined('-'),
            Some(Case::ScreamingKebab) => joined('-').to_ascii_uppercase(),
        }
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// A wire name that somebody wrote, or the one that follows from the identifier.
pub(crate) fn wire(written: Option<LitStr>, otherwise: impl FnOnce() -> String, errors: &mut Errors) -> String {
    match written {
        Some(written) => checked(&written, errors),
        None => otherwise(),
    }
}

/// A wire name that somebody wrote.
pub(crate) fn checked(written: &LitStr, errors: &mut Errors) -> String {
    let name = written.value();
    if name.is_empty() {
        errors.at(written, "a wire name is not empty: write one, or leave the option out");
    } else if let Some(bad) = name.chars().find(|c| matches!(c, '.' | '/') || c.is_whitespace() || c.is_control()) {
        errors.at(
            written,
            format!(
                "a wire name has no {bad:?}: dots and slashes separate names in addresses, spaces and control characters get lost"
            ),
        );
    }
    name
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn ident(text: &str) -> Ident {
        Ident::new(text, Span::call_site())
    }

    #[test]
    fn cases_of_methods_and_parameters() {
        let of = |case| Case::of_snake(Some(case), &ident("lookup_ip_lease"));
        assert_eq!(of(Case::Camel), "lookupIpLease");
        assert_eq!(of(Case::Pascal), "LookupIpLease");
        assert_eq!(of(Case::Snake), "lookup_ip_lease");
        assert_eq!(of(Case::Kebab), "lookup-ip-lease");
        assert_eq!(of(Case::ScreamingSnake), "LOOKUP_IP_LEASE");
        assert_eq!(of(Case::ScreamingKebab), "LOOKUP-IP-LEASE");
        assert_eq!(of(Case::Lower), "lookup_ip_lease");
        assert_eq!(of(Case::Upper), "LOOKUP_IP_LEASE");
    }

    #[test]
    fn cases_of_variants() {
        let of = |case| Case::of_pascal(Some(case), &ident("NoLease"));
        assert_eq!(of(Case::Camel), "noLease");
        assert_eq!(of(Case::Pascal), "NoLease");
        assert_eq!(of(Case::Snake), "no_lease");
        assert_eq!(of(Case::Kebab), "no-lease");
        assert_eq!(of(Case::ScreamingSnake), "NO_LEASE");
        assert_eq!(of(Case::ScreamingKebab), "NO-LEASE");
        assert_eq!(of(Case::Lower), "nolease");
        assert_eq!(of(Case::Upper), "NOLEASE");
    }

    #[test]
    fn a_raw_identifier_is_written_without_its_prefix() {
        let raw = Ident::new_raw("type", Span::call_site());
        assert_eq!(Case::of_snake(None, &raw), "type");
        assert_eq!(Case::of_snake(Some(Case::Camel), &raw), "type");
    }
}

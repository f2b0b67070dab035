//! A type as a person would write it, for the contract. Token streams print themselves differently inside and outside of the
//! compiler; this does not.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Type};

use crate::parse::peel;

/// The text of a type, or of a default.
pub(crate) fn spell(written: &impl ToTokens) -> String {
    let mut text = String::new();
    write(written.to_token_stream(), &mut text);
    text
}

/// The texts of the types between the angle brackets of a type whose last name is this one, with so many of them. An alias of it
/// has none: nothing but its text depends on how it is spelled.
pub(crate) fn spell_inside<const N: usize>(ty: &Type, name: &str) -> Option<[String; N]> {
    let Type::Path(path) = peel(ty) else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(inside) = &last.arguments else { return None };
    let types = inside.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(spell(ty)),
        _ => None,
    });
    types.collect::<Vec<_>>().try_into().ok()
}

fn write(tokens: TokenStream, text: &mut String) {
    let mut joint = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(group.stream(), text);
                text.push_str(close);
            }
            TokenTree::Punct(punct) => {
                let arrow = punct.as_char() == '>' && joint && text.ends_with('-');
                if matches!(punct.as_char(), '=' | '+') || (punct.as_char() == '-' && punct.spacing() == Spacing::Joint) {
                    text.push(' ');
                }
                text.push(punct.as_char());
                joint = punct.spacing() == Spacing::Joint;
                if arrow || matches!(punct.as_char(), ',' | ';' | '=' | '+') {
                    text.push(' ');
                }
            }
            word => {
                let word = word.to_string();
                if text.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                    text.push(' ');
                }
                text.push_str(&word);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use super::{spell, spell_inside};

    #[test]
    fn what_is_inside_is_found_by_the_last_name() {
        let inside = |text: &str| spell_inside::<2>(&syn::parse_str(text).expect("a type"), "Result");
        assert_eq!(inside("Result<Vec<u8>, std::io::Error>"), Some(["Vec<u8>".to_owned(), "std::io::Error".to_owned()]));
        assert_eq!(inside("(std::result::Result<(), E>)"), Some(["()".to_owned(), "E".to_owned()]));
        assert_eq!(inside("io::Result<()>"), None);
        assert_eq!(inside("Learned"), None);
    }

    #[test]
    fn types_are_written_as_people_write_them() {
        for text in [
            "&str",
            "&[u8]",
            "Vec<u8>",
            "std::collections::HashMap<String, Vec<u8>>",
            "(u8, String)",
            "[u8; 6]",
            "()",
            "Option<Box<dyn Fn(u8) -> u8 + Send>>",
            "Cow<'static, str>",
            "<T as Iterator<Item = u8>>::Item",
            "r#type",
        ] {
            let ty: syn::Type = syn::parse_str(text).expect("a type");
            assert_eq!(spell(&ty), text);
        }
    }
}

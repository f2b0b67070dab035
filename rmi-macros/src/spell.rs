//! A type as a person would write it, for the contract. Token streams print themselves differently inside and outside of the
//! compiler; this does not.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// The text of a type.
pub(crate) fn spell(ty: &syn::Type) -> String {
    let mut text = String::new();
    write(ty.to_token_stream(), &mut text);
    text
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

    use super::spell;

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

//! Which of the user's attributes go where: conditions to everything that is made of an item, documentation and lints to the
//! client.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Token, parse::Parser, parse_quote, punctuated::Punctuated};

type Metas = Punctuated<Meta, Token![,]>;

/// The predicate and the attributes of `#[cfg_attr(predicate, attributes..)]`.
pub(crate) fn conditional(attr: &Attribute) -> Option<(Meta, Metas)> {
    let Meta::List(list) = &attr.meta else { return None };
    within(list).filter(|_| list.path.is_ident("cfg_attr"))
}

fn within(list: &syn::MetaList) -> Option<(Meta, Metas)> {
    let mut metas = Metas::parse_terminated.parse2(list.tokens.clone()).ok()?.into_iter();
    Some((metas.next()?, metas.collect()))
}

/// The attributes that decide whether an item exists at all.
pub(crate) fn conditions(attrs: &[Attribute]) -> Vec<Attribute> {
    of_kinds(attrs, &["cfg"])
}

/// The attributes of a method that hold for the client's method as well: conditions, documentation, deprecation and lints.
pub(crate) fn copied(attrs: &[Attribute]) -> Vec<Attribute> {
    of_kinds(attrs, &["cfg", "doc", "deprecated", "allow", "warn", "deny", "forbid", "expect"])
}

/// The attributes of the trait that hold for the client and the server as well.
pub(crate) fn shared(attrs: &[Attribute]) -> Vec<Attribute> {
    of_kinds(attrs, &["cfg", "deprecated", "allow", "warn", "deny", "forbid", "expect"])
}

fn of_kinds(attrs: &[Attribute], kinds: &[&str]) -> Vec<Attribute> {
    attrs.iter().filter_map(|attr| chosen(&attr.meta, kinds)).map(|meta| parse_quote!(#[#meta])).collect()
}

/// Whether an item is deprecated, on some condition or none.
pub(crate) fn deprecated(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| chosen(&attr.meta, &["deprecated"]).is_some())
}

/// What `#[deprecated]` says, which may be nothing. On a condition it is not known whether it says it.
pub(crate) fn deprecation(attrs: &[Attribute]) -> Option<String> {
    let attr = attrs.iter().find(|attr| attr.path().is_ident("deprecated"))?;
    let text = |meta: &Meta| match meta {
        Meta::NameValue(note) if note.path.is_ident("deprecated") || note.path.is_ident("note") => literal(&note.value),
        _ => None,
    };
    let note = match &attr.meta {
        Meta::List(list) => Metas::parse_terminated.parse2(list.tokens.clone()).ok()?.iter().find_map(text),
        other => text(other),
    };
    Some(note.unwrap_or_default())
}

fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

/// What is left of an attribute when only some kinds are wanted; `cfg_attr` is looked into.
fn chosen(meta: &Meta, kinds: &[&str]) -> Option<TokenStream> {
    if kinds.iter().any(|kind| meta.path().is_ident(kind)) {
        return Some(match meta {
            // A copy need not meet the expectation again.
            Meta::List(list) if list.path.is_ident("expect") => {
                let tokens = &list.tokens;
                quote!(allow(#tokens))
            }
            other => other.to_token_stream(),
        });
    }
    let Meta::List(list) = meta else { return None };
    let (predicate, metas) = within(list).filter(|_| list.path.is_ident("cfg_attr"))?;
    let chosen: Vec<_> = metas.iter().filter_map(|meta| chosen(meta, kinds)).collect();
    (!chosen.is_empty()).then(|| quote!(cfg_attr(#predicate, #(#chosen),*)))
}

/// The documentation that is written as text, its lines without the space that follows `///`.
pub(crate) fn docs(attrs: &[Attribute]) -> String {
    let text = |attr: &Attribute| match &attr.meta {
        Meta::NameValue(doc) if doc.path.is_ident("doc") => literal(&doc.value),
        _ => None,
    };
    let lines = attrs.iter().filter_map(text).map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

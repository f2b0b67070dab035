//! From the model to code: one file for each generated item.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::{Ident, Type, ext::IdentExt};

use crate::{attributes, model::Trait};

/// Quotes with names that only generated code can see.
macro_rules! generated {
    ($($tokens:tt)*) => { ::quote::quote_spanned!(::proc_macro2::Span::mixed_site()=> $($tokens)*) };
}
pub(crate) use generated;

mod client;
mod contract;
mod interface;
mod register;
mod server;

pub(crate) use register::{registration, server_of};

/// Everything that a valid trait becomes.
pub(crate) fn complete(model: &Trait) -> TokenStream {
    let interface = interface::expand(model);
    let structs = structs(model);
    let contract = contract::expand(model);
    let client = model.client.then(|| client::implementation(model));
    let server = model.server.then(|| server::implementation(model));
    let implementations = hidden(model, generated!(#contract #client #server));
    generated!(#interface #structs #implementations)
}

/// What can stand beside a trait with mistakes: a client with the valid methods, and a server that serves none.
pub(crate) fn remains(model: &Trait) -> TokenStream {
    let structs = structs(model);
    let contract = contract::expand(model);
    let client = model.client.then(|| client::implementation(model));
    let server = model.server.then(|| server::placeholder(model));
    let implementations = hidden(model, generated!(#contract #client #server));
    generated!(#structs #implementations)
}

fn structs(model: &Trait) -> TokenStream {
    let client = model.client.then(|| client::definition(model));
    let server = model.server.then(|| server::definition(model));
    generated!(#client #server)
}

/// What the implementations of a trait say about it, in a scope of its own.
fn hidden(model: &Trait, items: TokenStream) -> TokenStream {
    let attrs = &model.written.attrs;
    let deprecated = attributes::deprecated(attrs) || model.methods.iter().any(|m| attributes::deprecated(&m.attrs));
    // The copies are deprecated as well; that they are made is not a use.
    let allow = deprecated.then(|| generated!(#[allow(deprecated)]));
    let conditions = attributes::conditions(attrs);
    let scope = scope(&model.private, items);
    generated!(#(#conditions)* #allow #scope)
}

/// A scope of its own, in which `__rmi` is what generated code calls.
pub(crate) fn scope(private: &TokenStream, items: TokenStream) -> TokenStream {
    generated! {
        const _: () = {
            use #private as __rmi;
            #items
        };
    }
}

/// `DogClient`, `DogServer`: where the trait's name is.
fn named_after(model: &Trait, suffix: &str) -> Ident {
    let ident = &model.written.ident;
    format_ident!("{}{}", ident.unraw(), suffix, span = ident.span().resolved_at(Span::mixed_site()))
}

/// An identifier where the user wrote it, but not by the user: lints on its use are not for the user.
pub(crate) fn by_us(ident: &Ident) -> Ident {
    let mut ident = ident.clone();
    ident.set_span(ident.span().resolved_at(Span::mixed_site()));
    ident
}

/// `<Ty as Bound>::Item`, which is reported as the type that the user wrote when the type has no such implementation.
fn projected(ty: &Type, bound: &str, item: &str) -> TokenStream {
    let (first, last) = ends(ty);
    let open = quote_spanned!(first=> <);
    let (bound, item) = (Ident::new(bound, last), Ident::new(item, last));
    let rest = quote_spanned!(last=> as __rmi::#bound>::#item);
    generated!(#open #ty #rest)
}

/// What types can be asked with, in a scope of generated code.
pub(crate) fn probe(private: &TokenStream) -> TokenStream {
    generated! {
        #[allow(unused_imports)]
        use #private::Fallback as _;
    }
}

/// `<Probe<inside>>::ITEM`, what is known of a type without a bound on it; `inside` is the type, or is made of it.
pub(crate) fn probed(ty: &Type, inside: &TokenStream, item: &str) -> TokenStream {
    let (first, last) = ends(ty);
    let item = Ident::new(item, last);
    let open = quote_spanned!(first=> <__rmi::Probe<);
    quote_spanned!(last=> #open #inside>>::#item)
}

/// The places of the first and the last token of a type: what is put at them, around the type, is reported as the type. They are
/// the user's own places, so that what is wrong with a type in several uses is the same error, and is printed once. Only items
/// may be named there; names of variables would be taken for the user's.
fn ends(tokens: &impl ToTokens) -> (Span, Span) {
    let mut spans = tokens.to_token_stream().into_iter().map(|token| token.span());
    let first = spans.next().unwrap_or_else(Span::mixed_site);
    (first, spans.last().unwrap_or(first))
}

/// A list of arguments whose parentheses are at a place, so that the whole call is reported there.
fn in_parentheses(arguments: TokenStream, place: Span) -> Group {
    let mut group = Group::new(Delimiter::Parenthesis, arguments);
    group.set_span(place);
    group
}

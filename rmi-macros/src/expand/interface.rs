//! The trait, its methods written as functions that return futures which may be sent.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::{TraitItem, parse_quote_spanned};

use crate::model::{Method, Trait};

/// The trait.
pub(super) fn expand(model: &Trait) -> TokenStream {
    let private = &model.private;
    let mut item = model.written.clone();
    let span = item.ident.span().resolved_at(proc_macro2::Span::mixed_site());
    if item.colon_token.is_none() {
        item.colon_token = Some(parse_quote_spanned!(span=> :));
    }
    item.supertraits.push(parse_quote_spanned!(span=> #private::Send));
    item.supertraits.push(parse_quote_spanned!(span=> #private::Sync));
    item.supertraits.push(parse_quote_spanned!(span=> 'static));
    if !model.server {
        // Nobody need implement what is only called.
        item.attrs.push(parse_quote_spanned!(span=> #[allow(dead_code)]));
    }
    item.items = model.methods.iter().map(|m| TraitItem::Verbatim(method(m, private))).collect();
    quote_spanned!(span=> #item)
}

fn method(method: &Method, private: &TokenStream) -> TokenStream {
    let span = method.span();
    let attrs = &method.attrs;
    let mut signature = method.signature.clone();
    signature.asyncness = None;
    let output = match &method.returns {
        Some(ty) => quote_spanned!(span=> #ty),
        None => quote_spanned!(span=> ()),
    };
    signature.output = parse_quote_spanned!(span=> -> impl #private::Future<Output = #output> + #private::Send);
    let body = match &method.body {
        Some(body) => quote_spanned!(span=> { async move #body }),
        None => quote_spanned!(span=> ;),
    };
    quote_spanned!(span=> #(#attrs)* #signature #body)
}

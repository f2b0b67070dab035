//! `#[remote]` on an implementation, which makes it discoverable.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemImpl;

use crate::{errors::Errors, expand, parse};

/// Expands `#[remote(attr)] impl Trait for Type { .. }`. The implementation stays as it was written.
pub(crate) fn do_implementation(attr: TokenStream, written: ItemImpl) -> TokenStream {
    let mut errors = Errors::default();
    let plain = parse::without_implementation_options(written.clone());
    let registered = match parse::implementation(attr, written, &mut errors) {
        Some(model) if errors.count() == 0 => expand::registration(&model),
        _ => errors.into_tokens(),
    };
    quote!(#plain #registered)
}

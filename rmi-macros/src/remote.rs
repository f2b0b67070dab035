//! `#[remote]` on a trait. On an implementation, it is [`implementation`].

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemImpl;

use crate::{errors::Errors, expand, implementation, parse};

/// Expands `#[remote(attr)] item`.
///
/// With a mistake in it, the trait is there as it was written, and beside it as much of the rest as is valid: what uses them is
/// not told that they do not exist.
pub(crate) fn do_remote(attr: TokenStream, item: TokenStream) -> TokenStream {
    if let Ok(written) = syn::parse2::<ItemImpl>(item.clone()) {
        return implementation::do_implementation(attr, written);
    }
    let mut errors = Errors::default();
    let Some(written) = parse::item(&item, &mut errors) else {
        let errors = errors.into_tokens();
        return quote!(#item #errors);
    };
    let plain = parse::without_options(written.clone());
    let model = parse::remote_trait(attr, written, &mut errors);
    match model {
        Some(model) if errors.count() == 0 => expand::complete(&model),
        model => {
            let rest = model.map(|model| expand::remains(&model));
            let errors = errors.into_tokens();
            // As it was written is how the compiler would have it otherwise.
            quote!(#[allow(async_fn_in_trait)] #plain #rest #errors)
        }
    }
}

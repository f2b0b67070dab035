//! `#[derive(RemoteEvent)]`: from tokens to [`model`] to code.

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::errors::Errors;

mod expand;
mod model;
mod parse;
mod template;

/// Expands `#[derive(RemoteEvent)] item`.
pub(crate) fn do_remote_event(item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    match syn::parse2::<DeriveInput>(item) {
        Err(error) => errors.push(error),
        Ok(item) => {
            if let Some(model) = parse::read(item, &mut errors).filter(|_| errors.count() == 0) {
                return expand::expand(&model);
            }
        }
    }
    errors.into_tokens()
}

//! The macros of `rmi-core`.
use proc_macro::TokenStream;

/// Makes a trait remote.
#[proc_macro_attribute]
pub fn remote(_attr: TokenStream, item: TokenStream) -> TokenStream {
    item
}

/// Makes an error travel.
#[proc_macro_derive(RemoteError, attributes(remote))]
pub fn remote_error(_item: TokenStream) -> TokenStream {
    TokenStream::new()
}

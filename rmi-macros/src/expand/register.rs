//! The registration of an implementation.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Path, ext::IdentExt};

use super::{ends, scope};
use crate::{
    attributes,
    model::{Implementation, Instances},
};

/// The path of the server that `#[remote]` on the trait has written beside it.
pub(crate) fn server_of(interface: &Path) -> TokenStream {
    let mut server = interface.clone();
    if let Some(last) = server.segments.last_mut() {
        let span = last.ident.span().resolved_at(Span::mixed_site());
        last.ident = format_ident!("{}Server", last.ident.unraw(), span = span);
    }
    server.into_token_stream()
}

/// Registers it.
pub(crate) fn registration(model: &Implementation) -> TokenStream {
    let (server, ty) = (&model.server, &model.ty);
    let server = quote!(#server<#ty>);
    // Whatever is wrong with the type, or with what makes it, is reported there.
    let make = match &model.instances {
        Instances::Default => {
            let (first, last) = ends(ty);
            let open = quote_spanned!(first=> __rmi::default_instance::<);
            quote_spanned!(last=> #open #server, #ty>)
        }
        Instances::New(path) => {
            let (first, last) = ends(path);
            let open = quote_spanned!(first=> __rmi::new_instance::<);
            let call = quote_spanned!(last=> #open #server, _>(#path));
            generated!(|| #call)
        }
        Instances::PerCall(path) => {
            let (first, last) = ends(path);
            let open = quote_spanned!(first=> __rmi::per_call::<);
            let call = quote_spanned!(last=> #open #server, _, _>(#path));
            generated!(|| #call)
        }
    };
    let register = generated!(__rmi::register! { __rmi::Registration::new::<#server>(#make) });
    let attrs = attributes::shared(&model.attrs);
    let scope = scope(&model.private, register);
    generated!(#(#attrs)* #scope)
}

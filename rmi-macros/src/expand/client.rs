//! The client: one inherent method for each of the trait's, and nothing beside them.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::ext::IdentExt;

use super::{by_us, ends, in_parentheses, named_after, projected};
use crate::{
    attributes,
    model::{Kind, Method, Trait},
};

/// The struct.
pub(super) fn definition(model: &Trait) -> TokenStream {
    let (private, vis, client) = (&model.private, &model.written.vis, named_after(model, "Client"));
    let attrs = attributes::shared(&model.written.attrs);
    let docs = format!(" Calls a [`{}`] that is served elsewhere.", model.written.ident.unraw());
    generated! {
        #(#attrs)*
        #[doc = #docs]
        #[derive(#private::Clone)]
        #[allow(dead_code)]
        #vis struct #client {
            __stub: #private::Stub,
        }
    }
}

/// What it can do.
pub(super) fn implementation(model: &Trait) -> TokenStream {
    let client = named_after(model, "Client");
    let methods = model.methods.iter().map(|m| method(m, model));
    let name = client.to_string();
    generated! {
        #[allow(dead_code, clippy::type_complexity)]
        impl #client { #(#methods)* }

        impl __rmi::Client for #client {
            const CONTRACT: &'static __rmi::Contract = &__CONTRACT;

            fn from_stub(__stub: __rmi::Stub) -> Self {
                Self { __stub }
            }

            fn stub(&self) -> &__rmi::Stub {
                &self.__stub
            }
        }

        impl __rmi::Debug for #client {
            fn fmt(&self, __f: &mut __rmi::Formatter<'_>) -> __rmi::FmtResult {
                __rmi::debug(__f, #name, &self.__stub)
            }
        }
    }
}

fn method(method: &Method, model: &Trait) -> TokenStream {
    let span = method.span();
    let ident = by_us(method.ident());
    let attrs = attributes::copied(&method.attrs);
    let docs = attributes::docs(&method.attrs).is_empty().then(|| {
        let docs = format!(" Calls `{}::{}`.", model.written.ident.unraw(), ident.unraw());
        generated!(#[doc = #docs])
    });
    let inputs = method.parameters().map(|(argument, _)| {
        let (attrs, ident, ty) = (&argument.attrs, &argument.ident, &argument.written);
        quote_spanned!(span=> #(#attrs)* #ident: #ty)
    });
    let pushes = method.parameters().map(|(argument, _)| {
        let (conditions, ident, ty) = (attributes::conditions(&argument.attrs), &argument.ident, &argument.ty);
        let by_reference = matches!(argument.kind, Kind::Parameter { by_reference: true, .. });
        let value = if by_reference { quote_spanned!(span=> #ident) } else { quote_spanned!(span=> &#ident) };
        quote_spanned!(span=> #(#conditions)* __rmi::ArgumentsWriter::push::<#ty>(&mut __args, #value);)
    });
    let (output, verb) = match &method.returns {
        Some(ty) => {
            // Whatever is wrong with the type is reported once, at the type.
            let (first, last) = ends(ty);
            let (ok, err) = (projected(ty, "MethodResult", "Ok"), projected(ty, "MethodResult", "Err"));
            let progress = method.context().map(|context| projected(&context.ty, "ContextArgument", "Progress"));
            let open = quote_spanned!(first=> __rmi::Call<);
            let call = quote_spanned!(first=> __rmi::call::<);
            let output = match &progress {
                Some(progress) => quote_spanned!(last=> #open #ok, #err, #progress>),
                None => quote_spanned!(last=> #open #ok, #err>),
            };
            let progress = progress.unwrap_or_else(|| quote_spanned!(last=> _));
            (output, quote_spanned!(last=> #call #ty, #progress>))
        }
        None => (quote_spanned!(span=> __rmi::OneWay), quote_spanned!(span=> __rmi::Stub::one_way)),
    };
    let arguments = generated!(&self.__stub, __METHOD, __args);
    let arguments = in_parentheses(arguments, method.returns.as_ref().map_or(span, |ty| ends(ty).1));
    // Without arguments there is nothing to push.
    let mutability = method.parameters().next().map(|_| quote_spanned!(span=> mut));
    quote_spanned! {span=>
        #(#attrs)*
        #docs
        pub fn #ident(&self #(, #inputs)*) -> #output {
            const __METHOD: &__rmi::Method = &__CONTRACT.methods[__Number::#ident as usize];
            let #mutability __args = __rmi::ArgumentsWriter::new(__METHOD);
            #(#pushes)*
            #verb #arguments
        }
    }
}

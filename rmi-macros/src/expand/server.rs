//! The server: finds the method, decodes its arguments, invokes it, and writes its outcome.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::ext::IdentExt;

use super::{by_us, ends, named_after, projected};
use crate::{
    attributes,
    model::{Argument, Fallback, Kind, Method, Trait},
};

/// The struct, and how it is made.
pub(super) fn definition(model: &Trait) -> TokenStream {
    let (private, vis, server) = (&model.private, &model.written.vis, named_after(model, "Server"));
    let attrs = attributes::shared(&model.written.attrs);
    let docs = format!(" Serves any [`{}`].", model.written.ident.unraw());
    generated! {
        #(#attrs)*
        #[doc = #docs]
        #[allow(dead_code)]
        #vis struct #server<S> {
            __instances: #private::Instances<S>,
        }
    }
}

/// What it can do.
pub(super) fn implementation(model: &Trait) -> TokenStream {
    let arms = model.methods.iter().map(|m| arm(m, model));
    service(
        model,
        generated!(),
        generated! {
            match __rmi::Invocation::index(&__call) {
                #(#arms)*
                _ => __rmi::no_such_method(__call),
            }
        },
    )
}

/// The same with no method in it, for a trait that has mistakes.
pub(super) fn placeholder(model: &Trait) -> TokenStream {
    service(model, generated!(+ __rmi::Send + __rmi::Sync + 'static), generated!(__rmi::no_such_method(__call)))
}

fn service(model: &Trait, bounds: TokenStream, dispatch: TokenStream) -> TokenStream {
    let (interface, server) = (by_us(&model.written.ident), named_after(model, "Server"));
    let name = server.to_string();
    generated! {
        #[allow(dead_code)]
        impl<S> #server<S> {
            /// Serves every request from one instance.
            pub fn new(service: S) -> Self {
                Self { __instances: __rmi::Instances::shared(service) }
            }

            /// Serves each request from an instance of its own, made from the request's constructor arguments. An error of the
            /// factory is the outcome of the request.
            pub fn per_call<A, E>(
                factory: impl __rmi::Fn(A) -> __rmi::Result<S, E> + __rmi::Send + __rmi::Sync + 'static,
            ) -> Self
            where
                A: __rmi::DeserializeOwned,
                E: __rmi::RemoteError,
            {
                Self { __instances: __rmi::Instances::per_call(factory) }
            }
        }

        impl<S> __rmi::Debug for #server<S> {
            fn fmt(&self, __f: &mut __rmi::Formatter<'_>) -> __rmi::FmtResult {
                __rmi::debug(__f, #name, &self.__instances)
            }
        }

        impl<__S: #interface #bounds> __rmi::Server for #server<__S> {
            type Instance = __S;

            const CONTRACT: &'static __rmi::Contract = &__CONTRACT;

            fn of(__instances: __rmi::Instances<__S>) -> Self {
                Self { __instances }
            }
        }

        impl<__S: #interface #bounds> __rmi::Service for #server<__S> {
            fn contract(&self) -> &'static __rmi::Contract {
                &__CONTRACT
            }

            fn dispatch(&self, __call: __rmi::Invocation) -> __rmi::BoxFuture<'_, __rmi::Outcome> {
                #dispatch
            }
        }
    }
}

fn arm(method: &Method, model: &Trait) -> TokenStream {
    let span = method.span();
    let (ident, interface) = (by_us(method.ident()), by_us(&model.written.ident));
    let conditions = attributes::conditions(&method.attrs);
    let locals: Vec<_> = (0..method.arguments.len()).map(|index| format_ident!("__arg{index}", span = span)).collect();
    let reads = method.arguments.iter().zip(&locals).map(|(argument, local)| {
        let conditions = attributes::conditions(&argument.attrs);
        let value = read(argument);
        quote_spanned!(span=> #(#conditions)* let #local = #value;)
    });
    let passes = method.arguments.iter().zip(&locals).map(|(argument, local)| {
        let conditions = attributes::conditions(&argument.attrs);
        let ty = &argument.ty;
        let value = match argument.kind {
            Kind::Context => quote_spanned!(span=> &#local),
            Kind::Parameter { by_reference: true, .. } => quote_spanned!(span=> __rmi::lend::<#ty>(&#local)),
            Kind::Parameter { by_reference: false, .. } => quote_spanned!(span=> #local),
        };
        quote_spanned!(span=> #(#conditions)* #value)
    });
    let invoke = quote_spanned!(span=> <__S as #interface>::#ident(&*__service #(, #passes)*).await);
    let finish = match &method.returns {
        Some(ty) => {
            let (first, last) = ends(ty);
            let open = quote_spanned!(first=> __rmi::finish::<);
            quote_spanned!(last=> #open #ty>)
        }
        None => quote_spanned!(span=> __rmi::finish::<()>),
    };
    let mutability = method.parameters().next().map(|_| quote_spanned!(span=> mut));
    // The arguments come first: no instance is made for a request that is rejected.
    quote_spanned! {span=>
        #(#conditions)*
        __index if __index == __Number::#ident as usize => __rmi::respond(async move {
            let #mutability __args = __rmi::Invocation::arguments(&__call)?;
            #(#reads)*
            __rmi::ArgumentsReader::end(__args)?;
            let __service = __rmi::Instances::get(&self.__instances, &__call)?;
            let __finish = #finish;
            __rmi::Ok(__finish(&__call, #invoke))
        }),
    }
}

/// The value that an argument has in the handler.
fn read(argument: &Argument) -> TokenStream {
    let ty = &argument.ty;
    let (first, last) = ends(ty);
    let span = first.resolved_at(Span::mixed_site());
    match &argument.kind {
        Kind::Context => {
            let make = projected(ty, "ContextArgument", "of");
            quote_spanned!(span=> #make(&__call))
        }
        Kind::Parameter { name, by_reference, default } => {
            let owned = if *by_reference { projected(ty, "ToOwned", "Owned") } else { ty.to_token_stream() };
            let reader = |method: &str| {
                let method = Ident::new(method, first);
                let open = quote_spanned!(first=> __rmi::ArgumentsReader::#method::<);
                quote_spanned!(last=> #open #owned>)
            };
            match default {
                None => {
                    let required = reader("required");
                    quote_spanned!(span=> #required(&mut __args, #name)?)
                }
                Some(default) => {
                    let optional = reader("optional");
                    let value = match default {
                        Fallback::Default => quote_spanned!(span=> __rmi::Default::default),
                        Fallback::Expression(expr) if *by_reference => {
                            let to_owned = projected(ty, "ToOwned", "to_owned");
                            quote_spanned!(span=> || #to_owned(#expr))
                        }
                        Fallback::Expression(expr) => quote_spanned!(span=> || #expr),
                    };
                    quote_spanned!(span=> #optional(&mut __args, #name, #value)?)
                }
            }
        }
    }
}

//! What the trait says about itself, as constants.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};

use syn::Type;

use super::{by_us, probe, probed, projected};
use crate::{
    attributes,
    model::{Fallback, Kind, Method, Style, Trait},
    spell::{spell, spell_inside},
};

/// The numbers of the methods, and the contract.
pub(super) fn expand(model: &Trait) -> TokenStream {
    let numbers = model.methods.iter().map(|method| {
        let (conditions, ident) = (attributes::conditions(&method.attrs), by_us(method.ident()));
        generated!(#(#conditions)* #ident)
    });
    let methods = model.methods.iter().map(entry);
    let name = &model.name;
    let (major, minor) = model.version;
    let docs = described(&attributes::docs(&model.written.attrs));
    let path = format!("::{}", model.written.ident);
    let sequential = model.sequential.then(|| generated!(.sequential()));
    let events = model.events.as_ref().map(|ty| {
        let events = projected(ty, "RemoteEvent", "EVENTS");
        generated!(.events(#events))
    });
    // The compiler counts, because only it knows which methods exist.
    let probe = probe(&model.private);
    generated! {
        #probe

        #[allow(non_camel_case_types)]
        enum __Number { #(#numbers),* }

        static __CONTRACT: __rmi::Contract = __rmi::Contract::new(
            #name,
            __rmi::Version { major: #major, minor: #minor },
            &[#(#methods),*],
        ).path(__rmi::concat!(__rmi::module_path!(), #path)) #docs #sequential #events;
    }
}

fn entry(method: &Method) -> TokenStream {
    let conditions = attributes::conditions(&method.attrs);
    let name = &method.name;
    let params = method.arguments.iter().filter_map(|argument| {
        let Kind::Parameter { name, default, .. } = &argument.kind else { return None };
        let conditions = attributes::conditions(&argument.attrs);
        let (ty, written) = (&argument.ty, spell(&argument.written));
        let default = default.as_ref().map(|default| {
            let value = match default {
                Fallback::Default => "Default::default()".to_owned(),
                Fallback::Expression(expr) => spell(expr),
            };
            generated!(.with_default(#value))
        });
        let inside = ty.to_token_stream();
        let (omitted, schema) = (probed(ty, &inside, "OMITTED"), probed(ty, &inside, "SCHEMA"));
        Some(generated!(#(#conditions)* __rmi::Param::new(#name, #written).probed(#omitted, #schema) #default))
    });
    let aliases = &method.aliases;
    let flag = |on: bool, tokens: TokenStream| on.then_some(tokens);
    let says = [
        flag(!aliases.is_empty(), generated!(.aliases(&[#(#aliases),*]))),
        Some(described(&attributes::docs(&method.attrs))),
        method.since.map(|(major, minor)| generated!(.since(__rmi::Version { major: #major, minor: #minor }))),
        attributes::deprecation(&method.attrs).map(|note| generated!(.deprecated(#note))),
        flag(method.style == Style::Named, generated!(.named())),
        flag(method.idempotent, generated!(.idempotent())),
        flag(method.returns.is_none(), generated!(.oneway())),
        method.returns.as_ref().map(returns),
        method.context().map(|context| progress(&context.ty)),
        flag(method.inline, generated!(.inline())),
        method.timeout.map(|millis| generated!(.timeout_millis(#millis))),
        method.ttl.map(|millis| generated!(.ttl_millis(#millis))),
    ];
    quote_spanned!(method.span()=> #(#conditions)* __rmi::Method::new(#name, &[#(#params),*]) #(#says)*)
}

fn returns(ty: &Type) -> TokenStream {
    let (returned, ok) = (projected(ty, "MethodResult", "RETURNED"), projected(ty, "MethodResult", "Ok"));
    let [result, error] = spell_inside(ty, "Result").unwrap_or_default();
    let schema = probed(ty, &ok, "SCHEMA");
    generated!(.returns(#returned, #result, #error, #schema))
}

fn progress(ty: &Type) -> TokenStream {
    let (details, progress) = (projected(ty, "ContextArgument", "DETAILS"), projected(ty, "ContextArgument", "Progress"));
    let [spelled] = spell_inside(ty, "Context").unwrap_or_default();
    let schema = probed(ty, &progress, "SCHEMA");
    generated!(.progress(#details, #spelled, #schema))
}

fn described(docs: &str) -> TokenStream {
    if docs.is_empty() { TokenStream::new() } else { generated!(.docs(#docs)) }
}

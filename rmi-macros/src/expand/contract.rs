//! What the trait says about itself, as constants.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::{by_us, projected};
use crate::{
    attributes,
    model::{Kind, Method, Style, Trait},
    spell::spell,
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
    generated! {
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
        let ty = spell(&argument.written);
        let default = default.as_ref().map(|_| generated!(.with_default()));
        Some(generated!(#(#conditions)* __rmi::Param::new(#name, #ty) #default))
    });
    let aliases = &method.aliases;
    let flag = |on: bool, tokens: TokenStream| on.then_some(tokens);
    let says = [
        flag(!aliases.is_empty(), generated!(.aliases(&[#(#aliases),*]))),
        Some(described(&attributes::docs(&method.attrs))),
        method.since.map(|(major, minor)| generated!(.since(__rmi::Version { major: #major, minor: #minor }))),
        flag(method.style == Style::Named, generated!(.named())),
        flag(method.idempotent, generated!(.idempotent())),
        flag(method.returns.is_none(), generated!(.oneway())),
        flag(method.context().is_some(), generated!(.context())),
        flag(method.inline, generated!(.inline())),
        method.timeout.map(|millis| generated!(.timeout_millis(#millis))),
        method.ttl.map(|millis| generated!(.ttl_millis(#millis))),
    ];
    quote_spanned!(method.span()=> #(#conditions)* __rmi::Method::new(#name, &[#(#params),*]) #(#says)*)
}

fn described(docs: &str) -> TokenStream {
    if docs.is_empty() { TokenStream::new() } else { generated!(.docs(#docs)) }
}

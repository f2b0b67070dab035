//! Methods.

use syn::{LitStr, ReceiverKind, ReturnType, Safety, Signature, TraitItemFn, Type};

use super::{Defaults, STYLES, Taken, argument, types};
use crate::{
    duration,
    errors::Errors,
    model::{Argument, Kind, Method},
    names::{self, Case},
    options::{self, Options},
};

/// Reads a method; `None` after a mistake.
pub(super) fn read(mut item: TraitItemFn, defaults: &Defaults, errors: &mut Errors) -> Option<Method> {
    let before = errors.count();
    let mut options = Options::take_from(&options::METHOD, &mut item.attrs, errors);
    let name = names::wire(options.text("name", errors), || Case::of_snake(defaults.case, &item.sig.ident), errors);
    let aliases = options.texts("alias", errors).iter().map(|alias| names::checked(alias, errors)).collect();
    let timeout_text = options.text("timeout", errors);
    let timeout = millis(timeout_text.as_ref(), errors);
    let ttl = millis(options.text("ttl", errors).as_ref(), errors);
    let idempotent = options.flag("idempotent", errors);
    let oneway = options.flag("oneway", errors);
    let inline = options.flag("inline", errors);
    let style = options.word("params", &STYLES, errors).unwrap_or(defaults.style);
    let since = options.text("since", errors).and_then(|text| super::since(&text, defaults.version, errors));
    options.finish(errors);
    if let Some(timeout) = timeout_text.filter(|_| oneway) {
        errors.at(
            timeout,
            "nobody waits for a one-way method: remove `timeout`; `ttl` limits how long a request may wait for its start",
        );
    }

    if let Err(error) = item.modifiers.require_empty() {
        errors.push(error);
    }
    qualifiers(&item.sig, errors);
    receiver(&item.sig, defaults, errors);
    let returns = returns(&item.sig, oneway, defaults, errors);
    let arguments = arguments(&mut item.sig, defaults, errors);

    let method = Method {
        attrs: item.attrs,
        signature: item.sig,
        body: item.default,
        name,
        aliases,
        arguments,
        returns,
        style,
        since,
        idempotent,
        inline,
        timeout,
        ttl,
    };
    (errors.count() == before).then_some(method)
}

fn millis(text: Option<&LitStr>, errors: &mut Errors) -> Option<u64> {
    let text = text?;
    duration::millis(&text.value()).map_err(|message| errors.at(text, message)).ok()
}

fn qualifiers(signature: &Signature, errors: &mut Errors) {
    if let Some(token) = signature.constness {
        errors.at(token, "a remote method runs elsewhere, not at compile time: remove `const`");
    }
    if let Safety::Unsafe(token) = signature.safety {
        errors.at(token, "a remote method is not `unsafe`: its callers are elsewhere and can promise nothing; remove it");
    }
    if let Safety::Safe(token) = signature.safety {
        errors.at(token, "remove `safe`: it is for foreign functions");
    }
    if let Some(abi) = &signature.abi {
        errors.at(abi, "a remote method is called through a message, not through an ABI: remove `extern`");
    }
    if let Some(variadic) = &signature.variadic {
        errors.at(variadic, "a remote method has a fixed number of arguments: write `&[T]`");
    }
    if signature.asyncness.is_none() && signature.constness.is_none() {
        errors.at(signature.fn_token, format!("a remote method is asynchronous: write `async fn {}`", signature.ident));
    }
    super::no_generics(
        &signature.generics,
        "a remote method has no generics: the wire carries concrete types; name them, and leave lifetimes out",
        errors,
    );
}

fn receiver(signature: &Signature, defaults: &Defaults, errors: &mut Errors) {
    let Some(receiver) = signature.receiver() else {
        errors.at(&signature.ident, "a remote method is invoked on an instance: write `&self` as its first argument");
        return;
    };
    for attr in receiver.attrs.iter().filter(|attr| options::addressed(attr)) {
        errors.at(attr, "`&self` is not on the wire and has no options: remove them");
    }
    match &receiver.kind {
        ReceiverKind::Reference(_, None, None) => {}
        ReceiverKind::Reference(_, Some(lifetime), None)
            if types::is_declared(lifetime, &[&defaults.generics, &signature.generics]) => {}
        ReceiverKind::Reference(_, _, Some(_)) => {
            errors.at(
                receiver,
                "many calls run at once, so a remote method takes `&self`: keep what changes behind a lock of your choice",
            );
        }
        ReceiverKind::Reference(_, Some(lifetime), None) => {
            errors.at(lifetime, "the instance lives as long as the call: write `&self`");
        }
        _ => errors.at(receiver, "the server keeps the instance, so a remote method takes `&self`"),
    }
}

fn returns(signature: &Signature, oneway: bool, defaults: &Defaults, errors: &mut Errors) -> Option<Type> {
    match &signature.output {
        ReturnType::Type(arrow, ty) if oneway => {
            if !types::is_unit(ty) {
                errors.at(quote::quote!(#arrow #ty), "nobody waits for a one-way method: remove the return type, or `oneway`");
            }
            None
        }
        ReturnType::Default if oneway => None,
        ReturnType::Type(_, ty) if !types::is_unit(ty) => {
            types::result(ty, &[&defaults.generics, &signature.generics], errors);
            Some((**ty).clone())
        }
        _ => {
            errors.at(
                &signature.ident,
                "a remote method can fail: write `-> Result<(), E>` with an error of yours, or with `Infallible` if it cannot; if \
                 nobody waits for it, mark it `#[remote(oneway)]`",
            );
            None
        }
    }
}

fn arguments(signature: &mut Signature, defaults: &Defaults, errors: &mut Errors) -> Vec<Argument> {
    let generics = signature.generics.clone();
    let typed = signature.inputs.iter().cloned().filter_map(argument::typed);
    let arguments: Vec<_> = typed.filter_map(|input| argument::read(input, defaults, &generics, errors)).collect();
    let mut context = None;
    let mut taken = Taken::default();
    for argument in &arguments {
        match &argument.kind {
            Kind::Context => match context {
                Some(first) => {
                    let message = format!("a method has one context, which is `{first}`: remove this one");
                    errors.at(&argument.ident, message);
                }
                None => context = Some(&argument.ident),
            },
            Kind::Parameter { name, .. } => {
                let message =
                    |first: &str| format!("`{first}` has the wire name `{name}` already: write `#[remote(name = \"..\")]`");
                taken.add(name, &argument.ident, &argument.ident, &argument.attrs, message, errors);
            }
        }
    }
    for input in &mut signature.inputs {
        if let syn::FnArg::Typed(input) = input {
            input.attrs.retain(|attr| !options::addressed(attr));
        }
    }
    arguments
}

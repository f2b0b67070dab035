//! Arguments.

use proc_macro2::Ident;
use syn::{FnArg, Generics, Pat, PatType, Type, TypeReference};

use super::{Defaults, types};
use crate::{
    errors::Errors,
    model::{Argument, Fallback, Kind},
    names::{self, Case},
    options::{self, Options},
};

/// Reads an argument after the receiver.
pub(super) fn read(mut input: PatType, defaults: &Defaults, generics: &Generics, errors: &mut Errors) -> Option<Argument> {
    let declared = [&defaults.generics, generics];
    let before = errors.count();
    let mut options = Options::take_from(&options::ARGUMENT, &mut input.attrs, errors);
    let context = options.flag("context", errors);
    let name = options.text("name", errors);
    let default = options.expression("default", errors);
    options.finish(errors);

    let ident = identifier(&input.pat, errors);
    let written = *input.ty;
    let (ty, by_reference) = match types::peel(&written) {
        Type::Reference(reference) => (referent(reference, &declared, errors), true),
        _ => (written.clone(), false),
    };
    types::argument(&ty, &declared, errors);

    let kind = if context {
        if let Some(name) = name {
            errors.at(name, "the context is not on the wire and has no wire name: remove `name`");
        }
        if default.is_some() {
            errors.at(&input.pat, "the context is always there and needs no default: remove `default`");
        }
        if !by_reference {
            errors
                .at(&written, "the context is lent to the method: write `&Context<P>`, where `P` is what progress reports carry");
        }
        Kind::Context
    } else {
        let name = match &ident {
            Some(ident) => names::wire(name, || Case::of_snake(defaults.case, ident), errors),
            None => String::new(),
        };
        let default = default.map(|d| d.map_or(Fallback::Default, |expr| Fallback::Expression(Box::new(expr))));
        Kind::Parameter { name, by_reference, default }
    };
    let ident = ident.filter(|_| errors.count() == before)?;
    Some(Argument { attrs: input.attrs, ident, ty, written, kind })
}

/// The argument that an input is; the receiver is none.
pub(super) fn typed(input: FnArg) -> Option<PatType> {
    match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    }
}

fn identifier(pat: &Pat, errors: &mut Errors) -> Option<Ident> {
    match pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.mutability.is_none() && pat.subpat.is_none() => Some(pat.ident.clone()),
        Pat::Ident(other) => {
            errors.at(other, format!("an argument is a plain identifier, which is its wire name: write `{}`", other.ident));
            None
        }
        Pat::Wild(wild) => {
            errors.at(wild, "an argument needs a name, which is its wire name: write one in place of `_`");
            None
        }
        other => {
            errors.at(other, "an argument is an identifier, which is its wire name: name it, and take it apart in the body");
            None
        }
    }
}

fn referent(reference: &TypeReference, declared: &[&Generics], errors: &mut Errors) -> Type {
    if let Some(mutability) = reference.mutability {
        errors.at(mutability, "an argument is a copy of what the caller has: write `&T`, and return what changed");
    }
    if let Some(lifetime) = reference.lifetime.as_ref().filter(|l| l.ident != "_" && !types::is_declared(l, declared)) {
        errors.at(lifetime, "an argument lives as long as the call: leave the lifetime out");
    }
    (*reference.elem).clone()
}

//! From tokens to the model. All mistakes are collected; what is valid is kept.

use std::collections::HashMap;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{Attribute, Generics, Item, ItemTrait, LitStr, Path, TraitItem, ext::IdentExt};

use crate::{
    attributes,
    errors::Errors,
    model::{Style, Trait},
    names::{self, Case},
    options::{self, Options},
};

mod argument;
mod implementation;
mod method;
mod types;

pub(crate) use implementation::{implementation, without_implementation_options};
pub(crate) use types::peel;

/// The two forms in which arguments are written.
const STYLES: [(&str, Style); 2] = [("named", Style::Named), ("positional", Style::Positional)];

/// What a trait's options say to its methods.
struct Defaults {
    case: Option<Case>,
    style: Style,
    /// The contract's version; `None` after a mistake.
    version: Option<(u16, u16)>,
    /// The trait's own generics: a mistake that has been reported.
    generics: Generics,
}

/// Reads the item as a trait; reports it if it is anything else.
pub(crate) fn item(item: &TokenStream, errors: &mut Errors) -> Option<ItemTrait> {
    let error = match syn::parse2::<ItemTrait>(item.clone()) {
        Ok(item) => return Some(item),
        Err(error) => error,
    };
    match syn::parse2::<Item>(item.clone()) {
        // A trait that cannot be read.
        Ok(Item::Trait(_)) => errors.push(error),
        _ if error.to_string().contains("expected `trait`") => errors.at(
            item.clone().into_iter().next(),
            "`#[remote]` goes on a trait: its methods are what can be called from elsewhere; or on an implementation of such a trait, \
             to have it discovered. `#[remote(..)]` with options goes on methods and arguments of the trait",
        ),
        _ => errors.push(error),
    }
    None
}

/// The trait as it was written, without what is addressed to us.
pub(crate) fn without_options(mut item: ItemTrait) -> ItemTrait {
    let strip = |attrs: &mut Vec<Attribute>| attrs.retain(|attr| !options::addressed(attr));
    for item in &mut item.items {
        match item {
            TraitItem::Fn(method) => {
                strip(&mut method.attrs);
                // The compiler would complain about these once more.
                (method.sig.constness, method.sig.variadic) = (None, None);
                for input in &mut method.sig.inputs {
                    match input {
                        syn::FnArg::Receiver(receiver) => strip(&mut receiver.attrs),
                        syn::FnArg::Typed(argument) => strip(&mut argument.attrs),
                    }
                }
            }
            TraitItem::Const(other) => strip(&mut other.attrs),
            TraitItem::Type(other) => strip(&mut other.attrs),
            TraitItem::Macro(other) => strip(&mut other.attrs),
            _ => {}
        }
    }
    item
}

/// Reads a trait. There is a model, of what is valid, unless a mistake would show in everything that is generated.
pub(crate) fn remote_trait(attr: TokenStream, item: ItemTrait, errors: &mut Errors) -> Option<Trait> {
    let mut options = Options::within(&options::TRAIT, attr, errors);
    let name = names::wire(options.text("name", errors), || item.ident.unraw().to_string(), errors);
    let version = options.text("version", errors).map_or(Some((1, 0)), |text| version(&text, errors));
    let case = Case::read(options.text("rename_all", errors), errors);
    let style = options.word("params", &STYLES, errors).unwrap_or(Style::Positional);
    let private = private(&mut options, errors);
    let sequential = options.flag("sequential", errors);
    let events = options.path("events", errors).map(|path| syn::parse_quote!(#path));
    let client = options.boolean("client", errors);
    let server = options.boolean("server", errors);
    if let (Some((_, false)), Some((second, false))) = (&client, &server) {
        errors.at(second, "with neither client nor server nothing is left to generate: remove one of the two, or the attribute");
    }
    options.finish(errors);

    let fine = shape(&item, errors);
    let defaults = Defaults { case, style, version, generics: item.generics.clone() };
    let mut methods = Vec::new();
    for item in &item.items {
        match item {
            TraitItem::Fn(item) => methods.extend(method::read(item.clone(), &defaults, errors)),
            TraitItem::Const(other) => only_methods(&other.ident, "constants", errors),
            TraitItem::Type(other) => only_methods(&other.ident, "types", errors),
            TraitItem::Macro(other) => only_methods(&other.mac, "macros", errors),
            other => only_methods(other, "items of other kinds", errors),
        }
    }
    if item.items.is_empty() {
        errors.at(&item.ident, "a remote trait has at least one method: write `async fn name(&self, ..) -> Result<.., ..>;`");
    }
    let mut taken = Taken::default();
    for method in &methods {
        for name in [&method.name].into_iter().chain(&method.aliases) {
            let message = |first: &str| {
                format!(
                    "`{first}` answers to the wire name `{name}` already: write another `#[remote(name = \"..\")]` or `alias`"
                )
            };
            taken.add(name, method.ident(), method.ident(), &method.attrs, message, errors);
        }
    }
    let (client, server) = (client.is_none_or(|(_, on)| on), server.is_none_or(|(_, on)| on));
    let written = without_options(item);
    let private = private.filter(|_| fine)?;
    let version = version.unwrap_or((1, 0));
    let model = Trait { written, private, name, version, sequential, events, client, server, methods };
    Some(model)
}

fn only_methods(item: impl ToTokens, what: &str, errors: &mut Errors) {
    errors.at(item, format!("a remote trait has only methods: put {what} beside it"));
}

/// Checks what surrounds the methods.
fn shape(item: &ItemTrait, errors: &mut Errors) -> bool {
    let before = errors.count();
    if let Some(unsafety) = item.unsafety {
        errors.at(unsafety, "a remote trait is not `unsafe`: its callers are elsewhere and can promise nothing; remove it");
    }
    if let Some(auto) = item.modifiers.auto_token {
        errors.at(auto, "a remote trait is implemented by whoever serves it: remove `auto`");
    }
    no_generics(
        &item.generics,
        "a remote trait has no generics: its contract is one for all callers; write the types out, or make several traits",
        errors,
    );
    errors.count() == before
}

/// Reports generic parameters and a where clause with one message.
pub(crate) fn no_generics(generics: &Generics, message: &str, errors: &mut Errors) {
    if generics.lt_token.is_some() {
        let Generics { lt_token, params, gt_token, .. } = generics;
        errors.at(quote!(#lt_token #params #gt_token), message);
    }
    if let Some(clause) = &generics.where_clause {
        errors.at(clause, message);
    }
}

fn version(text: &LitStr, errors: &mut Errors) -> Option<(u16, u16)> {
    let value = text.value();
    let version = numbers(value.split_once('.').unwrap_or((&value, "0")));
    if version.is_none() {
        errors.at(text, "a version is `major` or `major.minor`, each at most 65535: write `version = \"1.0\"`");
    }
    version
}

fn numbers((major, minor): (&str, &str)) -> Option<(u16, u16)> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    number(major).zip(number(minor))
}

/// The version that a method came with: one of the contract's major, and not a later one.
fn since(text: &LitStr, contract: Option<(u16, u16)>, errors: &mut Errors) -> Option<(u16, u16)> {
    let Some((major, minor)) = text.value().split_once('.').and_then(numbers) else {
        errors.at(text, "a method came with a version of its contract, `major.minor`: write `since = \"1.1\"`");
        return None;
    };
    let (served, latest) = contract?;
    if major != served {
        errors.at(
            text,
            format!(
                "the contract is {served}.{latest}, and a major stands alone: write a version of major {served}, or leave `since` out"
            ),
        );
    } else if minor > latest {
        let message =
            format!("the contract is {served}.{latest}: raise its `version` to \"{major}.{minor}\", or write an earlier one");
        errors.at(text, message);
    }
    Some((major, minor))
}

/// The path of what generated code calls; `None` after a mistake.
pub(crate) fn private(options: &mut Options, errors: &mut Errors) -> Option<TokenStream> {
    let before = errors.count();
    let Some(text) = options.text("crate", errors) else {
        return (errors.count() == before).then(|| quote!(::rmi_core::__private));
    };
    match text.parse_with(Path::parse_mod_style) {
        Ok(path) => Some(quote!(#path::__private)),
        Err(_) => {
            errors.at(text, "the path of rmi-core as this crate reaches it: write `crate = \"some_crate::rmi_core\"`");
            None
        }
    }
}

/// The wire names of one kind that are taken, to find those that are taken twice.
#[derive(Default)]
pub(crate) struct Taken(HashMap<String, (String, bool)>);

impl Taken {
    /// Reports a name that is taken. Items that exist only on conditions may share a name: which of them exist is not known.
    pub(crate) fn add(
        &mut self,
        name: &str,
        by: &Ident,
        at: &dyn ToTokens,
        attrs: &[Attribute],
        message: impl FnOnce(&str) -> String,
        errors: &mut Errors,
    ) {
        let conditional = !attributes::conditions(attrs).is_empty();
        match self.0.get(name) {
            Some((first, other)) => {
                if !(conditional && *other) {
                    errors.at(at, message(first));
                }
            }
            None => {
                self.0.insert(name.to_owned(), (by.to_string(), conditional));
            }
        }
    }
}

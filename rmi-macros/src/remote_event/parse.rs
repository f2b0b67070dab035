//! From tokens to the model.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{Data, DeriveInput, Fields, ext::IdentExt};

use super::{
    model::{Event, Field, Kind},
    template,
};
use crate::{
    attributes,
    errors::Errors,
    expand::by_us,
    names::{self, Case},
    options::{self, Options},
    parse::{self, Taken},
};

/// Reads an event type.
pub(super) fn read(mut item: DeriveInput, errors: &mut Errors) -> Option<Event> {
    parse::no_generics(&item.generics, "an event has no generics: its keys stand for one type; write the types out", errors);
    let docs = attributes::docs(&item.attrs);
    let ident = item.ident;
    let otherwise = || ident.unraw().to_string();
    let (private, name, kinds) = match item.data {
        Data::Enum(data) => {
            let mut options = Options::take_from(&options::EVENT_ENUM, &mut item.attrs, errors);
            let private = parse::private(&mut options, errors);
            let name = names::wire(options.text("name", errors), otherwise, errors);
            let case = Case::read(options.text("rename_all", errors), errors);
            options.finish(errors);
            if data.variants.is_empty() {
                errors.at(&ident, "an event enum has at least one variant: nothing could be published");
            }
            let mut kinds = Vec::new();
            for mut variant in data.variants {
                let options = Options::take_from(&options::EVENT_VARIANT, &mut variant.attrs, errors);
                let docs = attributes::docs(&variant.attrs);
                let (path, own) = (by_us(&ident), by_us(&variant.ident));
                kinds.extend(kind(quote!(#path::#own), variant.ident, docs, case, options, variant.fields, errors));
            }
            (private, name, kinds)
        }
        Data::Struct(data) => {
            let mut options = Options::take_from(&options::EVENT_STRUCT, &mut item.attrs, errors);
            let private = parse::private(&mut options, errors);
            let name = names::wire(options.text("name", errors), otherwise, errors);
            let path = by_us(&ident).into_token_stream();
            let kind = kind(path, ident.clone(), docs.clone(), None, options, data.fields, errors);
            (private, name, kind.into_iter().collect())
        }
        Data::Union(data) => {
            errors.at(data.union_token, "an event is an enum or a struct: what a union holds is not known");
            return None;
        }
    };
    ambiguous(&kinds, errors);
    Some(Event { ident, private: private?, name, docs, kinds })
}

fn kind(
    path: TokenStream,
    ident: Ident,
    docs: String,
    case: Option<Case>,
    mut options: Options,
    fields: Fields,
    errors: &mut Errors,
) -> Option<Kind> {
    let key = options.text("key", errors);
    let case = Case::read(options.text("rename_all", errors), errors).or(case);
    options.finish(errors);
    if let Fields::Unnamed(unnamed) = &fields {
        errors.at(unnamed, "the fields of an event have names, in its key and in its body: write `{ name: Type }`");
        return None;
    }
    let mut taken = Taken::default();
    let mut marks = Vec::new();
    let mut read = Vec::new();
    for mut field in fields {
        let mut options = Options::take_from(&options::EVENT_FIELD, &mut field.attrs, errors);
        let name = options.text("name", errors);
        let body = options.flag("body", errors);
        let default = options.flag("default", errors);
        options.finish(errors);
        let Some(ident) = field.ident else { continue };
        let name = names::wire(name, || Case::of_snake(case, &ident), errors);
        let message = |first: &str| format!("`{first}` has the wire name `{name}` already: write `#[remote(name = \"..\")]`");
        taken.add(&name, &ident, &ident, &[], message, errors);
        marks.push((ident.clone(), body, default));
        read.push(Field { ident, name, ty: field.ty, body, default });
    }
    let Some(key) = key else {
        errors
            .at(&ident, "an event has a key: write `#[remote(key = \"..\")]`, such as \"dhcp.bind.{node}\" with a field `node`");
        return None;
    };
    let words = template::read(&key, &read, errors)?;
    let kind = Kind { path, ident, docs, key, words, fields: read };
    for (index, (ident, body, default)) in marks.into_iter().enumerate() {
        match kind.place(index) {
            Some(_) if default => errors.at(ident, "a field of the key is always there: remove `default`"),
            None if body => errors
                .at(ident, "`body` repeats in the body what the key carries, and this field is in the body only: remove `body`"),
            _ => {}
        }
    }
    Some(kind)
}

/// Reports kinds whose keys could not be told apart.
fn ambiguous(kinds: &[Kind], errors: &mut Errors) {
    for (index, kind) in kinds.iter().enumerate() {
        if let Some(first) = kinds.iter().take(index).find(|first| first.shares_a_key_with(kind)) {
            let message = format!(
                "an event with this key could be a `{}` as well, whose key is `{}`: let them differ in a word that is no field",
                first.ident,
                first.key.value()
            );
            errors.at(&kind.key, message);
        }
    }
}

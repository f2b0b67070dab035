//! From tokens to the model.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{Data, DataEnum, DeriveInput, Fields, LitStr, Member, ext::IdentExt};

use super::model::{Class, Error, Field, Shape};
use crate::{
    attributes,
    errors::Errors,
    expand::by_us,
    names::{self, Case},
    options::{self, Options},
    parse::{self, Taken},
};

/// Reads an error type.
pub(super) fn read(mut item: DeriveInput, errors: &mut Errors) -> Option<Error> {
    parse::no_generics(
        &item.generics,
        "an error that travels has no generics: its wire name stands for one type; write the types out",
        errors,
    );
    let ident = item.ident;
    let (private, shapes) = match item.data {
        Data::Enum(data) => {
            let mut options = Options::take_from(&options::ENUM, &mut item.attrs, errors);
            let private = parse::private(&mut options, errors);
            let name = names::wire(options.text("name", errors), || ident.unraw().to_string(), errors);
            let case = Case::read(options.text("rename_all", errors), errors);
            options.finish(errors);
            (private, variants(&ident, &name, case, data, errors))
        }
        Data::Struct(data) => {
            let mut options = Options::take_from(&options::STRUCT, &mut item.attrs, errors);
            let private = parse::private(&mut options, errors);
            let otherwise = || ident.unraw().to_string();
            let path = by_us(&ident).into_token_stream();
            let docs = attributes::docs(&item.attrs);
            let shape = shape(path, (&ident, docs), otherwise, options, data.fields, errors);
            (private, vec![shape])
        }
        Data::Union(data) => {
            errors.at(data.union_token, "an error that travels is an enum or a struct: what a union holds is not known");
            return None;
        }
    };
    Some(Error { ident, private: private?, shapes })
}

fn variants(ident: &Ident, name: &str, case: Option<Case>, data: DataEnum, errors: &mut Errors) -> Vec<Shape> {
    let mut taken = Taken::default();
    let mut shapes = Vec::new();
    for mut variant in data.variants {
        let options = Options::take_from(&options::VARIANT, &mut variant.attrs, errors);
        let own = &variant.ident;
        let otherwise = || Case::of_pascal(case, own);
        let (path, variant_ident) = (by_us(ident), by_us(own));
        let path = quote!(#path::#variant_ident);
        let docs = attributes::docs(&variant.attrs);
        let mut shape = shape(path, (own, docs), otherwise, options, variant.fields, errors);
        let wire = match &mut shape.class {
            Class::Ours(variant) => {
                *variant = format!("{name}.{variant}");
                variant.clone()
            }
            Class::Foreign { module, class } => format!("{module}.{class}"),
        };
        let message = |first: &str| format!("`{first}` travels as `{wire}` already: write another `name` or `class`");
        taken.add(&wire, own, own, &[], message, errors);
        shapes.push(shape);
    }
    shapes
}

fn shape(
    path: TokenStream,
    (ident, docs): (&Ident, String),
    otherwise: impl FnOnce() -> String,
    mut options: Options,
    fields: Fields,
    errors: &mut Errors,
) -> Shape {
    let name = options.text("name", errors);
    let case = Case::read(options.text("rename_all", errors), errors);
    let class = options.text("class", errors);
    let module = options.text("module", errors);
    let skip = options.flag("skip", errors);
    options.finish(errors);

    if let (Some(name), Some(_)) = (&name, &class) {
        errors.at(name, "`class` is the whole wire name: remove `name`, or `class`");
    }
    if let (Some(module), None) = (&module, &class) {
        errors.at(module, "`module` says where a class of another language is: write `class = \"..\"` too, or remove it");
    }
    let class = match class {
        Some(class) => Class::Foreign {
            class: foreign(&class, errors),
            module: module.map_or_else(|| "builtins".to_owned(), |module| foreign(&module, errors)),
        },
        None => Class::Ours(names::wire(name, otherwise, errors)),
    };
    let all = fields.len();
    let fields = travelling(fields, case, skip, errors);
    let returns = !skip && fields.len() == all;
    Shape { path, ident: ident.clone(), docs, class, fields, returns }
}

/// A name in another language, dots and all.
fn foreign(text: &LitStr, errors: &mut Errors) -> String {
    let name = text.value();
    if name.split('.').any(|part| part.is_empty() || part.contains(|c: char| c.is_whitespace() || c.is_control())) {
        errors.at(text, "this is no name of another language: write one such as \"ValueError\" or \"package.module\"");
    }
    name
}

/// The fields that can travel: those that are not skipped, and not the source of the error.
fn travelling(fields: Fields, case: Option<Case>, skip: bool, errors: &mut Errors) -> Vec<Field> {
    let mut taken = Taken::default();
    let mut travelling = Vec::new();
    for (index, mut field) in fields.into_iter().enumerate() {
        let mut options = Options::take_from(&options::FIELD, &mut field.attrs, errors);
        let source = field.attrs.iter().any(|attr| attr.path().is_ident("source") || attr.path().is_ident("from"));
        let skip = options.flag("skip", errors) || skip || source;
        let name = options.text("name", errors);
        options.finish(errors);
        let Some(ident) = field.ident else {
            if let Some(name) = name {
                errors.at(name, "an unnamed field travels by its place: remove `name`, or give the field a name");
            }
            if !skip {
                travelling.push(Field { member: Member::from(index), name: None, ty: field.ty });
            }
            continue;
        };
        if skip {
            if let Some(name) = name {
                errors.at(name, "this field does not travel and has no wire name: remove `name`");
            }
            continue;
        }
        let wire = names::wire(name, || Case::of_snake(case, &ident), errors);
        if wire == "trace" {
            errors.at(
                &ident,
                "`trace` is where an exception keeps its stack trace: write `#[remote(name = \"..\")]`, or rename it",
            );
        }
        let message = |first: &str| format!("`{first}` has the wire name `{wire}` already: write `#[remote(name = \"..\")]`");
        taken.add(&wire, &ident, &ident, &[], message, errors);
        travelling.push(Field { member: Member::Named(ident), name: Some(wire), ty: field.ty });
    }
    travelling
}

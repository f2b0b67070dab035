//! Implementations of remote traits.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, FnArg, ImplItem, ItemImpl, Lifetime, Path, PathArguments, Type, visit::Visit};

use super::types;
use crate::{
    errors::Errors,
    expand::server_of,
    model::{Implementation, Instances},
    options::{self, Options},
};

/// Reads an implementation; `None` after a mistake.
pub(crate) fn implementation(attr: TokenStream, mut item: ItemImpl, errors: &mut Errors) -> Option<Implementation> {
    let mut options = Options::within(&options::IMPLEMENTATION, attr, errors);
    let mut more = Options::take_from(&options::IMPLEMENTATION, &mut item.attrs, errors);
    options.append(&mut more);
    let private = super::private(&mut options, errors);
    let new = options.path("new", errors);
    let per_call = options.flag("per_call", errors).then_some(());
    let server = options.path("server", errors);
    options.finish(errors);

    let before = errors.count();
    shape(&item, errors);
    inside(&item, errors);
    let instances = match (new, per_call) {
        (None, None) => Instances::Default,
        (Some(path), None) => Instances::New(path),
        (Some(path), Some(())) => Instances::PerCall(path),
        (None, Some(())) => {
            errors.at(
                &item.self_ty,
                "`per_call` makes an instance of each request's constructor arguments: write `new = path` too, where `path` is a \
                 function that takes them",
            );
            Instances::Default
        }
    };
    let ItemImpl { attrs, trait_, self_ty, .. } = item;
    let (interface, _) = trait_?;
    let server = server.map_or_else(|| server_of(&interface), |server| quote!(#server));
    let private = private.filter(|_| errors.count() == before)?;
    Some(Implementation { attrs, private, server, ty: *self_ty, instances })
}

/// Checks what surrounds the methods.
fn shape(item: &ItemImpl, errors: &mut Errors) {
    if let Some(default) = item.modifiers.defaultness {
        errors.at(default, "what is registered is an implementation, and not a default for others: remove `default`");
    }
    if let Some(unsafety) = item.unsafety {
        errors.at(unsafety, "a remote trait is not `unsafe`, nor is its implementation: remove it");
    }
    if let Some(polarity) = item.modifiers.polarity {
        errors.at(polarity, "what is not implemented cannot be discovered: remove `#[remote]`");
    }
    super::no_generics(
        &item.generics,
        "a generic implementation is many, and discovery cannot know which of them: implement the trait for one type, or remove \
         `#[remote]` and serve what you need with `Builder::serve`",
        errors,
    );
    match &item.trait_ {
        None => errors.at(
            &item.self_ty,
            "only the implementation of a remote trait can be discovered: write `#[remote]` on a trait that has these methods, and \
             `impl Trait for Type`",
        ),
        Some((interface, _)) => plain(interface, errors),
    }
    let mut borrowed = Borrowed { item, errors };
    borrowed.visit_type(&item.self_ty);
    if let Type::TraitObject(object) = types::peel(&item.self_ty) {
        errors.at(object, "a trait object cannot be made: implement the trait for a type");
    }
}

/// A remote trait has no generics.
fn plain(interface: &Path, errors: &mut Errors) {
    for segment in &interface.segments {
        if !matches!(segment.arguments, PathArguments::None) {
            errors.at(&segment.arguments, "a remote trait has no generics: remove these arguments");
        }
    }
}

/// Reports lifetimes other than `'static` in the type.
struct Borrowed<'a> {
    item: &'a ItemImpl,
    errors: &'a mut Errors,
}

impl Visit<'_> for Borrowed<'_> {
    fn visit_lifetime(&mut self, lifetime: &Lifetime) {
        if lifetime.ident != "static" && !types::is_declared(lifetime, &[&self.item.generics]) {
            self.errors.at(lifetime, "what is served borrows nothing: write `'static`, or own what is in it");
        }
    }

    fn visit_type_reference(&mut self, reference: &syn::TypeReference) {
        if reference.lifetime.is_none() {
            self.errors.at(reference, "what is served borrows nothing: write `&'static`, or own what is in it");
        }
        syn::visit::visit_type_reference(self, reference);
    }
}

/// Reports options on what is inside: they belong to the trait.
fn inside(item: &ItemImpl, errors: &mut Errors) {
    let mut check = |attrs: &[Attribute]| {
        for attr in attrs.iter().filter(|attr| options::addressed(attr)) {
            errors.at(attr, "what can be called, and how, is said by the trait: write this there, and remove it here");
        }
    };
    for item in &item.items {
        if let ImplItem::Fn(method) = item {
            check(&method.attrs);
            for input in &method.sig.inputs {
                match input {
                    FnArg::Receiver(receiver) => check(&receiver.attrs),
                    FnArg::Typed(argument) => check(&argument.attrs),
                }
            }
        }
    }
}

/// The implementation as it was written, without what is addressed to us, and without the mistakes that the compiler would report
/// once more. Of one that says that there is none, nothing is left.
pub(crate) fn without_implementation_options(mut item: ItemImpl) -> Option<ItemImpl> {
    let strip = |attrs: &mut Vec<Attribute>| attrs.retain(|attr| !options::addressed(attr));
    strip(&mut item.attrs);
    item.unsafety = None;
    if let Some((interface, _)) = &mut item.trait_ {
        interface.segments.iter_mut().for_each(|segment| segment.arguments = PathArguments::None);
    }
    for item in &mut item.items {
        if let ImplItem::Fn(method) = item {
            strip(&mut method.attrs);
            for input in &mut method.sig.inputs {
                match input {
                    FnArg::Receiver(receiver) => strip(&mut receiver.attrs),
                    FnArg::Typed(argument) => strip(&mut argument.attrs),
                }
            }
        }
    }
    item.modifiers.polarity.is_none().then_some(item)
}

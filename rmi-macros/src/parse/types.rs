//! What a type must not contain. Everything else about a type is left to the compiler: bounds on what was written say more than
//! its spelling.

use syn::{
    Generics, Lifetime, PathSegment, Type, TypeImplTrait, TypeReference,
    visit::{self, Visit},
};

use crate::errors::Errors;

/// The type without what surrounds it: parentheses, and the group in which `macro_rules!` hands over a fragment.
pub(crate) fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel(&group.elem),
        Type::Paren(paren) => peel(&paren.elem),
        other => other,
    }
}

/// Whether the type is `()`.
pub(crate) fn is_unit(ty: &Type) -> bool {
    matches!(peel(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// Checks an argument's type below its outermost reference.
pub(crate) fn argument(ty: &Type, declared: &[&Generics], errors: &mut Errors) {
    let reference = "a reference is outermost: the argument is decoded into an owned value and lent to the method; write `&str`, \
                     `&[T]`, `&T`, or an owned type";
    Check { reference, declared, errors }.visit_type(ty);
}

/// Checks a result's type.
pub(crate) fn result(ty: &Type, declared: &[&Generics], errors: &mut Errors) {
    let reference = "a result owns what is in it: the caller is elsewhere; write `String` for `&str`, `Vec<T>` for `&[T]`";
    Check { reference, declared, errors }.visit_type(ty);
}

/// Whether a lifetime is one of some generics, so that the mistake has been reported there.
pub(crate) fn is_declared(lifetime: &Lifetime, declared: &[&Generics]) -> bool {
    declared.iter().flat_map(|generics| generics.lifetimes()).any(|param| param.lifetime == *lifetime)
}

struct Check<'a> {
    reference: &'static str,
    declared: &'a [&'a Generics],
    errors: &'a mut Errors,
}

impl Visit<'_> for Check<'_> {
    fn visit_type_reference(&mut self, reference: &TypeReference) {
        self.errors.at(reference, self.reference);
    }

    fn visit_type_impl_trait(&mut self, ty: &TypeImplTrait) {
        self.errors.at(ty, "the wire carries concrete types, not `impl Trait`: name the type");
    }

    fn visit_lifetime(&mut self, lifetime: &Lifetime) {
        if lifetime.ident != "static" && lifetime.ident != "_" && !is_declared(lifetime, self.declared) {
            self.errors.at(lifetime, "nothing is borrowed across a bus: write `'static` or leave the lifetime out");
        }
    }

    fn visit_path_segment(&mut self, segment: &PathSegment) {
        if segment.ident == "Self" {
            self.errors.at(&segment.ident, "`Self` means the implementation, which the caller does not know: name a type");
        }
        visit::visit_path_segment(self, segment);
    }
}

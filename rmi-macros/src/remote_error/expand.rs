//! From the model to the implementation of `RemoteError`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};

use super::model::{Class, Error, Field, Shape};
use crate::{
    expand::{by_us, generated, probe, probed, scope},
    spell::spell,
};

/// The implementation.
pub(super) fn expand(error: &Error) -> TokenStream {
    let ident = by_us(&error.ident);
    // What the type itself lacks is reported at its name.
    let span = ident.span().resolved_at(Span::mixed_site());
    let writes = error.shapes.iter().map(write);
    let reads = error.shapes.iter().filter(|shape| shape.returns).map(read);
    let describes = error.shapes.iter().map(describe);
    let message = quote_spanned!(span=> let __message: &dyn __rmi::Display = self;);
    let implementation = quote_spanned! {span=>
        #[automatically_derived]
        impl __rmi::RemoteError for #ident {
            const DESCRIPTION: __rmi::ErrorType = __rmi::ErrorType::new(&[#(#describes),*]);

            fn to_exception(&self, __contract: &str) -> __rmi::Exception {
                #message
                match *self {
                    #(#writes)*
                }
            }

            fn from_exception(__exception: &__rmi::Exception, __contract: &str) -> __rmi::Option<Self> {
                #(#reads)*
                __rmi::None
            }
        }
    };
    let probe = probe(&error.private);
    scope(&error.private, generated!(#probe #implementation))
}

fn span(shape: &Shape) -> Span {
    shape.ident.span().resolved_at(Span::mixed_site())
}

fn locals(shape: &Shape) -> Vec<Ident> {
    (0..shape.fields.len()).map(|index| format_ident!("__field{index}", span = span(shape))).collect()
}

fn write(shape: &Shape) -> TokenStream {
    let Shape { path, class, fields, .. } = shape;
    let locals = locals(shape);
    let patterns = fields.iter().zip(&locals).map(|(field, local)| {
        let member = &field.member;
        generated!( #member: ref #local)
    });
    let writes = fields.iter().zip(&locals).map(|(field, local)| {
        let ty = &field.ty;
        match &field.name {
            Some(name) => generated!( __rmi::ExceptionWriter::field::<#ty>(&mut __writer, #name, #local);),
            None => generated!( __rmi::ExceptionWriter::arg::<#ty>(&mut __writer, #local);),
        }
    });
    let writer = match class {
        Class::Ours(class) => generated!(__rmi::ExceptionWriter::new(__contract, #class, __message)),
        Class::Foreign { module, class } => generated!(__rmi::ExceptionWriter::foreign(#module, #class, __message)),
    };
    let mutability = fields.first().map(|_| generated!(mut));
    quote_spanned! {span(shape)=>

        #path { #(#patterns,)* .. } => {
            let #mutability __writer = #writer;
            #(#writes)*
            __rmi::ExceptionWriter::finish(__writer)
        }
    }
}

/// What the shape says about itself.
fn describe(shape: &Shape) -> TokenStream {
    let Shape { class, docs, fields, returns, .. } = shape;
    let fields = fields.iter().map(|Field { name, ty, .. }| {
        let (spelled, schema) = (spell(ty), probed(ty, &ty.to_token_stream(), "SCHEMA"));
        match name {
            Some(name) => generated!(__rmi::ErrorField::named::<#ty>(#name, #spelled, #schema)),
            None => generated!(__rmi::ErrorField::unnamed::<#ty>(#spelled, #schema)),
        }
    });
    let fields = generated!(&[#(#fields),*]);
    let variant = match class {
        Class::Ours(class) => generated!(__rmi::ErrorVariant::new(#class, #fields)),
        Class::Foreign { module, class } => generated!(__rmi::ErrorVariant::foreign(#module, #class, #fields)),
    };
    let docs = (!docs.is_empty()).then(|| generated!(.docs(#docs)));
    let raw = (!returns).then(|| generated!(.raw()));
    generated!(#variant #docs #raw)
}

fn read(shape: &Shape) -> TokenStream {
    let Shape { path, class, fields, .. } = shape;
    let mut position = 0_usize;
    let values = fields.iter().map(|field| {
        let (member, ty) = (&field.member, &field.ty);
        let value = match &field.name {
            Some(name) => generated!(__rmi::ExceptionReader::field::<#ty>(&__reader, #name)?),
            None => {
                let index = position;
                position += 1;
                generated!(__rmi::ExceptionReader::arg::<#ty>(&__reader, #index)?)
            }
        };
        generated!( #member: #value)
    });
    let values: Vec<_> = values.collect();
    let reader = match class {
        Class::Ours(class) => generated!(__rmi::ExceptionReader::new(__exception, __contract, #class)),
        Class::Foreign { module, class } => generated!(__rmi::ExceptionReader::foreign(__exception, #module, #class)),
    };
    // A class that has no fields is known by its name alone.
    let local = if fields.is_empty() { generated!(_) } else { generated!(__reader) };
    quote_spanned! {span(shape)=>

        if let __rmi::Some(#local) = #reader {
            return __rmi::Some(#path { #(#values),* });
        }
    }
}

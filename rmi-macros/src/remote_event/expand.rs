//! From the model to the implementation of `RemoteEvent`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};

use super::model::{Event, Kind, Word};
use crate::{
    expand::{by_us, generated, probe, probed, scope},
    spell::spell,
};

/// The implementation, and the contract that it refers to.
pub(super) fn expand(event: &Event) -> TokenStream {
    let ident = by_us(&event.ident);
    // What the type itself lacks is reported at its name.
    let span = ident.span().resolved_at(Span::mixed_site());
    let name = &event.name;
    let docs = described(&event.docs);
    let kinds = event.kinds.iter().map(describe);
    let writes = event.kinds.iter().map(write);
    let reads = event.kinds.iter().enumerate().map(|(index, kind)| read(index, kind));
    let implementation = quote_spanned! {span=>
        static __EVENTS: __rmi::EventContract = __rmi::EventContract::new(#name, &[#(#kinds),*]) #docs;

        #[automatically_derived]
        impl __rmi::RemoteEvent for #ident {
            const EVENTS: &'static __rmi::EventContract = &__EVENTS;

            fn to_event(&self) -> __rmi::Result<__rmi::Event, __rmi::EventError> {
                let mut __writer = __rmi::EventWriter::new();
                match *self {
                    #(#writes)*
                }
                __rmi::EventWriter::finish(__writer)
            }

            fn from_event(__event: &__rmi::Event) -> __rmi::Option<__rmi::Result<Self, __rmi::EventError>> {
                __rmi::EventReader::read(__event, &__EVENTS, |__reader, __kind| match __kind {
                    #(#reads)*
                    _ => __rmi::Err(__rmi::EventReader::unknown(__reader)),
                })
            }
        }
    };
    let probe = probe(&event.private);
    scope(&event.private, generated!(#probe #implementation))
}

fn span(kind: &Kind) -> Span {
    kind.ident.span().resolved_at(Span::mixed_site())
}

fn describe(kind: &Kind) -> TokenStream {
    let (name, template, docs) = (kind.ident.to_string(), kind.template(), described(&kind.docs));
    let name = name.strip_prefix("r#").unwrap_or(&name);
    let fields = kind.fields.iter().enumerate().map(|(index, field)| {
        let (name, ty) = (&field.name, spell(&field.ty));
        let carried = kind.place(index).map(|_| if field.body { generated!(.in_both()) } else { generated!(.in_key()) });
        let default = field.default.then(|| generated!(.with_default()));
        // What travels in the key alone is text, and no JSON.
        let in_body = field.body || kind.place(index).is_none();
        let schema = in_body.then(|| probed(&field.ty, &field.ty.to_token_stream(), "SCHEMA"));
        let schema = schema.map(|schema| generated!(.probed(#schema)));
        generated!(__rmi::EventField::new(#name, #ty) #schema #carried #default)
    });
    generated!(__rmi::EventKind::new(#name, #template, &[#(#fields),*]) #docs)
}

fn described(docs: &str) -> TokenStream {
    if docs.is_empty() { TokenStream::new() } else { generated!(.docs(#docs)) }
}

fn local(kind: &Kind, index: usize) -> Ident {
    format_ident!("__field{index}", span = span(kind))
}

fn write(kind: &Kind) -> TokenStream {
    let path = &kind.path;
    let patterns = kind.fields.iter().enumerate().map(|(index, field)| {
        let (ident, local) = (&field.ident, local(kind, index));
        generated!(#ident: ref #local)
    });
    let mut words = Vec::new();
    let mut same: Vec<&str> = Vec::new();
    for word in &kind.words {
        match word {
            Word::Same(word) => same.push(word),
            Word::Field(index) => {
                words.extend(write_same(&mut same));
                words.extend(kind.fields.get(*index).map(|field| {
                    let (name, ty, local) = (&field.name, &field.ty, local(kind, *index));
                    generated!(__rmi::EventWriter::word::<#ty>(&mut __writer, #name, #local);)
                }));
            }
        }
    }
    words.extend(write_same(&mut same));
    let fields = kind.fields.iter().enumerate().filter(|(index, field)| field.body || kind.place(*index).is_none());
    let fields = fields.map(|(index, field)| {
        let (name, ty, local) = (&field.name, &field.ty, local(kind, index));
        generated!(__rmi::EventWriter::field::<#ty>(&mut __writer, #name, #local);)
    });
    quote_spanned! {span(kind)=>
        #path { #(#patterns),* } => {
            #(#words)*
            #(#fields)*
        }
    }
}

/// The words since the last field, at once.
fn write_same(same: &mut Vec<&str>) -> Option<TokenStream> {
    let words = (!same.is_empty()).then(|| same.join("."))?;
    same.clear();
    Some(generated!(__rmi::EventWriter::words(&mut __writer, #words);))
}

fn read(index: usize, kind: &Kind) -> TokenStream {
    let path = &kind.path;
    let fields = kind.fields.iter().enumerate().map(|(index, field)| {
        let (ident, name, ty) = (&field.ident, &field.name, &field.ty);
        let value = match kind.place(index) {
            Some(place) => generated!(__rmi::EventReader::word::<#ty>(__reader, #place, #name)?),
            None if field.default => generated!(__rmi::EventReader::or_default::<#ty>(__reader, #name)?),
            None => generated!(__rmi::EventReader::field::<#ty>(__reader, #name)?),
        };
        generated!(#ident: #value)
    });
    quote_spanned!(span(kind)=> #index => __rmi::Ok(#path { #(#fields),* }),)
}

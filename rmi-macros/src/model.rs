//! What a valid trait says, as plain data. Whatever is here needs no further check.

use proc_macro2::{Ident, Span, TokenStream};
use syn::{Attribute, Block, Expr, ExprPath, ItemTrait, Signature, Type};

/// A remote trait.
pub(crate) struct Trait {
    /// The trait as it was written, without our helper attributes.
    pub(crate) written: ItemTrait,
    /// `::rmi_core::__private`
    pub(crate) private: TokenStream,
    pub(crate) name: String,
    pub(crate) version: (u16, u16),
    pub(crate) sequential: bool,
    /// The type of the events that it publishes.
    pub(crate) events: Option<Type>,
    pub(crate) client: bool,
    pub(crate) server: bool,
    pub(crate) methods: Vec<Method>,
}

/// A method.
pub(crate) struct Method {
    /// The attributes, without ours.
    pub(crate) attrs: Vec<Attribute>,
    /// The signature as it was written, without our attributes.
    pub(crate) signature: Signature,
    pub(crate) body: Option<Block>,
    /// The wire name.
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) arguments: Vec<Argument>,
    /// What comes back; nothing does from a one-way method.
    pub(crate) returns: Option<Type>,
    pub(crate) style: Style,
    /// The version that it came with.
    pub(crate) since: Option<(u16, u16)>,
    pub(crate) idempotent: bool,
    pub(crate) inline: bool,
    /// In milliseconds.
    pub(crate) timeout: Option<u64>,
    /// In milliseconds.
    pub(crate) ttl: Option<u64>,
}

/// How the client writes arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Positional,
    Named,
}

/// An argument.
pub(crate) struct Argument {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) ident: Ident,
    /// Without the reference, if it is one.
    pub(crate) ty: Type,
    /// As it was written.
    pub(crate) written: Type,
    pub(crate) kind: Kind,
}

/// What an argument is for.
pub(crate) enum Kind {
    /// Made by the server, unknown to the client.
    Context,
    /// On the wire.
    Parameter { name: String, by_reference: bool, default: Option<Fallback> },
}

/// What an argument is when it is missing.
pub(crate) enum Fallback {
    /// The default of its type.
    Default,
    /// An expression of the argument's type.
    Expression(Box<Expr>),
}

/// An implementation that can be discovered.
pub(crate) struct Implementation {
    /// Its attributes, without ours.
    pub(crate) attrs: Vec<Attribute>,
    /// `::rmi_core::__private`
    pub(crate) private: TokenStream,
    /// The path of the server, without its argument.
    pub(crate) server: TokenStream,
    pub(crate) ty: Type,
    pub(crate) instances: Instances,
}

/// Where the instances of an implementation come from.
pub(crate) enum Instances {
    /// One, which is the default of its type.
    Default,
    /// One, which a function makes.
    New(ExprPath),
    /// One for each request, which a function makes of its constructor arguments.
    PerCall(ExprPath),
}

impl Method {
    pub(crate) fn ident(&self) -> &Ident {
        &self.signature.ident
    }

    /// Where code that is made of this method says that it comes from.
    pub(crate) fn span(&self) -> Span {
        self.ident().span().resolved_at(Span::mixed_site())
    }

    pub(crate) fn context(&self) -> Option<&Argument> {
        self.arguments.iter().find(|a| matches!(a.kind, Kind::Context))
    }

    /// The arguments that travel, with their wire names.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&Argument, &str)> {
        self.arguments.iter().filter_map(|a| match &a.kind {
            Kind::Parameter { name, .. } => Some((a, name.as_str())),
            Kind::Context => None,
        })
    }
}

//! The parser of `#[remote(..)]`, which reads options by the tables of [`levels`].
//!
//! Options are taken out one after the other by those who know what they mean; what is left over is unknown.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{
    Attribute, Expr, ExprLit, ExprPath, Lit, LitStr, Meta, Token,
    ext::IdentExt,
    parse::{ParseStream, Parser},
};

use crate::errors::Errors;

mod levels;

pub(crate) use levels::{
    ARGUMENT, ENUM, EVENT_ENUM, EVENT_FIELD, EVENT_STRUCT, EVENT_VARIANT, FIELD, IMPLEMENTATION, Level, METHOD, STRUCT, TRAIT,
    VARIANT,
};

/// The options that somebody wrote in one place.
pub(crate) struct Options {
    level: &'static Level,
    given: Vec<Given>,
}

struct Given {
    key: Ident,
    value: Value,
}

enum Value {
    /// `key`
    Alone,
    /// `key = expr`
    Is(Box<Expr>),
    /// `key(..)`
    List(TokenStream),
}

impl ToTokens for Given {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.key.to_tokens(tokens);
        match &self.value {
            Value::Alone => {}
            Value::Is(expr) => expr.to_tokens(tokens),
            Value::List(list) => list.to_tokens(tokens),
        }
    }
}

impl Options {
    /// The options between the parentheses of an attribute.
    pub(crate) fn within(level: &'static Level, tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Options { level, given: Vec::new() };
        options.read(tokens, errors);
        options
    }

    /// Takes all `#[remote(..)]` out of some attributes, and reads their options.
    pub(crate) fn take_from(level: &'static Level, attrs: &mut Vec<Attribute>, errors: &mut Errors) -> Self {
        let mut options = Options { level, given: Vec::new() };
        attrs.retain(|attr| {
            if is_ours(attr) {
                match &attr.meta {
                    Meta::List(list) => options.read(list.tokens.clone(), errors),
                    _ => errors.at(attr, format!("write options in parentheses; {} has {}", level.on, level.list())),
                }
            } else if hides_ours(attr) {
                errors.at(attr, "options cannot depend on a condition: write the item twice, with `#[cfg(..)]` and options of its own each time");
            }
            !addressed(attr)
        });
        options
    }

    fn read(&mut self, tokens: TokenStream, errors: &mut Errors) {
        let given = &mut self.given;
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                match one(input) {
                    Ok(option) => given.push(option),
                    Err(error) => {
                        errors.push(error);
                        skip_to_comma(input)?;
                    }
                }
                if !input.is_empty()
                    && let Err(error) = input.parse::<Token![,]>()
                {
                    errors.push(error);
                    skip_to_comma(input)?;
                    let _: Option<Token![,]> = input.parse()?;
                }
            }
            Ok(())
        };
        // Its errors have all been collected.
        let _: syn::Result<()> = read.parse2(tokens);
    }

    /// Adds what was written in another place for the same item.
    pub(crate) fn append(&mut self, more: &mut Options) {
        self.given.append(&mut more.given);
    }

    fn take_all(&mut self, key: &str) -> Vec<Given> {
        self.given.extract_if(.., |g| g.key == key).collect()
    }

    fn take(&mut self, key: &str, errors: &mut Errors) -> Option<Given> {
        let mut found = self.take_all(key).into_iter();
        let first = found.next();
        for again in found {
            let (on, list) = (self.level.on, self.level.list());
            errors.at(again, format!("`{key}` is given twice: remove one; {on} has {list}"));
        }
        first
    }

    /// `key`
    pub(crate) fn flag(&mut self, key: &str, errors: &mut Errors) -> bool {
        let Some(given) = self.take(key, errors) else { return false };
        if !matches!(given.value, Value::Alone) {
            errors.at(&given, format!("`{key}` stands alone: write `{key}`"));
        }
        true
    }

    /// `key = "text"`
    pub(crate) fn text(&mut self, key: &str, errors: &mut Errors) -> Option<LitStr> {
        let given = self.take(key, errors)?;
        self.as_text(key, given, errors)
    }

    /// `key = "text"`, any number of times.
    pub(crate) fn texts(&mut self, key: &str, errors: &mut Errors) -> Vec<LitStr> {
        self.take_all(key).into_iter().filter_map(|given| self.as_text(key, given, errors)).collect()
    }

    fn as_text(&self, key: &str, given: Given, errors: &mut Errors) -> Option<LitStr> {
        if let Value::Is(expr) = &given.value
            && let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = ungroup(expr)
        {
            return Some(text.clone());
        }
        errors.at(given, format!("`{key}` takes a string: write `{}`", self.level.written(key)));
        None
    }

    /// `key = true` or `key = false`
    pub(crate) fn boolean(&mut self, key: &str, errors: &mut Errors) -> Option<(Ident, bool)> {
        let given = self.take(key, errors)?;
        if let Value::Is(expr) = &given.value
            && let Expr::Lit(ExprLit { lit: Lit::Bool(value), .. }) = ungroup(expr)
        {
            return Some((given.key, value.value));
        }
        errors.at(given, format!("`{key}` is true unless it says otherwise: write `{}`", self.level.written(key)));
        None
    }

    /// `key = word`, where the words are given.
    pub(crate) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)], errors: &mut Errors) -> Option<T> {
        let given = self.take(key, errors)?;
        if let Value::Is(expr) = &given.value
            && let Expr::Path(path) = ungroup(expr)
            && let Some((_, word)) = words.iter().find(|(name, _)| path.path.is_ident(name))
        {
            return Some(*word);
        }
        let forms: Vec<_> = words.iter().map(|(word, _)| format!("`{key} = {word}`")).collect();
        errors.at(given, format!("write {}", forms.join(" or ")));
        None
    }

    /// `key = path`
    pub(crate) fn path(&mut self, key: &str, errors: &mut Errors) -> Option<ExprPath> {
        let given = self.take(key, errors)?;
        if let Value::Is(expr) = &given.value
            && let Expr::Path(path) = ungroup(expr)
        {
            return Some(path.clone());
        }
        errors.at(given, format!("`{key}` is a path: write `{}`, without quotes or parentheses", self.level.written(key)));
        None
    }

    /// `key`, which is `Some(None)`, or `key = expr`.
    pub(crate) fn expression(&mut self, key: &str, errors: &mut Errors) -> Option<Option<Expr>> {
        let given = self.take(key, errors)?;
        match given.value {
            Value::Alone => Some(None),
            Value::Is(expr) => Some(Some(*expr)),
            Value::List(_) => {
                errors.at(given, format!("write `{key}` or `{}`", self.level.written(key)));
                None
            }
        }
    }

    /// Reports what nobody has taken.
    pub(crate) fn finish(self, errors: &mut Errors) {
        let (on, list) = (self.level.on, self.level.list());
        for given in self.given {
            let key = given.key.unraw();
            match self.level.elsewhere(&key) {
                Some(other) => errors.at(given, format!("`{key}` is an option of {}; {on} has {list}", other.on)),
                None => errors.at(given.key, format!("there is no option `{key}`; {on} has {list}")),
            }
        }
    }
}

fn one(input: ParseStream<'_>) -> syn::Result<Given> {
    let key = Ident::parse_any(input)?;
    let value = if input.peek(Token![=]) {
        let _: Token![=] = input.parse()?;
        Value::Is(input.parse()?)
    } else if input.peek(syn::token::Paren) {
        let list;
        syn::parenthesized!(list in input);
        Value::List(list.parse()?)
    } else if input.is_empty() || input.peek(Token![,]) {
        Value::Alone
    } else {
        return Err(input.error(format!("options are written `{key}` or `{key} = value`, with commas between them")));
    };
    Ok(Given { key, value })
}

fn skip_to_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        let _: proc_macro2::TokenTree = input.parse()?;
    }
    Ok(())
}

/// What `macro_rules!` hands over as one fragment comes in a group of its own.
fn ungroup(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => ungroup(&group.expr),
        other => other,
    }
}

/// Whether an attribute is for us, rightly or wrongly.
pub(crate) fn addressed(attr: &Attribute) -> bool {
    is_ours(attr) || hides_ours(attr)
}

/// Whether an attribute is `#[remote ..]`.
fn is_ours(attr: &Attribute) -> bool {
    attr.path().is_ident("remote")
}

/// Whether an attribute is `#[cfg_attr(.., remote(..))]`.
fn hides_ours(attr: &Attribute) -> bool {
    crate::attributes::conditional(attr).is_some_and(|(_, metas)| metas.iter().any(|m| m.path().is_ident("remote")))
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! What the macros write, compared with `tests/expand/*.expanded.rs`. `UPDATE_EXPECT=1` writes these files anew.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Attribute, Item, Meta, parse_quote};

use crate::{
    options::{self, Level},
    remote::do_remote,
    remote_error::do_remote_error,
    remote_event::do_remote_event,
};

fn inputs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expand");
    let files = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    let mut inputs: Vec<_> = files.filter(|path| !path.to_string_lossy().ends_with(".expanded.rs")).collect();
    inputs.sort();
    assert!(inputs.len() >= 6, "{inputs:?}");
    inputs
}

/// Expands the macros of ours in a file, after `change` has had its say.
fn expand(file: &Path, change: impl Fn(&mut Vec<Attribute>)) -> TokenStream {
    let file = syn::parse_file(&fs::read_to_string(file).expect("a file")).expect("Rust");
    file.items.into_iter().map(|item| expand_item(item, &change)).collect()
}

fn expand_item(mut item: Item, change: &impl Fn(&mut Vec<Attribute>)) -> TokenStream {
    match &mut item {
        Item::Trait(item) => {
            let at = item.attrs.iter().position(|a| a.path().is_ident("remote")).expect("#[remote]");
            change(&mut item.attrs);
            let attr = match item.attrs.remove(at).meta {
                Meta::List(list) => list.tokens,
                _ => TokenStream::new(),
            };
            do_remote(attr, item.to_token_stream())
        }
        Item::Impl(item) => {
            let at = item.attrs.iter().position(|a| a.path().is_ident("remote")).expect("#[remote]");
            change(&mut item.attrs);
            let attr = match item.attrs.remove(at).meta {
                Meta::List(list) => list.tokens,
                _ => TokenStream::new(),
            };
            do_remote(attr, item.to_token_stream())
        }
        Item::Enum(syn::ItemEnum { attrs, .. }) | Item::Struct(syn::ItemStruct { attrs, .. }) => {
            let derive = attrs.remove(0);
            assert!(derive.path().is_ident("derive"));
            change(attrs);
            match derive.meta.require_list().expect("a list").tokens.to_string().as_str() {
                "RemoteError" => do_remote_error(item.to_token_stream()),
                "RemoteEvent" => do_remote_event(item.to_token_stream()),
                other => panic!("{other}"),
            }
        }
        _ => panic!("a trait, an implementation, an enum or a struct"),
    }
}

#[test]
fn expansions_are_as_recorded() {
    for input in inputs() {
        let expanded = expand(&input, |_| {});
        let file = syn::parse2(expanded).unwrap_or_else(|e| panic!("{}: {e}", input.display()));
        let text = prettyplease::unparse(&file);
        let recorded = input.with_extension("expanded.rs");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&recorded, &text).expect("the file can be written");
        }
        let expected = fs::read_to_string(&recorded).unwrap_or_default();
        assert!(text == expected, "{} is not what is expanded now; UPDATE_EXPECT=1 updates it:\n{text}", recorded.display());
    }
}

#[test]
fn the_default_crate_is_not_mentioned_when_another_is_given() {
    fn mentions(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Group(group) => mentions(group.stream()),
            TokenTree::Ident(ident) => ident == "rmi_core",
            _ => false,
        })
    }
    for input in inputs() {
        assert!(
            ["client_only.rs", "event_struct.rs"].iter().any(|file| input.ends_with(file)) || mentions(expand(&input, |_| {})),
            "{}",
            input.display()
        );
        let renamed = expand(&input, |attrs| match attrs.iter_mut().find(|a| a.path().is_ident("remote")).map(|a| &mut a.meta) {
            Some(Meta::List(list)) if list.tokens.to_string().contains("crate") => {}
            Some(Meta::List(list)) => {
                let tokens = &list.tokens;
                list.tokens = quote!(crate = "elsewhere::rmi", #tokens);
            }
            _ => attrs.insert(0, parse_quote!(#[remote(crate = "elsewhere::rmi")])),
        });
        assert!(!mentions(renamed), "{}", input.display());
    }
}

#[test]
fn the_grammar_is_the_documented_one() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/macro.md")).expect("the document");
    let rows = |heading: &str| -> Vec<String> {
        let section = text.split("\n### ").find(|section| section.starts_with(heading)).expect(heading);
        section
            .split("\n## ")
            .next()
            .into_iter()
            .flat_map(str::lines)
            .filter(|line| line.contains("| `"))
            .map(str::to_owned)
            .collect()
    };
    let families: [(&str, &[&Level]); 6] = [
        ("On the trait", &[&options::TRAIT]),
        ("On a method", &[&options::METHOD]),
        ("On an argument", &[&options::ARGUMENT]),
        ("On an implementation", &[&options::IMPLEMENTATION]),
        ("Errors", &[&options::ENUM, &options::STRUCT, &options::VARIANT, &options::FIELD]),
        ("Events", &[&options::EVENT_ENUM, &options::EVENT_STRUCT, &options::EVENT_VARIANT, &options::EVENT_FIELD]),
    ];
    for (heading, levels) in families {
        let rows = rows(heading);
        let keys: Vec<&str> = levels.iter().flat_map(|level| level.keys()).collect();
        let documents = |row: &str, key: &str| row.contains(&format!("| `{key}` |")) || row.contains(&format!("| `{key} = "));
        for key in &keys {
            assert!(rows.iter().any(|row| documents(row, key)), "docs/macro.md does not have `{key}` under `{heading}`");
        }
        for row in &rows {
            assert!(keys.iter().any(|key| documents(row, key)), "there is no such option: {row}");
        }
    }
}

#[test]
fn each_option_is_shown_in_the_snapshot_that_the_grammar_names() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let text = fs::read_to_string(docs.join("macro.md")).expect("the document");
    let options = text.lines().filter(|line| line.starts_with('|') && line.contains("| `"));
    let mut shown = 0;
    for row in options {
        let (_, option) = row.split_once("| `").expect("an option");
        let key = option.split([' ', '`']).next().expect("its name");
        let name = row.trim_end_matches([' ', '|']).rsplit_once("| ").expect("a last column").1;
        let link = text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        let snapshot = docs.join(link.unwrap_or_else(|| panic!("`{name}` links to nothing: {row}")));
        assert!(snapshot.exists(), "{}", snapshot.display());
        let source = fs::read_to_string(snapshot.with_extension("").with_extension("rs")).expect("what it was expanded from");
        let says = |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == key);
        let marks = source.lines().filter_map(|line| line.split_once("#[remote(")).map(|(_, options)| options);
        assert!(marks.clone().any(says), "{name} does not show `{key}`: {row}");
        shown += 1;
    }
    assert!(shown > 30, "{shown} options");
}

#[test]
fn every_mistake_is_reported_and_the_trait_stays() {
    let expanded = do_remote(
        quote!(nonsense),
        quote! {
            pub trait Dog {
                fn bark(&self) -> Result<(), E>;
                #[remote(timeout = "soon")]
                async fn beg(&mut self) -> Result<(), E>;
                async fn sit(&self) -> Result<(), E>;
            }
        },
    );
    let file: syn::File = syn::parse2(expanded).expect("items");
    let errors = file
        .items
        .iter()
        .filter(|item| matches!(item, Item::Macro(m) if m.mac.path.segments.last().unwrap().ident == "compile_error"));
    assert_eq!(errors.count(), 4);
    let kept = file.items.iter().find_map(|item| match item {
        Item::Trait(item) => Some(item),
        _ => None,
    });
    assert_eq!(kept.expect("the trait").items.len(), 3);
    assert!(!kept.to_token_stream().to_string().contains("remote"));
    let text = prettyplease::unparse(&file);
    assert!(text.contains("pub fn sit(") && !text.contains("pub fn beg("), "{text}");
}

#[test]
fn nothing_that_can_be_parsed_as_tokens_panics() {
    for attr in [
        "",
        "name",
        "name =",
        "name = 1",
        "= ,",
        ", ,",
        "version(1)",
        "crate = \"\"",
        "crate = \"1\"",
        "client",
        "a b c, server = 3",
    ] {
        for item in [
            "",
            "trait",
            "trait T",
            "trait T {}",
            "impl T {}",
            "fn f() {}",
            "struct S;",
            "trait T { ; }",
            "pub trait T { #[remote] fn a(); }",
        ] {
            let (attr, item): (TokenStream, TokenStream) = (attr.parse().unwrap(), item.parse().unwrap());
            let expanded = do_remote(attr.clone(), item.clone()).to_string();
            assert!(expanded.contains("compile_error"), "{attr} on {item}");
        }
    }
}

//! The document that says what a call means, and the tests that show it, name each other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use async_trait::async_trait;
use rmi_core::{
    Endpoint,
    endpoint::Builder,
    testing::semantics::{self, Setting},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The functions that are tests, by the name of their file.
fn tests() -> BTreeMap<String, BTreeSet<String>> {
    let mut tests = BTreeMap::new();
    let list = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let (folders, mut files): (Vec<_>, Vec<_>) = list(&root().join("tests")).into_iter().partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| list(folder)));
    for path in files {
        let name = path.strip_prefix(root().join("tests")).unwrap().to_str().unwrap();
        if !name.ends_with(".rs") || name.starts_with("ui/") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut functions = BTreeSet::new();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            let line = line.strip_prefix("async ").unwrap_or(line);
            if let Some(function) = line.strip_prefix("fn ")
                && std::mem::take(&mut is_test)
            {
                functions.insert(function.split(['(', '<']).next().unwrap().to_owned());
            }
        }
        tests.insert(name.to_owned(), functions);
    }
    tests
}

/// No pair: only what the sentences are called is asked of it.
struct Any;

#[async_trait]
impl Setting for Any {
    async fn start() -> Self {
        Any
    }

    async fn endpoint(&self, name: &'static str) -> Builder {
        Endpoint::builder(name)
    }
}

/// What the suite asks of every pair.
fn portable() -> impl Iterator<Item = String> {
    semantics::sentences::<Any>().into_iter().map(|sentence| sentence.name.to_owned())
}

fn document() -> String {
    fs::read_to_string(root().join("../docs/semantics.md")).unwrap()
}

/// The sentences of the document, each with the tests at its end: one, or several with a space between.
fn sentences() -> Vec<(String, Vec<String>)> {
    let text = document();
    let bullets = text.lines().filter_map(|line| line.strip_prefix("* "));
    bullets.map(|line| (line.to_owned(), named(line))).collect()
}

/// The tests that are named at the end of a sentence.
fn named(mut line: &str) -> Vec<String> {
    let mut names = Vec::new();
    while let Some((before, name)) = line.strip_suffix('`').and_then(|line| line.rsplit_once(" `"))
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    {
        names.push(name.to_owned());
        line = before;
    }
    names
}

#[test]
fn every_name_at_the_end_of_a_sentence_is_read() {
    assert_eq!(named("With `serve`: `both`. `one_thing` `the_2nd`"), ["the_2nd", "one_thing"]);
    assert!(named("It says `one_thing`.").is_empty() && named("It has `Admin`").is_empty());
}

#[test]
fn every_sentence_has_its_test() {
    let tests: BTreeSet<String> = tests().into_values().flatten().chain(portable()).collect();
    let sentences = sentences();
    assert!(sentences.len() > 50, "the document has lost its sentences");
    let mut seen = BTreeSet::new();
    for (sentence, named) in sentences {
        assert!(!named.is_empty(), "this names no test: {sentence}");
        for test in named {
            assert!(tests.contains(&test), "there is no test `{test}`: {sentence}");
            assert!(seen.insert(test.clone()), "two sentences share `{test}`");
        }
    }
}

#[test]
fn every_sentence_of_the_suite_is_in_the_document() {
    let named: BTreeSet<String> = sentences().into_iter().flat_map(|(_, tests)| tests).collect();
    for name in portable() {
        assert!(named.contains(&name), "the document has no sentence `{name}`");
    }
}

/// What is in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The rows of the table of what is not asked of every pair: where it is shown, which it is, and why.
fn shown_once() -> Vec<(String, Vec<String>, String)> {
    let text = document();
    let (_, table) = text.split_once("\n## What is not asked of every pair\n").expect("the document has its table");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")).map(|row| {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [file, names, why] = cells[..] else { panic!("three cells: {row}") };
        let names = quoted(names).map(str::to_owned).collect();
        (file.trim_end_matches('`').to_owned(), names, why.trim_end_matches(" |").trim().to_owned())
    });
    rows.collect()
}

#[test]
fn what_is_not_asked_of_every_pair_is_shown_once_and_says_why() {
    let (tests, portable): (_, BTreeSet<String>) = (tests(), portable().collect());
    let mut once = BTreeSet::new();
    for (file, names, why) in shown_once() {
        let shown = tests.get(&file).unwrap_or_else(|| panic!("there is no {file}"));
        assert!(!names.is_empty() && why.len() > 10, "{file}: {why}");
        for name in names {
            assert!(shown.contains(&name), "{file} has no test `{name}`");
            assert!(!portable.contains(&name), "`{name}` is asked of every pair");
            assert!(once.insert(name.clone()), "`{name}` is in the table twice");
        }
    }
    for (sentence, names) in sentences() {
        for name in names {
            let told = portable.contains(&name) || once.remove(&name);
            assert!(told, "`{name}` is neither asked of every pair nor in the table: {sentence}");
        }
    }
    assert!(once.is_empty(), "the table has what is no sentence: {once:?}");
}

#[test]
fn no_test_has_the_name_of_a_sentence_that_every_pair_is_asked() {
    let portable: BTreeSet<String> = portable().collect();
    for (file, tests) in tests() {
        let twice: Vec<_> = tests.intersection(&portable).collect();
        assert!(twice.is_empty(), "{file} has tests that are named as what is asked of every pair: {twice:?}");
    }
}

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
    for file in fs::read_dir(root().join("tests")).unwrap() {
        let path = file.unwrap().path();
        let Some(name) = path.file_name().unwrap().to_str().filter(|name| name.ends_with(".rs")) else { continue };
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

/// The sentences of the document, each with the test at its end.
fn sentences() -> Vec<(String, Option<String>)> {
    let text = fs::read_to_string(root().join("../docs/semantics.md")).unwrap();
    let bullets = text.lines().filter_map(|line| line.strip_prefix("* "));
    let named = |line: &str| {
        let name = line.strip_suffix('`')?.rsplit_once(" `")?.1;
        name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_').then(|| name.to_owned())
    };
    bullets.map(|line| (line.to_owned(), named(line))).collect()
}

#[test]
fn every_sentence_has_its_test() {
    let tests: BTreeSet<String> = tests().into_values().flatten().chain(portable()).collect();
    let sentences = sentences();
    assert!(sentences.len() > 50, "the document has lost its sentences");
    let mut seen = BTreeSet::new();
    for (sentence, test) in sentences {
        let test = test.unwrap_or_else(|| panic!("this names no test: {sentence}"));
        assert!(tests.contains(&test), "there is no test `{test}`: {sentence}");
        assert!(seen.insert(test.clone()), "two sentences share `{test}`");
    }
}

#[test]
fn every_test_of_the_semantics_has_its_sentence() {
    let named: BTreeSet<String> = sentences().into_iter().filter_map(|(_, test)| test).collect();
    let mut files = 0;
    for (file, tests) in tests().into_iter().filter(|(file, _)| file.starts_with("semantics_")) {
        files += 1;
        assert!(!tests.is_empty(), "{file} has no tests");
        for test in tests {
            assert!(named.contains(&test), "the document does not name `{test}` of {file}");
        }
    }
    assert!(files >= 9);
    for name in portable() {
        assert!(named.contains(&name), "the document has no sentence `{name}`");
    }
}

//! The README shows code that runs: each of its blocks stands word for word in the file that it names.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::Path};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn every_block_of_code_is_quoted_from_the_file_that_it_names() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut named = None;
    let mut quoted = 0;
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        if let Some(comment) = line.strip_prefix("<!-- ") {
            named = Some(comment.strip_suffix(" -->").unwrap().to_owned());
        }
        if line != "```rust" {
            continue;
        }
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let file = named.take().unwrap_or_else(|| panic!("no file is named above {block:#?}"));
        let source = fs::read_to_string(root().join(&file)).unwrap();
        assert!(source.contains(&block.join("\n")), "not in {file}:\n{}", block.join("\n"));
        quoted += 1;
    }
    assert!(quoted >= 5, "{quoted} blocks");
}

#[test]
fn every_link_to_a_file_leads_somewhere() {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "docs/semantics.md",
        "docs/wire.md",
        "docs/gofer.md",
        "docs/macro.md",
        "benches/README.md",
    ] {
        let path = root().join(document);
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.starts_with("http") {
                continue;
            }
            assert!(path.parent().unwrap().join(target).exists(), "{document} links to {target}");
        }
    }
}

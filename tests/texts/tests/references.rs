//! What is found in documents whose links are broken, and in those of this repository.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::fs;
use std::path::Path;

use sandport_texts::check;

fn broken(files: &[(&str, &str)]) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let (_, broken) = check(root.path()).unwrap();
    broken.iter().map(ToString::to_string).collect()
}

#[test]
fn missing_files_headings_and_paths_are_found_with_their_line() {
    let found = broken(&[
        (
            "README.md",
            "[a](docs/a.md)\n[b](docs/b.md)\n[c](docs/a.md#there)\n[d](docs/a.md#gone)\n",
        ),
        (
            "docs/a.md",
            "# There\n\n[up](../README.md) [self](#there) [no](#here)\n`docs/a.md` `docs/c.md`\n",
        ),
    ]);
    assert_eq!(
        found,
        [
            "README.md:2: no such file: docs/b.md",
            "README.md:4: no such heading: docs/a.md#gone",
            "docs/a.md:3: no such heading: #here",
            "docs/a.md:4: no such path: docs/c.md",
        ]
    );
}

#[test]
fn other_sites_placeholders_and_built_files_are_left_alone() {
    let found = broken(&[
        ("a.md", "[x](https://example.com/y#z) `docs/NAME…` `docs/*.md` `other/file.rs`\n"),
        ("docs/b.md", "fine\n"),
        ("target/c.md", "[no](no.md)\n"),
        ("node_modules/d.md", "[no](no.md)\n"),
    ]);
    assert_eq!(found, [""; 0]);
}

#[test]
fn the_documents_of_this_repository_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let (documents, broken) = check(root).unwrap();
    assert!(documents > 20, "{documents}");
    let broken: Vec<_> = broken.iter().map(ToString::to_string).collect();
    assert_eq!(broken, [""; 0]);
}

/// The tests that a page names: a file in backticks, a colon, and the names, each in backticks.
fn named_tests(page: &str) -> Vec<(String, String)> {
    let mut named = Vec::new();
    for cell in page.lines().filter(|line| line.starts_with('|')).flat_map(|line| line.split('|')) {
        let mut file = None;
        // Every second part is within backticks.
        let parts: Vec<&str> = cell.split('`').collect();
        for (number, part) in parts.iter().enumerate().filter(|(number, _)| number % 2 == 1) {
            let is_followed_by_names = parts.get(number + 1).is_some_and(|it| it.starts_with(':'));
            match (part.ends_with(".rs") && is_followed_by_names, &file) {
                (true, _) => file = Some((*part).to_owned()),
                (false, Some(file)) => named.push((String::clone(file), (*part).to_owned())),
                (false, None) => {}
            }
        }
    }
    named
}

#[test]
fn the_tests_that_the_security_page_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let page = fs::read_to_string(root.join("docs/security.md")).unwrap();
    let named = named_tests(&page);
    assert!(named.len() > 60, "{}", named.len());
    for (file, test) in named {
        let text = fs::read_to_string(root.join(&file)).unwrap();
        // A target of the fuzz tests is a test by a macro.
        let is_there =
            text.contains(&format!("fn {test}(")) || text.contains(&format!("    {test},\n"));
        assert!(is_there, "{file} has no test {test}");
    }
}

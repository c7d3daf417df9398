//! Every block of code is run by a test, or says why not. `docs/errors.md` is generated.

use std::fmt::Write as _;

use keyfob::error::ERROR_CODES;

use super::{at_root, docs, root};

/// Blocks of shell commands that no test runs.
const MAX_NOT_RUN: usize = 14;

#[test]
fn every_block_of_code_is_run_or_says_why_not() {
    let (mut not_run, mut run) = (Vec::new(), 0);
    for document in docs().into_iter().chain([at_root("README.md")]) {
        for block in document.blocks() {
            let place = format!("{}:\n{}", document.file, block.code);
            let language = block.language.as_str();
            assert!(!language.is_empty(), "name the language of the code in {place}");
            match block.mark.as_deref().map(|mark| mark.split_once(": ").unwrap_or((mark, ""))) {
                Some(("not run", why)) => {
                    assert!(why.len() > 10, "say why this is not run, in {place}");
                    not_run.extend((language == "sh").then_some(place));
                }
                Some(("run by", file)) => {
                    let test = std::fs::read_to_string(root().join(file)).unwrap_or_default();
                    let name = document.file.rsplit('/').next().unwrap();
                    assert!(test.contains(name), "{file} does not name {place}");
                }
                Some(("run in the background", "")) | None if language == "sh" => run += 1,
                _ => assert_eq!(language, "text", "mark the code with `run by` or `not run`, in {place}"),
            }
        }
    }
    assert!(not_run.len() <= MAX_NOT_RUN, "{} blocks are not run:\n{}", not_run.len(), not_run.join("\n"));
    assert!(run > 20, "{run}");
}

const INTRODUCTION: &str = "# Errors

Errors of the API are RFC 9457 problem details. Programs should match on `code`: titles and details
may change. The `type` of an error is a link to its entry at `/docs/errors` of the server.
";

fn errors_document() -> String {
    let mut text = INTRODUCTION.to_owned();
    for error in ERROR_CODES {
        let fix = error.fix.replace('<', r"\<");
        let _ = write!(text, "\n## {}\n\nStatus {}. {}\n\n{fix}\n", error.code, error.status, error.title);
    }
    text + "\n---\n\nThis page is generated from the program: `UPDATE_DOCS=1 cargo test --test it docs::code` writes it.\n"
}

#[test]
fn errors_document_is_generated_from_the_table() {
    let (path, expected) = (root().join("docs/errors.md"), errors_document());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert_eq!(written, expected, "run: UPDATE_DOCS=1 cargo test --test it docs::code");
}

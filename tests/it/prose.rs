//! Words that the style guide bans, in everything that users and contributors read.

use std::path::{Path, PathBuf};

use regex::Regex;

/// Each is a whole word or phrase, in upper or lower case. A phrase may continue on the next line of a comment.
const BANNED: [&str; 16] = [
    "whoever",
    "whomever",
    "anew",
    "lately",
    "mend",
    "mended",
    "beside",
    "as ever",
    "for ever",
    "so many",
    "is told",
    "is asked",
    "stands for",
    "of its own accord",
    "a word on",
    "for real",
];

#[test]
fn prose_uses_no_banned_word() {
    let between = r"\s+(?:(?://[/!]?|\*)\s*)?";
    let words: Vec<_> = BANNED.iter().map(|words| words.replace(' ', between)).collect();
    let banned = Regex::new(&format!(r"(?i)\b(?:{})\b", words.join("|"))).unwrap();
    let files = files();
    assert!(files.len() > 150, "{}", files.len());
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for word in banned.find_iter(&text) {
            let line = text[..word.start()].matches('\n').count() + 1;
            found.push(format!("{}:{line}: {:?}", file.display(), word.as_str()));
        }
    }
    assert!(found.is_empty(), "write these in plain English:\n{}", found.join("\n"));
}

/// Returns the sources, the docs and the browser tests.
fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md"), root.join("SECURITY.md")];
    let mut folders: Vec<_> = ["src", "docs", "end2end/tests"].map(|folder| root.join(folder)).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            match extension {
                _ if path.is_dir() => folders.push(path),
                Some("rs" | "md" | "ts") => files.push(path),
                _ => {}
            }
        }
    }
    files
}

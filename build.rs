//! What is compiled in with the sources: the migrations, the documentation, and for `make dist` the browser's files.

use std::path::Path;
use std::{env, fs};

/// The files below the site's folder that the server serves. It decompresses them itself: that makes the program 1 MB smaller.
const FILES: [&str; 9] = [
    "favicon.svg",
    "robots.txt",
    "profile-light.webp",
    "profile-dark.webp",
    "profile-phone-light.webp",
    "profile-phone-dark.webp",
    "pkg/keyfob.css",
    "pkg/keyfob.js",
    "pkg/keyfob.wasm",
];

fn main() -> std::io::Result<()> {
    // A new migration must be compiled in.
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=KEYFOB_EMBED_SITE");
    let mut list = Vec::new();
    if let Some(folder) = env::var_os("KEYFOB_EMBED_SITE") {
        let folder = fs::canonicalize(folder)?;
        for file in FILES {
            let name = format!("{file}.br");
            let path = folder.join(&name).to_string_lossy().into_owned();
            list.push(format!("({name:?}, include_bytes!({path:?}))"));
        }
    }
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    fs::write(Path::new(&out).join("site.rs"), format!("&[{}]\n", list.join(",\n")))?;
    // The browser side has no documentation.
    if env::var_os("CARGO_FEATURE_SSR").is_none() {
        return Ok(());
    }
    fs::write(Path::new(&out).join("docs.rs"), format!("&[{}]\n", documents()?.join(",\n")))
}

/// Returns the Markdown files of `/docs` with their text: the index, and what it links before its list for contributors.
fn documents() -> std::io::Result<Vec<String>> {
    println!("cargo::rerun-if-changed=docs");
    let index = fs::read_to_string("docs/README.md")?;
    let pages = index.split("\n## Contributors").next().unwrap_or_default();
    let mut files = vec!["docs/README.md".to_owned()];
    for link in pages.split("\n- [").skip(1).filter_map(|entry| entry.split_once("](")?.1.split(')').next()) {
        let file = link.strip_prefix("../").map_or_else(|| format!("docs/{link}"), str::to_owned);
        println!("cargo::rerun-if-changed={file}");
        files.push(file);
    }
    let root = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    Ok(files.iter().map(|file| format!("({file:?}, include_str!({:?}))", format!("{root}/{file}"))).collect())
}

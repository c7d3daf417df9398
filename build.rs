//! What is compiled in beside the sources: the migrations, and for `make dist` the browser's files.

use std::path::Path;
use std::{env, fs};

/// The files below the site's folder that the server serves. It decompresses them itself: that makes the program 1 MB smaller.
const FILES: [&str; 7] = [
    "favicon.svg",
    "robots.txt",
    "profile-light.webp",
    "profile-dark.webp",
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
    fs::write(Path::new(&out).join("site.rs"), format!("&[{}]\n", list.join(",\n")))
}

//! The browser's files: WASM, JavaScript and CSS, under a path that changes with their content. They come from a folder or are
//! embedded in the program.

mod embedded;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use leptos::prelude::LeptosOptions;
use sha2::{Digest, Sha256};

use self::embedded::Embedded;

/// Files that `make dist` embeds in the program, compressed and decompressed; empty in other builds.
pub static EMBEDDED: LazyLock<Embedded> =
    LazyLock::new(|| Embedded::decompress(include!(concat!(env!("OUT_DIR"), "/site.rs"))));

/// Location and version of the browser's files.
#[derive(Clone, Debug)]
pub struct Site {
    pub options: LeptosOptions,
    /// Path prefix that changes with any file: `/v-3f2a9c01`. Browsers cache everything below it.
    pub version: String,
    /// `None` for embedded files.
    folder: Option<PathBuf>,
}

impl Site {
    /// Uses the embedded files, or else the folder `root`.
    pub fn at(root: &Path) -> Self {
        let folder = EMBEDDED.0.is_empty().then(|| root.to_owned());
        let options = LeptosOptions::builder()
            .output_name("keyfob")
            .site_root(root.display().to_string())
            .site_pkg_dir("pkg")
            .build();
        let mut content = Sha256::new();
        for name in ["keyfob.js", "keyfob.wasm", "keyfob.css"] {
            match read(folder.as_deref(), &Path::new("pkg").join(name)) {
                Ok(bytes) => content.update(bytes),
                Err(error) => {
                    tracing::warn!(%error, "no {name} in {}/pkg: pages work without JavaScript and styles", root.display());
                }
            }
        }
        let digest = content.finalize();
        let version = format!("/v-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
        Self { options, version, folder }
    }

    /// Returns the folder, or `None` for embedded files.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Returns the path of the style sheet.
    pub fn stylesheet(&self) -> String {
        format!("{}/pkg/keyfob.css", self.version)
    }
}

fn read(folder: Option<&Path>, path: &Path) -> io::Result<Vec<u8>> {
    match folder {
        Some(folder) => std::fs::read(folder.join(path)),
        None => EMBEDDED.read(path).map(<[u8]>::to_vec),
    }
}

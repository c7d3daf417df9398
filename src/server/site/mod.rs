//! The browser's files: WASM, JavaScript and CSS, under a name that changes with their content. They are in a folder, or part of
//! the program.

mod embedded;

use std::io;
use std::path::{Path, PathBuf};

use leptos::prelude::LeptosOptions;
use sha2::{Digest, Sha256};

use self::embedded::Embedded;

/// The files that `make dist` makes part of the program; none in any other build.
pub static EMBEDDED: Embedded = Embedded(include!(concat!(env!("OUT_DIR"), "/site.rs")));

/// Where the browser's files are, and under which version.
#[derive(Clone, Debug)]
pub struct Site {
    /// What Leptos wants to know of them.
    pub options: LeptosOptions,
    /// A path that changes when any of them does: `/v-3f2a9c01`. Browsers may keep what is under it for ever.
    pub version: String,
    /// The folder; none where they are part of the program.
    folder: Option<PathBuf>,
}

impl Site {
    /// The files that are part of the program, or else those in the folder that cargo-leptos wrote.
    #[must_use]
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
                Err(error) => tracing::warn!(%error, "no {name} in {}/pkg: pages work, but plainly", root.display()),
            }
        }
        let digest = content.finalize();
        let version = format!("/v-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
        Self { options, version, folder }
    }

    /// The folder with the files; `None` where they are part of the program.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The path of the style sheet.
    #[must_use]
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

//! The pages, rendered once, and their order.

use std::sync::LazyLock;

use super::markdown::{self, Heading};

/// File and text of each page. The first is the index. `build.rs` follows its links.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/docs.rs"));
/// Heading in the index below which nothing is a page.
const CONTRIBUTORS: &str = "\n## Contributors";
/// File whose page the application has, with links to each error.
const ERRORS: &str = "docs/errors.md";

/// A rendered page.
#[derive(Debug)]
pub struct Page {
    /// File in the repository: `docs/deploy.md`.
    pub file: &'static str,
    /// Path on the server: `/docs/deploy`.
    pub path: String,
    pub title: String,
    /// The first paragraph, as text.
    pub description: String,
    pub html: String,
    pub headings: Vec<Heading>,
}

/// A group of links in the navigation.
#[derive(Debug)]
pub struct Group {
    pub title: &'static str,
    /// Label and path of each page.
    pub links: Vec<(&'static str, String)>,
}

/// All pages.
#[derive(Debug)]
pub struct Library {
    pages: Vec<Page>,
    pub groups: Vec<Group>,
}

/// Returns all pages. The first call renders them.
pub fn library() -> &'static Library {
    static LIBRARY: LazyLock<Library> = LazyLock::new(Library::render);
    &LIBRARY
}

impl Library {
    fn render() -> Self {
        let groups = FILES.first().map(|(_, index)| groups(index)).unwrap_or_default();
        let pages = FILES.iter().filter(|(file, _)| *file != ERRORS).map(|(file, text)| {
            let text = text.split(CONTRIBUTORS).next().unwrap_or_default();
            let rendered = markdown::render(file, text, page_path);
            Page {
                file,
                path: path_of(file),
                title: rendered.title,
                description: rendered.description,
                html: rendered.html,
                headings: rendered.headings,
            }
        });
        Self { pages: pages.collect(), groups }
    }

    /// Returns the page at `/docs`.
    pub fn start(&self) -> &Page {
        &self.pages[0]
    }

    /// Returns the page at `/docs/{name}`.
    pub fn find(&self, name: &str) -> Option<&Page> {
        self.pages.iter().skip(1).find(|page| page.path.strip_prefix("/docs/") == Some(name))
    }

    pub fn pages(&self) -> &[Page] {
        &self.pages
    }

    /// Returns label and path of the pages before and after one.
    pub fn neighbours(&self, path: &str) -> [Option<&(&'static str, String)>; 2] {
        let links: Vec<_> = self.groups.iter().flat_map(|group| &group.links).collect();
        match links.iter().position(|(_, link)| link == path) {
            Some(place) => [place.checked_sub(1), Some(place + 1)].map(|place| links.get(place?).copied()),
            None => [None, links.first().copied()],
        }
    }
}

/// Reads the groups of the index: its headings, and the link at the start of each entry below them.
fn groups(index: &'static str) -> Vec<Group> {
    let mut groups = Vec::new();
    for line in index.split(CONTRIBUTORS).next().unwrap_or_default().lines() {
        if let Some(title) = line.strip_prefix("## ") {
            groups.push(Group { title, links: Vec::new() });
        }
        let entry = line.strip_prefix("- [").and_then(|entry| entry.split_once("]("));
        if let (Some((label, rest)), Some(group)) = (entry, groups.last_mut()) {
            let link = rest.split(')').next().unwrap_or_default();
            group.links.extend(page_path(&markdown::resolve("docs/README.md", link)).map(|path| (label, path)));
        }
    }
    groups
}

/// Returns the path of the page of a file, if it has one.
fn page_path(file: &str) -> Option<String> {
    FILES.iter().any(|(name, _)| *name == file).then(|| path_of(file))
}

fn path_of(file: &str) -> String {
    match file {
        "docs/README.md" => "/docs".to_owned(),
        // docs/security.md has the short name.
        "SECURITY.md" => "/docs/security-policy".to_owned(),
        _ => {
            let name = file.strip_prefix("docs/").unwrap_or(file).trim_end_matches(".md");
            format!("/docs/{}", name.to_lowercase())
        }
    }
}

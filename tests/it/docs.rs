//! The documents: their links, their code, and the pages that show them.

mod code;
mod links;
mod pages;
mod run;

use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A Markdown file of the repository.
pub struct Document {
    /// `docs/deploy.md`
    pub file: String,
    pub text: String,
}

/// A block of code in a document.
pub struct Block {
    pub language: String,
    pub code: String,
    /// The comment on the line before: `not run: it needs the internet`.
    pub mark: Option<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Document {
    fn read(path: PathBuf) -> Self {
        let file = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        Self { file, text: fs::read_to_string(path).unwrap() }
    }

    fn events(&self) -> impl Iterator<Item = Event<'_>> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES)
    }

    /// Returns all blocks of code. One that is only indented has no language.
    pub fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut open) = (Vec::new(), None::<Block>);
        for (event, place) in Parser::new_ext(&self.text, Options::ENABLE_TABLES).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let language =
                        if let CodeBlockKind::Fenced(name) = kind { name.to_string() } else { String::new() };
                    let line = self.text[..place.start].trim_end().lines().last().unwrap_or_default().trim();
                    let mark = line.strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->"));
                    open = Some(Block { language, code: String::new(), mark: mark.map(str::to_owned) });
                }
                Event::Text(text) => {
                    if let Some(block) = &mut open {
                        block.code += &text;
                    }
                }
                Event::End(TagEnd::CodeBlock) => blocks.extend(open.take()),
                _ => {}
            }
        }
        blocks
    }
}

/// Returns the files of `docs/`.
pub fn docs() -> Vec<Document> {
    let files = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut docs: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "md")).map(Document::read).collect();
    docs.sort_by(|a, b| a.file.cmp(&b.file));
    assert!(docs.len() > 15, "{}", docs.len());
    docs
}

/// Returns a file at the root of the repository.
pub fn at_root(name: &str) -> Document {
    Document::read(root().join(name))
}

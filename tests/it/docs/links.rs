//! Every link and anchor of the Markdown files.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keyfob::web::docs::{resolve, slug};
use pulldown_cmark::{Event, Tag, TagEnd};

use super::{Document, at_root, docs, root};

fn all() -> Vec<Document> {
    let mut all = docs();
    all.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(at_root));
    all
}

fn links(document: &Document) -> Vec<String> {
    let link = |event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.to_string()),
        _ => None,
    };
    document.events().filter_map(link).collect()
}

/// Returns the anchors of the headings, as GitHub makes them.
fn anchors(document: &Document) -> BTreeSet<String> {
    let (mut anchors, mut times, mut heading) = (BTreeSet::new(), HashMap::<String, usize>::new(), None::<String>);
    for event in document.events() {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    *heading += &text;
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let id = slug(&heading.take().unwrap());
                let times = times.entry(id.clone()).or_default();
                anchors.insert(if *times == 0 { id } else { format!("{id}-{times}") });
                *times += 1;
            }
            _ => {}
        }
    }
    anchors
}

#[test]
fn links_of_documents_lead_to_files_and_headings() {
    let all = all();
    let anchors: BTreeMap<_, _> = all.iter().map(|document| (document.file.clone(), anchors(document))).collect();
    let (mut checked, mut broken) = (0, Vec::new());
    for document in &all {
        for link in links(document) {
            checked += 1;
            if link.contains(':') {
                let is_fine = link.starts_with("https://") || link.starts_with("http://localhost:8000");
                broken.extend((!is_fine).then(|| format!("{}: {link}", document.file)));
                continue;
            }
            let (path, anchor) = link.split_once('#').map_or((link.as_str(), None), |(path, id)| (path, Some(id)));
            let file = if path.is_empty() { document.file.clone() } else { resolve(&document.file, path) };
            let has_anchor = anchor.is_none_or(|id| anchors.get(&file).is_some_and(|ids| ids.contains(id)));
            broken.extend((!root().join(&file).exists() || !has_anchor).then(|| format!("{}: {link}", document.file)));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(checked > 150, "{checked}");
}

#[test]
fn every_document_is_in_the_index() {
    let index = links(&at_root("docs/README.md"));
    for Document { file, .. } in docs() {
        let name = file.strip_prefix("docs/").unwrap();
        assert!(name == "README.md" || index.iter().any(|link| link == name), "link {name} in docs/README.md");
    }
}

#[test]
fn readme_is_short() {
    let lines = at_root("README.md").text.lines().count();
    assert!(lines <= 130, "{lines} lines");
}

//! Import cycles between the files of the source, by their `use` declarations.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use crate::architecture::sources;

/// Folders whose files still import each other.
const KNOWN_CYCLES: [&[&str]; 4] = [
    &["model/keys", "model/teams"],
    &["pages", "pages/admin"],
    &["server/db", "server/maintenance"],
    &["server", "server/keys"],
];

#[test]
fn file_imports_have_no_cycle_across_folders() {
    let imports = imports();
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 300, "few imports are found: {imports:#?}");
    let reachable: BTreeMap<_, _> = imports.keys().map(|file| (file, reachable_from(file, &imports))).collect();
    for file in imports.keys() {
        let cycle: Vec<_> = reachable[file].iter().filter(|other| reachable[other].contains(file)).collect();
        let folders: BTreeSet<_> = cycle.iter().map(|file| folder(file, &imports)).collect();
        let is_known = KNOWN_CYCLES.iter().any(|known| folders.iter().all(|folder| known.contains(folder)));
        assert!(folders.len() < 2 || is_known, "a cycle across folders: {cycle:#?}");
    }
}

/// Returns the files that each file imports.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let files: BTreeMap<_, _> = sources().into_iter().collect();
    let declaration = Regex::new(r"(?m)^\s*(?:pub(?:\([a-z]+\))? )?use ((?:crate|super|self)::[^;]*);").unwrap();
    let mut imports = BTreeMap::new();
    for (file, text) in &files {
        let paths = declaration.captures_iter(text).flat_map(|found| expand(&found[1]));
        let modules = paths.filter_map(|path| file_of(absolute(file, &path), &files));
        imports.insert(file.clone(), modules.filter(|module| module != file).collect());
    }
    imports
}

/// Expands `a::{b, c::{d, e}}` into `a::b`, `a::c::d` and `a::c::e`.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap().to_owned()];
    };
    let (mut depth, mut branches) = (0, vec![String::new()]);
    for character in rest.trim_end().trim_end_matches('}').chars() {
        match character {
            ',' if depth == 0 => branches.push(String::new()),
            _ => branches.last_mut().unwrap().push(character),
        }
        depth += i32::from(character == '{') - i32::from(character == '}');
    }
    // `trim_end_matches` also removes the closing braces of the last branch.
    let last = branches.last_mut().unwrap();
    let open = last.matches('{').count() - last.matches('}').count();
    last.push_str(&"}".repeat(open));
    let branches = branches.into_iter().filter(|branch| !branch.trim().is_empty());
    branches.flat_map(|branch| expand(&format!("{prefix}{}", branch.trim()))).collect()
}

/// Resolves `crate`, `super` and `self` to the names of modules below the crate.
fn absolute(file: &str, path: &str) -> Vec<String> {
    let mut module: Vec<_> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    for part in path.split("::") {
        match part {
            "crate" => module.clear(),
            "super" => drop(module.pop()),
            "self" | "*" => {}
            name => module.push(name.to_owned()),
        }
    }
    module
}

/// Returns the file of the innermost module that a path names. The crate itself has none.
fn file_of(mut path: Vec<String>, files: &BTreeMap<String, String>) -> Option<String> {
    while !path.is_empty() {
        let name = path.join("/");
        let candidates = [format!("{name}.rs"), format!("{name}/mod.rs")];
        if let Some(file) = candidates.into_iter().find(|file| files.contains_key(file)) {
            return Some(file);
        }
        path.pop();
    }
    None
}

fn reachable_from(file: &str, imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![file.to_owned()]);
    while let Some(file) = open.pop() {
        for import in &imports[&file] {
            if found.insert(import.clone()) {
                open.push(import.clone());
            }
        }
    }
    found
}

/// Returns the folder of a module: its own, if it has one.
fn folder<'a>(file: &'a str, imports: &BTreeMap<String, BTreeSet<String>>) -> &'a str {
    let module = file.trim_end_matches(".rs");
    if imports.keys().any(|other| other.starts_with(&format!("{module}/"))) {
        return module;
    }
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[test]
fn nested_imports_are_expanded() {
    assert_eq!(expand("a::{b, c::{d, e as f}, g::{h}}"), ["a::b", "a::c::d", "a::c::e", "a::g::h"]);
    assert_eq!(absolute("a/b/mod.rs", "super::c::D"), ["a", "c", "D"]);
    assert_eq!(absolute("a/b.rs", "self::C"), ["a", "b", "C"]);
}

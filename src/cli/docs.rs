#![cfg(test)]
//! Tests of `docs/` against the command line: `docs/settings.md` is generated from it, and every command in the documents exists.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::error::ErrorKind;
use clap::{Arg, Command, CommandFactory};
use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use super::Cli;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Pages that say more about a setting.
const MORE: [(&str, &str); 12] = [
    ("DATABASE_URL", "[PostgreSQL](deploy.md#postgresql)"),
    ("KEYFOB_METRICS_ADDR", "[monitoring](monitoring.md)"),
    ("KEYFOB_PUBLIC_URL", "[reverse proxy and TLS](deploy.md#reverse-proxy-and-tls)"),
    ("KEYFOB_API_KEY_HEADER", "[credentials](api.md#credentials)"),
    ("KEYFOB_KEY_RATE", "[rate limits on several servers](scaling.md#rate-limits-on-several-servers)"),
    ("KEYFOB_SIGN_IN_RATE", "[brute-force protection](security.md#brute-force-protection)"),
    ("KEYFOB_TRUSTED_PROXIES", "[reverse proxy and TLS](deploy.md#reverse-proxy-and-tls)"),
    ("KEYFOB_CORS_ORIGINS", "[browser apps of other origins](api.md#browser-apps-of-other-origins)"),
    ("KEYFOB_SECRET_SCANNING_KEYS", "[GitHub's partner programme](secret-scanning.md#githubs-partner-programme)"),
    ("KEYFOB_KEY_BRAND", "[secret scanning](secret-scanning.md#pattern)"),
    ("KEYFOB_LOG", "[log reference](log-reference.md)"),
    ("KEYFOB_LOG_FORMAT", "[log reference](log-reference.md)"),
];

const INTRODUCTION: &str = "# Settings

Each setting is an environment variable and a flag of `keyfob serve`. `keyfob serve --help` lists the
same. The flag wins over the variable, and an empty variable counts as unset. A wrong value ends the
start with one line that names the variable and the fix.

Give every command the same settings as the server. `keyfob doctor` checks all of them.
";

/// The column limit of the documents applies to text, not to tables.
fn settings_document() -> String {
    let mut text = INTRODUCTION.to_owned();
    text += "\n| variable | flag | default | meaning |\n|---|---|---|---|\n";
    let command = Cli::command();
    let serve = command.find_subcommand("serve").unwrap();
    let mut more = BTreeSet::from(MORE);
    for arg in serve.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let Some(variable) = arg.get_env().and_then(|name| name.to_str()) else { continue };
        let default = default_of(arg).map_or_else(|| "none".to_owned(), |value| format!("`{value}`"));
        let mut meaning = cell(&arg.get_help().unwrap().to_string());
        let values: Vec<_> = arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        if !values.is_empty() {
            let _ = write!(meaning, ": {}", values.join(", "));
        }
        if let Some(found) = MORE.iter().find(|(name, _)| *name == variable) {
            let _ = write!(meaning, ". See {}", found.1);
            more.remove(found);
        }
        let _ = writeln!(text, "| `{variable}` | `--{}` | {default} | {meaning} |", arg.get_long().unwrap());
    }
    assert!(more.is_empty(), "no settings: {more:?}");
    text + "\nThis page is generated from the program: `UPDATE_DOCS=1 cargo test --bin keyfob docs` writes it.\n"
}

fn default_of(arg: &Arg) -> Option<String> {
    Some(arg.get_default_values().first()?.to_string_lossy().into_owned())
}

fn cell(text: &str) -> String {
    text.replace('|', r"\|").replace('\n', " ")
}

#[test]
fn settings_document_is_generated_from_the_flags() {
    let (path, expected) = (Path::new(ROOT).join("docs/settings.md"), settings_document());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), expected, "run: UPDATE_DOCS=1 cargo test --bin keyfob docs");
}

/// Returns README.md, SECURITY.md and the documents: name and text.
fn documents() -> Vec<(String, String)> {
    let docs = fs::read_dir(Path::new(ROOT).join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let all = docs.chain(["README.md", "SECURITY.md"].map(|name| Path::new(ROOT).join(name)));
    all.map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())).collect()
}

/// Returns the commands in the code of a document: lines of blocks, and code in sentences and tables.
fn commands_in(text: &str) -> Vec<String> {
    let (mut commands, mut in_block) = (Vec::new(), false);
    for event in Parser::new_ext(text, pulldown_cmark::Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_block = true,
            Event::End(TagEnd::CodeBlock) => in_block = false,
            Event::Text(text) if in_block => {
                commands.extend(text.replace("\\\n", " ").lines().map(|line| line.trim().to_owned()));
            }
            Event::Code(code) => commands.push(code.to_string()),
            _ => {}
        }
    }
    commands
}

/// Returns the arguments of a line that runs `keyfob`: without variables before it, and up to a redirection or the next command.
fn arguments(line: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quote) = (String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '<' | '>' | '|' | ';' | '&' | '…') => break,
            (None, ' ') => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            _ => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    let program = words.iter().position(|word| !is_assignment(word))?;
    let name = words[program].rsplit('/').next().unwrap();
    // The first word is the program's name for clap.
    (name == "keyfob").then(|| words.split_off(program))
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

/// Parses as the program does. Something that is missing is fine: the text may name a command alone.
fn check(command: &Command, arguments: &[String]) -> Result<(), String> {
    match command.clone().try_get_matches_from(arguments) {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::MissingRequiredArgument
            | ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Ok(()),
            _ => Err(format!("{}: {error}", arguments.join(" "))),
        },
    }
}

#[test]
fn documents_name_commands_and_flags_that_exist() {
    let command = Cli::command().mut_args(|arg| arg.env(None::<&'static str>));
    let (mut checked, mut wrong) = (0, Vec::new());
    for (file, text) in documents() {
        for arguments in commands_in(&text).iter().filter_map(|line| arguments(line)) {
            checked += 1;
            wrong.extend(check(&command, &arguments).err().map(|error| format!("{file}: {error}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 50, "{checked}");
}

#[test]
fn wrong_commands_are_found() {
    let command = Cli::command();
    let parsed = |line: &str| check(&command, &arguments(line).unwrap());
    for line in ["keyfob user lst", "keyfob key create --user E --nmae N", "keyfob backup a b", "./keyfob --bogus"] {
        assert!(parsed(line).is_err(), "{line}");
    }
    for line in ["A=b keyfob user create --email E --password-stdin < x", "keyfob key revoke \"a b\"", "keyfob user"] {
        assert!(parsed(line).is_ok(), "{line}");
    }
    assert_eq!(arguments("kf_1 keyfob"), None);
}

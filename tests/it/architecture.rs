//! Rules of the architecture that text search can check.

use std::path::Path;

use regex::Regex;

/// Returns each source file: its path below `src/`, and its text without tests and comments.
pub fn sources() -> Vec<(String, String)> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.push((name, without_tests_and_comments(&std::fs::read_to_string(path).unwrap())));
            }
        }
    }
    assert!(files.len() > 30, "{}", files.len());
    files
}

fn without_tests_and_comments(text: &str) -> String {
    // A file that begins with `#![cfg(test)]` is a test as a whole.
    let code = text.split("#[cfg(test)]").next().filter(|code| !code.starts_with("#![cfg(test)]")).unwrap_or_default();
    let line = |line: &str| if line.trim_start().starts_with("//") { String::new() } else { line.to_owned() };
    code.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the lines that match and are not allowed, as `path:line: text`.
fn lines(pattern: &str, allowed: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let pattern = Regex::new(pattern).unwrap();
    let mut found = Vec::new();
    for (path, text) in sources() {
        for (n, line) in text.lines().enumerate().filter(|(_, line)| pattern.is_match(line) && !allowed(&path, line)) {
            found.push(format!("src/{path}:{}: {}", n + 1, line.trim()));
        }
    }
    found
}

#[track_caller]
fn none(found: &[String]) {
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn under(path: &str, module: &str) -> bool {
    path == format!("{module}.rs") || path.starts_with(&format!("{module}/"))
}

/// Returns the server functions: path and name, attributes, and the lines of the body.
fn server_functions() -> Vec<(String, String, Vec<String>)> {
    let start = Regex::new(r"(?s)#\[server\(([^)]*)\)\]\s*pub async fn (\w+)\(.*?\{\n(.*?)\n\}").unwrap();
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut found = Vec::new();
    for (path, text) in sources() {
        let whole = std::fs::read_to_string(root.join(&path)).unwrap();
        let functions: Vec<_> = start.captures_iter(&whole).collect();
        assert_eq!(functions.len(), text.matches("#[server").count(), "src/{path}: a server function that is not seen");
        for function in functions {
            let body = function[3].lines().map(|line| line.trim().to_owned()).collect();
            found.push((format!("src/{path}: {}", &function[2]), function[1].to_owned(), body));
        }
    }
    assert!(found.len() >= 15, "{}", found.len());
    found
}

#[test]
fn layer_arrows_point_one_way() {
    // Layers, and what each may not name. Bodies of server functions may name the server, which another test checks.
    for (layer, forbidden) in [
        ("model", "server|pages|app|web|cli|ui"),
        ("ui", "server|pages|app|web|cli"),
        ("error", "server|pages|app|web|cli|ui"),
        ("server", "pages|app|web|cli|ui"),
        ("pages", "app|web|cli"),
        ("app", "server|web|cli"),
        ("web", "cli"),
    ] {
        let pattern = format!(r"\b(crate|keyfob)::\{{?({forbidden})\b");
        none(&lines(&pattern, |path, _| !under(path, layer)));
    }
    let relative = r"^\s*(pub )?use super::super::";
    none(&lines(relative, |path, _| !under(path, "pages") && !under(path, "ui")));
}

#[test]
fn pages_name_the_server_only_in_the_bodies_of_server_functions() {
    let named = lines(r"\bserver::", |path, line| !under(path, "pages") || line.contains("leptos::server"));
    let bodies: Vec<_> = server_functions().into_iter().flat_map(|(.., body)| body).collect();
    for line in &named {
        let text = line.split_once(": ").map(|(_, text)| text).unwrap();
        assert!(bodies.iter().any(|body| body == text), "{line}");
    }
    assert!(!named.is_empty());
}

/// Files outside `server/db` that still name a database driver.
const DRIVER_EXCEPTIONS: [&str; 6] = [
    "server/auth/login_throttle.rs",
    "server/maintenance/backup.rs",
    "server/teams/invitations.rs",
    "server/teams/members.rs",
    "server/teams/operator.rs",
    "server/users/mod.rs",
];

#[test]
fn drivers_are_named_in_the_database_layer_only() {
    none(&lines(r"\b(sqlx|rusqlite)::|\bsqlx\(", |path, line| {
        under(path, "server/db")
            || DRIVER_EXCEPTIONS.contains(&path)
            || (under(path, "model") && line.contains("cfg_attr(feature = \"ssr\""))
    }));
}

#[test]
fn sql_is_written_in_the_server_only() {
    none(&lines(r#""(SELECT|INSERT INTO|UPDATE|DELETE FROM) "#, |path, _| under(path, "server")));
}

#[test]
fn no_sql_is_built_by_format() {
    none(&lines(r#"format!\(\s*"(SELECT|INSERT|UPDATE|DELETE)|SELECT \*"#, |_, _| false));
}

#[test]
fn web_sys_only_in_ui() {
    none(&lines(r"\bweb_sys\b", |path, _| under(path, "ui")));
}

#[test]
fn cfg_gates_only_in_allowed_files() {
    none(&lines(r"cfg(_attr)?\(.*feature|cfg!\(", |path, line| {
        path == "lib.rs" || path == "error.rs" || (under(path, "model") && line.contains("cfg_attr(feature = \"ssr\""))
    }));
}

#[test]
fn server_function_begins_with_its_guard() {
    let guard = Regex::new(r"^let \(.*\) = crate::server::auth::\w+\([^)]*(\(\))?\)\.await\?;$").unwrap();
    for (name, _, body) in server_functions() {
        let first = &body[0];
        let public = first.starts_with("// public: ") && first.len() > "// public: ".len() + 10;
        assert!(guard.is_match(first) || public, "{name}: {first}");
    }
}

#[test]
fn server_function_redirects_after_success_only() {
    for (name, _, body) in server_functions() {
        let after = body.iter().skip_while(|line| !line.contains("redirect")).skip(1);
        let fallible: Vec<_> = after.filter(|line| line.contains(".await") || line.contains("?;")).collect();
        assert!(fallible.is_empty(), "{name}: {fallible:?} can fail after the redirect");
    }
}

#[test]
fn server_function_has_at_most_five_lines() {
    for (name, _, body) in server_functions() {
        let lines = body.iter().filter(|line| !line.starts_with("//")).count();
        assert!(lines <= 5, "{name}: {lines}");
    }
}

#[test]
fn server_functions_are_posts_named_by_their_path() {
    for (name, attributes, _) in server_functions() {
        let function = name.rsplit(' ').next().unwrap();
        // Functions for administrators have a prefix that answers 404 to everyone else.
        let prefix = if name.starts_with("src/pages/admin/") { "/admin/fn" } else { "/fn" };
        assert_eq!(attributes, format!("prefix = \"{prefix}\", endpoint = \"{function}\""), "{name}");
    }
    none(&lines(r"GetUrl|, input = ", |path, _| !under(path, "pages")));
}

#[test]
fn secrets_are_not_serialized_or_printed() {
    // The exceptions hold a new key, which is returned once.
    let whole = Regex::new(r"(?s)#\[derive\(([^)]*)\)\](?:\s*#\[[^\]]*\])*\s*pub struct (\w+)\s*\{(.*?)\n\}").unwrap();
    let secret = Regex::new(r"SecretString|\b(key|secret|password|token): String").unwrap();
    for (path, text) in sources() {
        for found in whole.captures_iter(&text) {
            let (derives, name, fields) = (&found[1], &found[2], &found[3]);
            if secret.is_match(fields) && !["NewKey", "RotatedBody"].contains(&name) {
                assert!(!derives.contains("Serialize"), "src/{path}: {name}");
            }
            if name == "NewKey" {
                assert!(!derives.contains("Debug"), "src/{path}: {name}");
            }
        }
    }
    none(&lines("expose_secret", |path, _| {
        [
            "server/auth/key_format.rs",
            "server/auth/password.rs",
            "server/auth/sessions.rs",
            "server/keys/mod.rs",
            "server/keys/rotation.rs",
            "server/users/resets.rs",
            "web/reset_password.rs",
            "cli/seed.rs",
            "cli/users.rs",
        ]
        .contains(&path)
    }));
}

#[test]
fn time_and_randomness_come_from_one_place_each() {
    none(&lines(r"SystemTime::|Instant::now|OffsetDateTime::now", |path, _| path == "server/clock.rs"));
    none(&lines(r"\brand::|SysRng|Uuid::new|getrandom", |path, _| path == "server/auth/random.rs"));
}

#[test]
fn owned_tables_are_filtered_by_owner() {
    let statement = Regex::new(r#"(?s)"((?:SELECT|UPDATE|DELETE) (?:[^"\\]|\\.)*)""#).unwrap();
    let continued = Regex::new(r"\\\n\s*").unwrap();
    let owned = Regex::new(r"\b(FROM|UPDATE|JOIN) (keys|sessions|employees)\b").unwrap();
    let mut seen = 0;
    for (path, text) in sources() {
        for found in statement.captures_iter(&text) {
            let sql = continued.replace_all(&found[1], "").into_owned();
            if !owned.is_match(&sql) {
                continue;
            }
            seen += 1;
            // Lookups by digest, which find the owner; the commands of the operator; the session of the request; usage
            // counters of accepted keys; administrators, who name the owner afterwards.
            let excepted = [
                "digest = $1",
                "prefix = $1 OR id = $1",
                "SET seen_at = $2 WHERE id = $1",
                "SET used_at = usage.used_at",
                "SET old_used_at = used.column2",
                "SELECT user_id FROM keys WHERE id = $1",
                "SELECT user_id, expires_at, revoked_at, prefix FROM keys WHERE id = $1",
                // What a removal of a registered API affects, for superusers.
                "FROM (SELECT id FROM keys WHERE api_id = $1",
                "JOIN keys k ON k.id = named.id",
            ];
            let fits = ["user_id = $", "owner_id = $", "team_id = $"].iter().any(|text| sql.contains(text))
                || excepted.iter().any(|text| sql.contains(text))
                // A part of `page_of!`, which appends the column of the owner.
                || (path == "server/keys/lists.rs" && sql.ends_with(" WHERE "));
            assert!(fits, "src/{path}: {sql}");
        }
    }
    assert!(seen >= 12, "{seen}");
}

#[test]
fn secret_is_found_by_digest_and_never_compared() {
    // A rotation compares two digests, for a caller that one of them has authenticated.
    let compared =
        r"(digest|secret|hash|password)\w*(\(\))?(\.\w+\(\))* [!=]= |[!=]= [&*]?[\w.]*(digest|secret|hash|password)";
    let found = lines(compared, |path, line| path == "server/keys/rotation.rs" || line.contains(".len()"));
    none(&found);
    let migrations = ["0001_users.sql", "0002_keys.sql", "0005_key_life.sql", "0017_account_lifecycle.sql"];
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"));
    let text: String = migrations.map(|name| std::fs::read_to_string(folder.join(name)).unwrap()).concat();
    for index in [
        "sessions_digest ON sessions (digest)",
        "keys_digest ON keys (digest)",
        "keys_old_digest ON keys (old_digest)",
        "password_resets_digest ON password_resets (digest)",
    ] {
        assert!(text.contains(&format!("CREATE UNIQUE INDEX {index}")), "{index}");
    }
}

#[test]
fn nothing_unwraps_outside_tests() {
    none(&lines(r"\.unwrap\(\)|\btodo!|\bunimplemented!|\bdbg!", |_, _| false));
    let expects = lines(r"\.expect\(", |_, _| false);
    assert!(expects.len() <= 1, "one proven constant, the randomness: {expects:#?}");
}

#[test]
fn asvs_table_names_existing_files_and_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("docs/asvs.md")).unwrap();
    let file = Regex::new(r"`((?:src|tests|end2end)/[\w./]+|deny\.toml|Cargo\.toml)`").unwrap();
    for found in file.captures_iter(&table) {
        assert!(root.join(&found[1]).exists(), "{}", &found[1]);
    }
    let spec = Regex::new(r"`(\w+\.spec\.ts)`").unwrap();
    for found in spec.captures_iter(&table) {
        assert!(root.join("end2end/tests").join(&found[1]).exists(), "{}", &found[1]);
    }
    let test = Regex::new(r"`([\w./]+)::(\w+)`").unwrap();
    let mut seen = 0;
    for found in test.captures_iter(&table) {
        let (place, name) = (&found[1], &found[2]);
        let suites = ["it", "cluster", "faults"].map(|suite| format!("tests/{suite}/{place}.rs"));
        let candidates = suites.into_iter().chain([place.to_owned()]);
        let mut texts = candidates.filter_map(|path| std::fs::read_to_string(root.join(path)).ok());
        assert!(texts.any(|text| text.contains(&format!("fn {name}("))), "no {name} in {place}");
        seen += 1;
    }
    assert!(seen > 80, "{seen}");
}

#[test]
fn log_reference_lists_exactly_the_log_lines() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/log-reference.md")).unwrap();
    let row = Regex::new(r"(?m)^\| (error|warn|info) \| ([^|]+) \|").unwrap();
    let mut explained: Vec<_> = row.captures_iter(&page).map(|row| (row[1].to_owned(), row[2].to_owned())).collect();
    let call = Regex::new(r#"(?s)tracing::(error|warn|info)!\([^;]*?"([^"]+)"[^;"]*\)"#).unwrap();
    let any = Regex::new("tracing::(error|warn|info)!").unwrap();
    let value = Regex::new(r"\\\{\w*\\\}").unwrap();
    let mut written = 0;
    for (path, text) in sources() {
        assert_eq!(call.find_iter(&text).count(), any.find_iter(&text).count(), "src/{path}: a line that is not seen");
        for found in call.captures_iter(&text) {
            let line = Regex::new(&format!("^{}$", value.replace_all(&regex::escape(&found[2]), ".+"))).unwrap();
            assert!(
                row.captures_iter(&page).any(|row| row[1] == found[1] && line.is_match(&row[2])),
                "src/{path}: docs/log-reference.md does not explain, as {}: {}",
                &found[1],
                &found[2]
            );
            explained.retain(|(level, explained)| *level != found[1] || !line.is_match(explained));
            written += 1;
        }
    }
    assert!(written > 10, "{written}");
    assert!(explained.is_empty(), "nothing writes {explained:?}");
}

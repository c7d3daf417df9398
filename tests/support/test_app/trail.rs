//! The trail of a test run: with `KEYFOB_TRAIL` set to a folder, everything that is logged (at trace, by all crates), answered,
//! printed by the program and stored in a database is written there, and beside it every secret that was made.
//! `scripts/leaks.sh` runs all tests so, and then looks for the secrets in all the rest.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use keyfob::server::auth::key_format::PresentedKey;
use keyfob::server::db::Db;
use keyfob::server::state::AppState;
use regex::Regex;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use super::query_counter::Counter;

static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os("KEYFOB_TRAIL").map(PathBuf::from));
static SECRETS: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
static KEY: LazyLock<Regex> = LazyLock::new(|| Regex::new("[a-z]{2,8}_[0-9A-Za-z]{8}_([0-9A-Za-z]{38})").unwrap());

/// Whether this run leaves one.
pub fn is_left() -> bool {
    FOLDER.is_some()
}

fn file(name: &str) -> Option<File> {
    let folder = FOLDER.as_ref()?;
    Some(OpenOptions::new().create(true).append(true).open(folder.join(name)).unwrap())
}

/// Listens to the log of this process: counts queries, and leaves the trail.
pub fn listen() {
    static LISTENING: LazyLock<()> = LazyLock::new(|| {
        let text = file("log.txt").map(|file| fmt::layer().with_ansi(false).with_writer(Arc::new(file)));
        let json = file("log.json").map(|file| fmt::layer().json().with_writer(Arc::new(file)));
        Registry::default().with(Counter).with(text.map(Layer::boxed)).with(json.map(Layer::boxed)).init();
        if is_left() {
            let print = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                write("panics", &panic.to_string());
                print(panic);
            }));
        }
    });
    LazyLock::force(&LISTENING);
}

/// Leaves what was written somewhere.
pub fn write(place: &str, text: &str) {
    write_bytes(place, text.as_bytes());
}

fn write_bytes(place: &str, bytes: &[u8]) {
    if let Some(mut file) = file(place) {
        file.write_all(&[bytes, b"\n"].concat()).unwrap();
    }
}

/// Whether a password is none that others may write for something else, such as a word or an email address.
pub fn is_telling(password: &str) -> bool {
    password.len() >= 15 && !password.contains('@')
}

/// Notes a password or the secret of a session, as it is and as forms have it.
pub fn secret(secret: &str) {
    if !is_left() || !SECRETS.lock().unwrap().insert(secret.to_owned()) {
        return;
    }
    let encoded = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>();
    for form in [secret, &encoded, &encoded.replace('+', "%20")] {
        write("secrets", form);
    }
}

/// Notes every key in a text; what follows the public prefix is the secret of one.
pub fn keys(text: &str) {
    if is_left() {
        let keys = KEY.captures_iter(text).filter(|key| PresentedKey::parse(key[0].as_bytes()).is_some());
        keys.for_each(|key| secret(&key[1]));
    }
}

/// Writes the rows of a test's database to the trail, over a connection of its own.
pub async fn database(state: &AppState, url: &str) {
    if !is_left() {
        return;
    }
    // A test may have broken its database on purpose, or the keys that were used.
    let Ok(db) = Db::open(url).await else { return };
    if db.ready().await.is_ok() {
        let _ = state.usage.flush(&db, state.now()).await;
        write("rows", &super::databases::rows(&db).await.join("\n"));
    }
    db.close().await;
}

/// Leaves the bytes of all files of a folder, such as a database and its write-ahead log.
pub fn folder(folder: &Path) {
    if !is_left() {
        return;
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match std::fs::read(&path) {
            Ok(bytes) => write_bytes("files", &bytes),
            Err(_) if path.is_dir() => self::folder(&path),
            Err(_) => {}
        }
    }
}

//! Two servers on one SQLite file.

use std::process::{Command, Output};
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::support::free_address::free_address;
use crate::support::key_client::use_key;
use crate::support::machines::{KEYFOB, Machine, keyfob};
use crate::support::outcome::report;
use crate::support::scene::Scene;
use crate::support::serial::alone;

#[tokio::test]
async fn second_server_on_a_file_ends_and_commands_still_work() {
    let _alone = alone().await;
    let scene = Scene::set(2).await;
    let mut first = Machine::start(&scene.url).await;
    let link = scene.folder.path().join("link.db");
    std::os::unix::fs::symlink(scene.file(), &link).unwrap();
    for url in [scene.url.clone(), format!("sqlite://{}", link.display())] {
        let Output { status, stdout, stderr } = serve(url).await;
        let said = String::from_utf8(stderr).unwrap();
        assert_eq!((status.code(), stdout.len(), said.lines().count()), (Some(1), 0, 1), "{said}");
        assert!(said.contains("another keyfob serve"), "{said}");
    }
    let email = keyfob(&scene.url, "user list").await.split('\t').next().unwrap().to_owned();
    keyfob(&scene.url, &format!("key create --user {email} --name beside")).await;
    keyfob(&scene.url, &format!("key revoke {}", &scene.keys[1][..11])).await;
    keyfob(&scene.url, &format!("backup {}", scene.folder.path().join("copy.db").display())).await;
    use_key(first.addr, &scene.keys[0]).await;

    // The lock ends with the process, however that ends.
    first.kill();
    let next = Machine::start(&scene.url).await;
    use_key(next.addr, &scene.keys[0]).await;
    report("a second server on one SQLite file", "ends with 1 and one line; other commands work beside the first");
}

async fn serve(url: String) -> Output {
    let mut command = Command::new(KEYFOB);
    command.args(["serve", &format!("--addr={}", free_address())]).env_clear().env("DATABASE_URL", url);
    let ended = spawn_blocking(move || command.output().unwrap());
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it goes on").unwrap()
}

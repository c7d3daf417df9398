//! Proxies that run the recipes of `docs/forward-auth.md`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::support::free_address::free_address;

const DOCUMENT: &str = include_str!("../../docs/forward-auth.md");
/// How long a proxy may take until it listens.
const READY: Duration = Duration::from_secs(10);

/// Program with a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Nginx,
    Caddy,
    HaProxy,
}

/// A running proxy. It ends when this is dropped.
pub struct RecipeProxy {
    pub addr: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl RecipeProxy {
    /// Starts a proxy with the text of the document, in which only the addresses and the path of the Lua file differ.
    pub async fn start(program: Program, keyfob: SocketAddr, api: SocketAddr) -> Self {
        Self::start_with(program, keyfob, api, str::to_owned).await
    }

    /// Starts a proxy with a change to the configuration.
    pub async fn start_with(
        program: Program,
        keyfob: SocketAddr,
        api: SocketAddr,
        change: impl FnOnce(&str) -> String,
    ) -> Self {
        let (addr, folder) = (free_address(), tempfile::tempdir().unwrap());
        let lua = folder.path().join("keyfob.lua");
        let place = |text: &str| {
            text.replace("127.0.0.1:8000", &keyfob.to_string())
                .replace("127.0.0.1:9000", &api.to_string())
                .replace("127.0.0.1:8080", &addr.to_string())
                .replace("/etc/haproxy/keyfob.lua", lua.to_str().unwrap())
        };
        let config = place(&change(&code_block(program.language())));
        std::fs::write(folder.path().join("config"), config).unwrap();
        std::fs::write(&lua, code_block("lua")).unwrap();
        std::fs::write(folder.path().join("nginx.conf"), NGINX_AROUND).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = program.command(folder.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        let mut proxy = Self { addr, child, folder };
        proxy.wait_until_ready().await;
        proxy
    }

    async fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + READY;
        while TcpStream::connect(self.addr).await.is_err() {
            let has_ended = self.child.try_wait().unwrap().is_some();
            assert!(!has_ended && Instant::now() < deadline, "the proxy does not listen");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for RecipeProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!(
                "The log of the proxy:\n{}",
                std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
            );
        }
    }
}

/// One process without a master, so that killing it leaves nothing behind; all that it writes is below its prefix.
const NGINX_AROUND: &str = "daemon off; master_process off; pid nginx.pid; error_log stderr warn;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path temp_body; proxy_temp_path temp_proxy; fastcgi_temp_path temp_fastcgi;
    uwsgi_temp_path temp_uwsgi; scgi_temp_path temp_scgi;
    include config;
}
";

impl Program {
    const fn language(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::HaProxy => "haproxy",
        }
    }

    fn command(self, folder: &Path) -> Command {
        let mut command = Command::new(find_program(self.language()));
        match self {
            Self::Nginx => command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "stderr"]),
            Self::Caddy => command.args(["run", "--adapter", "caddyfile", "--config"]).arg(folder.join("config")),
            Self::HaProxy => command.arg("-db").arg("-f").arg(folder.join("config")),
        };
        // Caddy keeps its state there.
        command.env("HOME", folder).env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME");
        command
    }
}

/// Debian keeps some of them off an ordinary user's PATH.
fn find_program(name: &str) -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("These tests need {name}: install it (Debian: {name}), or run `make test`."))
}

/// Returns the code block of this language in the document.
fn code_block(language: &str) -> String {
    let begin = format!("\n```{language}\n");
    let mut blocks = DOCUMENT.split(&begin).skip(1).map(|rest| rest.split("\n```").next().unwrap());
    let block = blocks.next().unwrap_or_else(|| panic!("the document has no block of {language}"));
    assert!(blocks.next().is_none(), "the document has two blocks of {language}");
    format!("{block}\n")
}

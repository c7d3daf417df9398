//! Test bed: databases, processor cores, and the servers that run on them.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::connection::{header, request};
use crate::data::{Data, EMAIL, PASSWORD, Store};
use crate::load::{Asks, Figures, Load, MEASURED, WARM_UP};
use crate::machine::Cores;
use crate::servers::Server;
use crate::{KEYFOB, SITE};

/// Databases, and the cores if they could be assigned.
pub struct Lab {
    pub data: Data,
    pub cores: Option<Cores>,
}

/// One measurement.
#[derive(Clone)]
pub struct Row {
    pub name: String,
    pub connections: usize,
    pub figures: Figures,
}

impl Row {
    /// Returns the requests per second as a fraction of another row's.
    pub fn of(&self, limit: &Self) -> f64 {
        self.figures.per_second / limit.figures.per_second
    }
}

impl Lab {
    /// Starts this program as a baseline server; see `baselines::serve`.
    pub fn baseline(&self, store: &Store, name: &str, args: &[&str]) -> io::Result<Server> {
        let program = std::env::current_exe()?.display().to_string();
        let command = |addr: SocketAddr| {
            let fixed = [program, "--server".to_owned(), name.to_owned(), addr.to_string()];
            fixed.into_iter().chain(args.iter().map(|&arg| arg.to_owned())).collect()
        };
        self.start(store, self.cores.as_ref().map(|cores| &*cores.server), command)
    }

    /// Starts the program under test.
    pub fn keyfob(&self, store: &Store) -> io::Result<Server> {
        self.start(store, self.cores.as_ref().map(|cores| &*cores.server), serve)
    }

    /// Starts the program under test on all cores, as in production, with a thread per core.
    pub fn keyfob_on_all_cores(&self, store: &Store) -> io::Result<Server> {
        self.start(store, self.cores.as_ref().map(|cores| &*cores.all), serve)
    }

    fn start(
        &self,
        store: &Store,
        cores: Option<&str>,
        command: impl FnOnce(SocketAddr) -> Vec<String>,
    ) -> io::Result<Server> {
        let env = [("DATABASE_URL", &*store.url), ("LEPTOS_SITE_ROOT", SITE)];
        Server::start(cores, self.data.folder.path(), command, &env)
    }

    /// Measures one row, with the load spread over the servers. Also returns the first answer.
    pub async fn row(&self, name: &str, servers: &mut [Server], load: Load) -> io::Result<(Row, String)> {
        let (mut first, mut answer) = (Vec::new(), String::new());
        load.asks.next(&mut first);
        for server in &mut *servers {
            answer = server.first_answer(&first, 200).await?;
        }
        eprintln!("Measuring for {} s: {name}", (WARM_UP + MEASURED).as_secs());
        let to: Vec<_> = servers.iter().map(|server| server.addr).collect();
        let time_used = || servers.iter().map(Server::time_used).sum::<Option<Duration>>();
        let figures = load.run(&to, time_used).await?;
        Ok((Row { name: name.to_owned(), connections: load.connections, figures }, answer))
    }
}

fn serve(addr: SocketAddr) -> Vec<String> {
    vec![KEYFOB.to_owned(), "serve".to_owned(), format!("--addr={addr}")]
}

/// Returns an endless supply of one GET request.
pub fn asks(path: &str, headers: &[&str]) -> Asks {
    request(&format!("GET {path}"), headers, "").into()
}

/// Signs in with the form, and returns the cookie.
pub async fn sign_in(server: &mut Server) -> io::Result<String> {
    let form = format!("email={}&password={PASSWORD}", EMAIL.replace('@', "%40"));
    let headers = ["Content-Type: application/x-www-form-urlencoded", "Accept: text/html"];
    let answer = server.first_answer(&request("POST /fn/sign_in", &headers, &form), 302).await?;
    let cookie = header(&answer, "set-cookie").and_then(|cookie| cookie.split(';').next());
    cookie.map(str::to_owned).ok_or_else(|| io::Error::other(format!("signing in set no cookie: {answer}")))
}

//! Where things are measured: the databases, the cores, and what starts on them.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::connection::{header, request};
use crate::data::{Data, EMAIL, PASSWORD, Store};
use crate::load::{Asks, Figures, Load, MEASURED, WARM_UP};
use crate::machine::Cores;
use crate::servers::Server;
use crate::{KEYFOB, SITE};

/// The databases, and the cores if they could be kept apart.
pub struct Lab {
    pub data: Data,
    pub cores: Option<Cores>,
}

/// What was measured.
#[derive(Clone)]
pub struct Row {
    pub name: String,
    pub connections: usize,
    pub figures: Figures,
}

impl Row {
    /// The requests in a second as a part of another row's.
    pub fn of(&self, limit: &Self) -> f64 {
        self.figures.per_second / limit.figures.per_second
    }
}

impl Lab {
    /// This program again, as a server: see `baselines::serve`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn baseline(&self, store: &Store, name: &str, args: &[&str]) -> io::Result<Server> {
        let program = std::env::current_exe()?.display().to_string();
        let command = |addr: SocketAddr| {
            let fixed = [program, "--server".to_owned(), name.to_owned(), addr.to_string()];
            fixed.into_iter().chain(args.iter().map(|&arg| arg.to_owned())).collect()
        };
        self.start(store, self.cores.as_ref().map(|cores| &*cores.server), command)
    }

    /// The program under test.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn keyfob(&self, store: &Store) -> io::Result<Server> {
        self.start(store, self.cores.as_ref().map(|cores| &*cores.server), serve)
    }

    /// The same on every core, as it runs where people use it: it makes a thread for each.
    ///
    /// # Errors
    /// If it cannot be started.
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

    /// Measures one row, with the load spread over the servers. Gives the first answer, too.
    ///
    /// # Errors
    /// If one does not start, or an answer is wrong.
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

/// Asks for a path again and again.
pub fn asks(path: &str, headers: &[&str]) -> Asks {
    request(&format!("GET {path}"), headers, "").into()
}

/// Signs in as the form does; gives the cookie.
///
/// # Errors
/// If the server does not take it.
pub async fn sign_in(server: &mut Server) -> io::Result<String> {
    let form = format!("email={}&password={PASSWORD}", EMAIL.replace('@', "%40"));
    let headers = ["Content-Type: application/x-www-form-urlencoded", "Accept: text/html"];
    let answer = server.first_answer(&request("POST /fn/sign_in", &headers, &form), 302).await?;
    let cookie = header(&answer, "set-cookie").and_then(|cookie| cookie.split(';').next());
    cookie.map(str::to_owned).ok_or_else(|| io::Error::other(format!("signing in set no cookie: {answer}")))
}

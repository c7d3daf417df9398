//! `make bench COMPARE=http://127.0.0.1:9000/path`: puts another server on this machine under the same load.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use url::{Host, Position, Url};

use crate::connection::request_to;
use crate::lab::{Lab, Row};
use crate::report::{Group, Report};
use crate::rows::api;
use crate::servers::ask_once;

/// Other server and the request for it.
pub struct Other {
    name: String,
    addr: SocketAddr,
    request: Vec<u8>,
}

impl Other {
    /// Parses `--compare URL`, and a header from `COMPARE_HEADER`.
    pub fn from_args(args: &[String]) -> io::Result<Option<Self>> {
        let mut args = args.iter().skip_while(|arg| *arg != "--compare").skip(1);
        let Some(raw) = args.next() else { return Ok(None) };
        let wrong = |why: &str| Err(io::Error::other(format!("cannot compare with {raw}: {why}")));
        let Ok(url) = Url::parse(raw) else { return wrong("use a URL such as http://127.0.0.1:9000/path") };
        let ip = match url.host() {
            _ if url.scheme() != "http" => return wrong("only http is supported"),
            Some(Host::Domain("localhost")) => IpAddr::from(Ipv4Addr::LOCALHOST),
            Some(Host::Ipv4(ip)) if ip.is_loopback() => ip.into(),
            Some(Host::Ipv6(ip)) if ip.is_loopback() => ip.into(),
            _ => {
                return wrong("only servers on this machine are allowed: the host must be 127.0.0.1, ::1 or localhost");
            }
        };
        let header = std::env::var("COMPARE_HEADER").unwrap_or_default();
        if !header.is_empty() && (!header.contains(": ") || header.contains(char::is_control)) {
            return wrong("COMPARE_HEADER must be one header, such as Authorization: Api-Key x");
        }
        let headers: Vec<_> = Some(&*header).filter(|header| !header.is_empty()).into_iter().collect();
        let path = &url[Position::BeforePath..Position::AfterQuery];
        let host = &url[Position::BeforeHost..Position::AfterPort];
        Ok(Some(Self {
            name: raw.clone(),
            addr: SocketAddr::new(ip, url.port_or_known_default().unwrap_or(80)),
            request: request_to(host, &format!("GET {path}"), &headers, ""),
        }))
    }

    /// Sends one request, to find errors before the measurements begin.
    pub async fn check(&self) -> io::Result<()> {
        let why = match ask_once(self.addr, &self.request).await {
            Ok((200, _)) => return Ok(()),
            Ok((status, _)) => format!("it answered {status}, not 200"),
            Err(error) => error.to_string(),
        };
        Err(io::Error::other(format!("cannot compare with {}: {why}", self.name)))
    }

    /// Measures the server next to our list with a key.
    pub async fn measure(self, lab: &Lab, wire: &Row, ours: &Row, report: &mut Report) -> io::Result<()> {
        let load = api(self.request.into(), "");
        eprintln!("Measuring {}", self.name);
        // Its processor time is unknown, because we did not start it.
        let figures = load.run(&[self.addr], || None).await?;
        let other = Row { name: self.name, connections: load.connections, figures };
        let mut group = Group::new("Compared with keyfob on SQLite".to_owned(), "keyfob");
        group.line(ours, wire, Some(ours.of(ours)));
        group.line(&other, wire, Some(other.of(ours)));
        report.groups.push(group);
        let pin = lab
            .cores
            .as_ref()
            .map(|cores| format!(" For a fair comparison, start it with `taskset -c {}`.", cores.server));
        let note = "The other server was not moved to the server's core.";
        report.notes.push(note.to_owned() + &pin.unwrap_or_default());
        Ok(())
    }
}

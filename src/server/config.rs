//! Settings: each a flag and an environment variable, checked once at the start.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use axum::http::HeaderName;
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use url::{Host, Url};

/// How `keyfob serve` shall run.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Where to listen
    #[arg(long, env = "KEYFOB_ADDR", default_value = "127.0.0.1:8000")]
    pub addr: SocketAddr,

    /// The address that people type: decides cookie name and Secure, HSTS, and the trusted origin
    #[arg(long, env = "KEYFOB_PUBLIC_URL", default_value = "http://localhost:8000", value_parser = public_url)]
    pub public_url: Url,

    /// Serve plain http on a host that is not loopback: passwords and keys then travel in the clear
    #[arg(long, env = "KEYFOB_ALLOW_INSECURE_HTTP", default_value_t = false, action = clap::ArgAction::Set)]
    pub allow_insecure_http: bool,

    /// Who may make an account
    #[arg(long, env = "KEYFOB_SIGNUP", default_value = "open")]
    pub signup: Signup,

    /// One more header that may carry a key
    #[arg(long, env = "KEYFOB_API_KEY_HEADER", value_parser = key_header)]
    pub api_key_header: Option<HeaderName>,

    /// Requests a minute that a key may make, 0 for no limit; an administrator can give a key its own
    #[arg(long, env = "KEYFOB_KEY_RATE", default_value_t = 0)]
    pub key_rate: u32,

    /// Sign-ins a minute that may fail from one address, and sign-ups an hour; 0 for no limit
    #[arg(long, env = "KEYFOB_SIGN_IN_RATE", default_value_t = 10)]
    pub sign_in_rate: u32,

    /// Networks of proxies whose X-Forwarded-For counts, with commas between them: 10.0.0.0/8,192.0.2.7
    #[arg(long, env = "KEYFOB_TRUSTED_PROXIES", value_delimiter = ',', value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,

    /// Whom to tell of a weakness, an email address or a page, for /.well-known/security.txt
    #[arg(long, env = "KEYFOB_SECURITY_CONTACT", value_parser = contact)]
    pub security_contact: Option<Url>,

    /// How many employees a user or a team may have
    #[arg(long, env = "KEYFOB_MAX_EMPLOYEES", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_employees: u32,

    /// What keys are made like
    #[command(flatten)]
    pub keys: KeyConfig,

    /// Which log lines to write: error, warn, info, debug, trace, or per module as `tracing-subscriber` reads it
    #[arg(long, env = "KEYFOB_LOG", default_value = "info")]
    pub log: String,

    /// How to write them
    #[arg(long, env = "KEYFOB_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// The folder with the browser's files, as cargo-leptos writes it
    #[arg(long, env = "LEPTOS_SITE_ROOT", default_value = "target/site", hide = true)]
    pub site_root: PathBuf,

    /// Set by cargo-leptos where it watches the sources: pages then reload by themselves
    #[arg(long, env = "LEPTOS_WATCH", hide = true)]
    pub watch: Option<String>,
}

/// What new keys are made like; for the server and the command line alike.
#[derive(Args, Clone, Debug)]
pub struct KeyConfig {
    /// First part of new keys, 2 to 8 lower-case letters; older keys keep working
    #[arg(long, env = "KEYFOB_KEY_BRAND", default_value = "kf", value_parser = brand)]
    pub key_brand: String,

    /// How many live keys a user may have
    #[arg(long, env = "KEYFOB_MAX_KEYS_PER_USER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_keys_per_user: u32,
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Signup {
    /// Anyone, on the page.
    Open,
    /// Only the command line or an administrator.
    Closed,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs, one object a line.
    Json,
}

impl Config {
    /// Checks what no single setting can tell alone.
    ///
    /// # Errors
    /// One line that names the variable and the fix.
    pub fn check(&self) -> Result<(), String> {
        if self.https() || is_loopback(&self.public_url) || self.allow_insecure_http {
            return Ok(());
        }
        Err(format!(
            "KEYFOB_PUBLIC_URL is {}: without https, passwords and keys travel in the clear. Use https://, or set \
             KEYFOB_ALLOW_INSECURE_HTTP=true if you accept that.",
            self.origin()
        ))
    }

    /// Whether people reach the server by https.
    #[must_use]
    pub fn https(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    /// The public address without a path, as a browser sends it in `Origin`: `http://localhost:8000`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.public_url.origin().ascii_serialization()
    }
}

fn public_url(raw: &str) -> Result<Url, String> {
    let url = Url::parse(raw).map_err(|error| format!("{error}: give it as https://keys.example.com"))?;
    let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match url.scheme() {
        "http" | "https" if plain && url.has_host() => Ok(url),
        _ => Err("give it as https://keys.example.com, without a path".to_owned()),
    }
}

/// Whether an address is of the machine itself.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn key_header(raw: &str) -> Result<HeaderName, String> {
    let name: HeaderName = raw.parse().map_err(|_| "give the name of a header, such as X-Company-Key".to_owned())?;
    if ["authorization", "cookie", "host", "content-type", "content-length"].contains(&name.as_str()) {
        return Err("this header has another meaning: give one of your own, such as X-Company-Key".to_owned());
    }
    Ok(name)
}

fn network(raw: &str) -> Result<IpNet, String> {
    let (raw, wrong) = (raw.trim(), "give networks such as 10.0.0.0/8, or addresses");
    raw.parse().or_else(|_| raw.parse::<IpAddr>().map(IpNet::from)).map_err(|_| wrong.to_owned())
}

fn contact(raw: &str) -> Result<Url, String> {
    let url = Url::parse(raw).or_else(|_| Url::parse(&format!("mailto:{raw}")));
    let wrong = "give it as security@example.com or https://example.com/security";
    let fits = |url: &Url| match url.scheme() {
        "mailto" => url.path().split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()),
        scheme => scheme == "https",
    };
    url.ok().filter(fits).ok_or_else(|| wrong.to_owned())
}

fn brand(raw: &str) -> Result<String, String> {
    let fits = (2..=8).contains(&raw.len()) && raw.bytes().all(|b| b.is_ascii_lowercase());
    if fits { Ok(raw.to_owned()) } else { Err("use 2 to 8 lower-case letters, such as kf".to_owned()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The settings as they are where only this one is set.
    pub fn config(url: &str) -> Result<Config, String> {
        Ok(Config {
            addr: ([127, 0, 0, 1], 0).into(),
            public_url: public_url(url)?,
            allow_insecure_http: false,
            signup: Signup::Open,
            api_key_header: None,
            key_rate: 0,
            sign_in_rate: 10,
            trusted_proxies: Vec::new(),
            security_contact: None,
            max_employees: 100_000,
            keys: KeyConfig { key_brand: "kf".into(), max_keys_per_user: 50 },
            log: "info".into(),
            log_format: LogFormat::Text,
            site_root: PathBuf::new(),
            watch: None,
        })
    }

    fn check(url: &str) -> Result<(), String> {
        config(url)?.check()
    }

    #[test]
    fn plain_http_is_refused_on_a_host_that_is_not_loopback() {
        for url in
            ["http://localhost:8000", "http://127.0.0.1", "http://[::1]:1", "http://a.localhost", "https://a.example"]
        {
            assert!(check(url).is_ok(), "{url}");
        }
        for url in ["http://a.example", "http://10.0.0.1:8000", "http://localhost.example"] {
            assert!(check(url).unwrap_err().contains("KEYFOB_ALLOW_INSECURE_HTTP"), "{url}");
        }
    }

    #[test]
    fn a_public_url_is_an_origin() {
        for url in ["", "localhost", "ftp://a", "https://a/b", "https://a?b", "https://u@a", "mailto:a@b"] {
            assert!(public_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_contact_is_an_email_address_or_a_page() {
        for (raw, uri) in [
            ("security@example.com", "mailto:security@example.com"),
            ("mailto:security@example.com", "mailto:security@example.com"),
            ("https://example.com/security", "https://example.com/security"),
        ] {
            assert_eq!(contact(raw).unwrap().as_str(), uri);
        }
        for raw in ["", "security", "@example.com", "security@", "http://example.com", "javascript:alert(1)"] {
            assert!(contact(raw).is_err(), "{raw}");
        }
        assert!(!contact("security@example.com\nPolicy: x").unwrap().as_str().contains('\n'));
    }

    #[test]
    fn a_brand_is_2_to_8_lower_case_letters() {
        assert!(brand("kf").is_ok());
        for raw in ["k", "abcdefghi", "KF", "k_", "k1", ""] {
            assert!(brand(raw).is_err(), "{raw}");
        }
    }
}

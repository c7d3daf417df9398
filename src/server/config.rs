//! Settings. Each is a flag and an environment variable, checked once at the start.

mod cors;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use axum::http::HeaderName;
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use url::{Host, Url};

pub use self::cors::{CorsOrigins, parse as parse_cors_origins};
use super::report_signature::ScanningKeys;
use crate::model::own_link::OwnLink;
use crate::otlp::Exporter;

/// Settings of `keyfob serve`.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Address to listen on
    #[arg(long, env = "KEYFOB_ADDR", default_value = "127.0.0.1:8000")]
    pub addr: SocketAddr,

    /// Address of a second listener that serves /metrics for Prometheus, without authentication: 127.0.0.1:9464
    #[arg(long, env = "KEYFOB_METRICS_ADDR", value_parser = metrics_addr)]
    pub metrics_addr: Option<SocketAddr>,

    /// Address that people type; decides the cookie's name and Secure flag, HSTS and the trusted origin
    #[arg(long, env = "KEYFOB_PUBLIC_URL", default_value = "http://localhost:8000", value_parser = public_url)]
    pub public_url: Url,

    /// Allow plain http on a public host; passwords and keys are then sent unencrypted
    #[arg(long, env = "KEYFOB_ALLOW_INSECURE_HTTP", default_value_t = false, action = clap::ArgAction::Set)]
    pub allow_insecure_http: bool,

    /// Who can create an account: anyone, or only administrators
    #[arg(long, env = "KEYFOB_SIGNUP", default_value = "open")]
    pub signup: Signup,

    /// Additional request header that can carry a key
    #[arg(long, env = "KEYFOB_API_KEY_HEADER", value_parser = key_header)]
    pub api_key_header: Option<HeaderName>,

    /// Requests per minute and key, 0 for no limit; administrators can set a limit per key
    #[arg(long, env = "KEYFOB_KEY_RATE", default_value_t = 0)]
    pub key_rate: u32,

    /// Failed sign-ins and wrong reset links per minute and address, sign-ups and changes of email address per hour; 0 for no limit
    #[arg(long, env = "KEYFOB_SIGN_IN_RATE", default_value_t = 10)]
    pub sign_in_rate: u32,

    /// Networks of proxies whose X-Forwarded-For and X-Forwarded-Method are trusted, separated by commas: 10.0.0.0/8,192.0.2.7
    #[arg(long, env = "KEYFOB_TRUSTED_PROXIES", value_delimiter = ',', value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,

    /// Origins of browser apps that may call the JSON API with a key, separated by commas, or * for any; never with cookies
    #[arg(long, env = "KEYFOB_CORS_ORIGINS", value_parser = parse_cors_origins)]
    pub cors_origins: Option<CorsOrigins>,

    /// Contact for security reports in /.well-known/security.txt, an email address or a page
    #[arg(long, env = "KEYFOB_SECURITY_CONTACT", value_parser = contact)]
    pub security_contact: Option<Url>,

    /// File with GitHub's public keys, in GitHub's JSON form; checks the signatures of reports of leaked keys
    #[arg(long, env = "KEYFOB_SECRET_SCANNING_KEYS", value_parser = ScanningKeys::read)]
    pub secret_scanning_keys: Option<ScanningKeys>,

    /// Employees per user or team; `keyfob seed` ignores it
    #[arg(long, env = "KEYFOB_MAX_EMPLOYEES", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_employees: u32,

    #[command(flatten)]
    pub keys: KeyConfig,

    /// Exports traces. No setting: `keyfob serve` fills it from the standard variables of OpenTelemetry.
    #[arg(skip)]
    pub exporter: Option<Exporter>,

    /// Links in the navigation to pages of your own. No setting: a program that uses this crate fills it.
    #[arg(skip)]
    pub own_links: Vec<OwnLink>,

    /// Log level: error, warn, info, debug, trace, or one per module as for `tracing-subscriber`; `info,keyfob::access=info`
    /// adds an access log
    #[arg(long, env = "KEYFOB_LOG", default_value = "info")]
    pub log: String,

    /// Format of log lines: for people, or one JSON object per line
    #[arg(long, env = "KEYFOB_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Folder with the browser's files
    #[arg(long, env = "LEPTOS_SITE_ROOT", default_value = "target/site", hide = true)]
    pub site_root: PathBuf,

    /// Set by cargo-leptos in watch mode, which reloads pages
    #[arg(long, env = "LEPTOS_WATCH", hide = true)]
    pub watch: Option<String>,
}

/// Settings for new keys, shared by the server and `keyfob key create`.
#[derive(Args, Clone, Debug)]
pub struct KeyConfig {
    /// First part of new keys, 2 to 8 lower-case letters; older keys keep working
    #[arg(long, env = "KEYFOB_KEY_BRAND", default_value = "kf", value_parser = brand)]
    pub key_brand: String,

    /// Live keys per user
    #[arg(long, env = "KEYFOB_MAX_KEYS_PER_USER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_keys_per_user: u32,
}

/// Who can create an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Signup {
    /// Anyone
    Open,
    /// Administrators only
    Closed,
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// For programs, one object per line
    Json,
}

impl Config {
    /// Checks settings against each other. The error names the variable and the fix.
    pub fn check(&self) -> Result<(), String> {
        if self.metrics_addr.is_some_and(|addr| addr == self.addr && addr.port() != 0) {
            return Err(format!(
                "KEYFOB_METRICS_ADDR is {}, as KEYFOB_ADDR. Set it to another port, such as 127.0.0.1:9464.",
                self.addr
            ));
        }
        if self.is_trustworthy() || self.allow_insecure_http {
            return Ok(());
        }
        Err(format!(
            "KEYFOB_PUBLIC_URL is {}: without https, passwords and keys are sent unencrypted. Use https://, or set \
             KEYFOB_ALLOW_INSECURE_HTTP=true to accept that.",
            self.origin()
        ))
    }

    /// Whether the public address is https.
    pub fn https(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    /// Whether browsers trust the public address: https, or this machine.
    pub fn is_trustworthy(&self) -> bool {
        self.https() || is_loopback(&self.public_url)
    }

    /// Returns the public address as browsers send it in `Origin`: `http://localhost:8000`.
    pub fn origin(&self) -> String {
        self.public_url.origin().ascii_serialization()
    }
}

/// Parses the public address: an http or https origin.
pub fn public_url(raw: &str) -> Result<Url, String> {
    let url = Url::parse(raw).map_err(|error| format!("{error}: use the form https://keys.example.com"))?;
    let is_origin = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match url.scheme() {
        "http" | "https" if is_origin && url.has_host() => Ok(url),
        _ => Err("use the form https://keys.example.com, without a path".to_owned()),
    }
}

fn metrics_addr(raw: &str) -> Result<SocketAddr, String> {
    raw.parse().map_err(|_| "use an IP address and a port, such as 127.0.0.1:9464".to_owned())
}

/// Whether an address is on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn key_header(raw: &str) -> Result<HeaderName, String> {
    let name: HeaderName = raw.parse().map_err(|_| "use the name of a header, such as X-Company-Key".to_owned())?;
    if ["authorization", "cookie", "host", "content-type", "content-length"].contains(&name.as_str()) {
        return Err("this header has another purpose; use one of your own, such as X-Company-Key".to_owned());
    }
    Ok(name)
}

fn network(raw: &str) -> Result<IpNet, String> {
    let raw = raw.trim();
    let parsed = raw.parse().or_else(|_| raw.parse::<IpAddr>().map(IpNet::from));
    parsed.map_err(|_| "use networks such as 10.0.0.0/8, or addresses".to_owned())
}

fn contact(raw: &str) -> Result<Url, String> {
    let url = Url::parse(raw).or_else(|_| Url::parse(&format!("mailto:{raw}")));
    let is_contact = |url: &Url| match url.scheme() {
        "mailto" => url.path().split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()),
        scheme => scheme == "https",
    };
    let hint = || "use the form security@example.com or https://example.com/security".to_owned();
    url.ok().filter(is_contact).ok_or_else(hint)
}

fn brand(raw: &str) -> Result<String, String> {
    let is_valid = (2..=8).contains(&raw.len()) && raw.bytes().all(|b| b.is_ascii_lowercase());
    if is_valid { Ok(raw.to_owned()) } else { Err("use 2 to 8 lower-case letters, such as kf".to_owned()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Default settings with this public address.
    pub fn config(url: &str) -> Result<Config, String> {
        Ok(Config {
            addr: ([127, 0, 0, 1], 0).into(),
            metrics_addr: None,
            public_url: public_url(url)?,
            allow_insecure_http: false,
            signup: Signup::Open,
            api_key_header: None,
            key_rate: 0,
            sign_in_rate: 10,
            trusted_proxies: Vec::new(),
            cors_origins: None,
            security_contact: None,
            secret_scanning_keys: None,
            max_employees: 100_000,
            keys: KeyConfig { key_brand: "kf".into(), max_keys_per_user: 50 },
            exporter: None,
            own_links: Vec::new(),
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
    fn plain_http_is_rejected_on_a_public_host() {
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
    fn public_url_is_an_origin() {
        for url in ["", "localhost", "ftp://a", "https://a/b", "https://a?b", "https://u@a", "mailto:a@b"] {
            assert!(public_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn contact_is_an_email_address_or_a_page() {
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
    fn brand_is_2_to_8_lower_case_letters() {
        assert!(brand("kf").is_ok());
        for raw in ["k", "abcdefghi", "KF", "k_", "k1", ""] {
            assert!(brand(raw).is_err(), "{raw}");
        }
    }
}

//! Client address (through trusted proxies) and user agent of a request.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use ipnet::{IpNet, Ipv6Net};

use crate::model::redact::redact;

/// Longest stored user agent, in bytes. A user agent that is not ASCII is dropped.
const USER_AGENT_MAX: usize = 200;
/// Longest logged unreadable address, in characters.
const LOGGED_HOP_MAX: usize = 60;

/// Address of the client, where it is known.
#[derive(Clone, Copy, Debug)]
pub struct ClientIp(pub Option<IpAddr>);

/// Returns the [`ClientIp`] of a request.
pub fn client_ip(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ClientIp>().and_then(|found| found.0)
}

/// Returns what counts as one client in rate limits. For IPv6 it is the /64 network, because one client can use all of it.
pub fn rate_limit_network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Net::new(ip, 64).map_or(ip, |net| net.network()).into(),
    }
}

/// Returns what counts as one client in quotas of connections and memory; `None` for no limit. Trusted proxies and loopback
/// addresses serve many people.
pub fn quota_network(ip: IpAddr, trusted: &[IpNet]) -> Option<IpAddr> {
    let ip = ip.to_canonical();
    let shared = ip.is_loopback() || is_trusted(ip, trusted);
    (!shared).then(|| rate_limit_network(ip))
}

/// Returns the user agent, redacted and shortened.
pub fn user_agent(headers: &HeaderMap) -> Cow<'_, str> {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Redact first: half a key would no longer look like a key.
    let agent = redact(agent);
    match agent.get(..USER_AGENT_MAX) {
        Some(cut) => Cow::Owned(cut.to_owned()),
        None => agent,
    }
}

/// Whether an address belongs to a trusted proxy.
pub fn is_trusted(ip: IpAddr, trusted: &[IpNet]) -> bool {
    let ip = ip.to_canonical();
    trusted.iter().any(|network| network.contains(&ip))
}

/// Client address, and a problem with the proxy headers.
#[derive(Debug)]
pub struct ResolvedClient {
    pub client: ClientIp,
    pub warning: Option<ProxyWarning>,
}

/// Why the address may be the proxy's instead of the client's.
#[derive(Debug, PartialEq, Eq)]
pub enum ProxyWarning {
    /// An untrusted address sent proxy headers.
    Untrusted(IpAddr),
    /// A trusted proxy sent a value that is not an address.
    Unreadable(String),
}

/// Headers that proxies add. Only the first is read.
static PROXY_HEADERS: [HeaderName; 5] = [
    HeaderName::from_static("x-forwarded-for"),
    header::FORWARDED,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// Returns the client address. `X-Forwarded-For` is read from its end for as long as each hop is a trusted proxy, because a
/// client can write anything before that.
pub fn resolve(extensions: &Extensions, headers: &HeaderMap, trusted: &[IpNet]) -> ResolvedClient {
    let Some(peer) = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical()) else {
        return ResolvedClient { client: ClientIp(None), warning: None };
    };
    if !is_trusted(peer, trusted) {
        let has_proxy_headers = headers.keys().any(|name| PROXY_HEADERS.contains(name));
        return ResolvedClient {
            client: ClientIp(Some(peer)),
            warning: has_proxy_headers.then_some(ProxyWarning::Untrusted(peer)),
        };
    }
    let (mut client, mut warning) = (peer, None);
    let values = headers.get_all(&PROXY_HEADERS[0]).into_iter().map(HeaderValue::as_bytes);
    let hops: Vec<_> = values.flat_map(|value| value.split(|b| *b == b',')).map(<[u8]>::trim_ascii).collect();
    for hop in hops.into_iter().rev().filter(|hop| !hop.is_empty()) {
        if !is_trusted(client, trusted) {
            break;
        }
        let Some(ip) = hop_address(hop) else {
            warning = Some(ProxyWarning::Unreadable(loggable(hop)));
            break;
        };
        client = ip;
    }
    ResolvedClient { client: ClientIp(Some(client)), warning }
}

/// Parses a hop in any form that proxies write: bare, quoted, with a port, in brackets, with a zone.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(hop).ok()?.trim_matches('"').trim();
    let host = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            port.strip_prefix(':').map_or(port.is_empty(), is_port).then_some(host)?
        }
        // One colon: IPv4 address and port. More: IPv6 address.
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => is_port(port).then_some(host)?,
            _ => text,
        },
    };
    let host = host.split_once('%').map_or(host, |(host, _)| host);
    host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Returns the form of an unreadable hop for the log.
fn loggable(hop: &[u8]) -> String {
    let text = String::from_utf8_lossy(hop);
    redact(&text).chars().take(LOGGED_HOP_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve_from(peer: [u8; 4], forwarded: &[&[u8]], trusted: &[&str]) -> ResolvedClient {
        let (mut extensions, mut headers) = (Extensions::new(), HeaderMap::new());
        extensions.insert(ConnectInfo(SocketAddr::from((peer, 1))));
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(value).unwrap());
        }
        let trusted: Vec<_> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        resolve(&extensions, &headers, &trusted)
    }

    fn client_of(peer: [u8; 4], forwarded: &[&str], trusted: &[&str]) -> String {
        let forwarded: Vec<_> = forwarded.iter().map(|value| value.as_bytes()).collect();
        resolve_from(peer, &forwarded, trusted).client.0.unwrap().to_string()
    }

    #[test]
    fn forwarded_address_is_read_in_every_known_form() {
        for (written, address) in [
            ("203.0.113.9", "203.0.113.9"),
            ("203.0.113.9:51008", "203.0.113.9"),
            (" 203.0.113.9 ", "203.0.113.9"),
            ("\"203.0.113.9:51008\"", "203.0.113.9"),
            ("2001:db8::9", "2001:db8::9"),
            ("[2001:db8::9]", "2001:db8::9"),
            ("[2001:db8::9]:51008", "2001:db8::9"),
            ("\"[2001:db8::9]:51008\"", "2001:db8::9"),
            ("fe80::9%eth0", "fe80::9"),
            ("[fe80::9%25eth0]:80", "fe80::9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("[::ffff:203.0.113.9]:1", "203.0.113.9"),
            ("203.0.113.9,", "203.0.113.9"),
            ("203.0.113.9, ,", "203.0.113.9"),
            ("1.1.1.1,,203.0.113.9, , 10.2.3.4,", "203.0.113.9"),
            ("1.1.1.1, 203.0.113.9:51008, 10.2.3.4:80", "203.0.113.9"),
        ] {
            let found = resolve_from([10, 0, 0, 1], &[written.as_bytes()], &["10.0.0.0/8"]);
            assert_eq!(found.client.0.unwrap().to_string(), address, "{written}");
            assert_eq!(found.warning, None, "{written}");
        }
        assert_eq!(client_of([10, 0, 0, 1], &["203.0.113.9", "", " "], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn unreadable_hop_warns_and_ends_the_chain() {
        let junk: [&[u8]; 11] = [
            b"unknown",
            b"_hidden",
            b"203.0.113.9:",
            b"203.0.113.9:x",
            b"203.0.113.9:123456",
            b"[2001:db8::9",
            b"[2001:db8::9]x",
            b"999.0.0.1",
            b"\xff\xfe",
            b"\xe2\x80\xa8",
            b"localhost",
        ];
        for hop in junk {
            for value in [hop.to_vec(), [b"1.1.1.1, ", hop].concat()] {
                let found = resolve_from([10, 0, 0, 1], &[&value], &["10.0.0.0/8"]);
                assert_eq!(found.client.0.unwrap().to_string(), "10.0.0.1", "{hop:?}");
                assert_eq!(found.warning, Some(ProxyWarning::Unreadable(String::from_utf8_lossy(hop).into_owned())));
            }
            // Hops after it still count.
            let found = resolve_from([10, 0, 0, 1], &[&[hop, b", 203.0.113.9"].concat()], &["10.0.0.0/8"]);
            assert_eq!(
                (found.client.0.unwrap().to_string(), found.warning),
                ("203.0.113.9".to_owned(), None),
                "{hop:?}"
            );
        }
        let long = resolve_from([10, 0, 0, 1], &["x".repeat(5000).as_bytes()], &["10.0.0.0/8"]);
        assert_eq!(long.warning, Some(ProxyWarning::Unreadable("x".repeat(LOGGED_HOP_MAX))));
    }

    #[test]
    fn untrusted_proxy_headers_warn() {
        let peer = IpAddr::from([10, 0, 0, 1]);
        for trusted in [&[][..], &["192.0.2.0/24"]] {
            assert_eq!(
                resolve_from([10, 0, 0, 1], &[b"203.0.113.9"], trusted).warning,
                Some(ProxyWarning::Untrusted(peer))
            );
        }
        assert_eq!(resolve_from([10, 0, 0, 1], &[], &[]).warning, None);
    }

    #[test]
    fn forwarded_address_needs_a_trusted_proxy() {
        assert_eq!(client_of([10, 0, 0, 1], &["203.0.113.9"], &[]), "10.0.0.1");
        assert_eq!(client_of([10, 0, 0, 1], &["203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(client_of([192, 0, 2, 1], &["203.0.113.9"], &["10.0.0.0/8"]), "192.0.2.1");
    }

    #[test]
    fn ipv6_is_limited_by_network() {
        let network = |text: &str| rate_limit_network(text.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:3::"), "2001:db8:1:3::");
    }

    #[test]
    fn loopback_and_trusted_proxies_have_no_quota() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let quota = |text: &str| quota_network(text.parse().unwrap(), &trusted).map(|ip| ip.to_string());
        for shared in ["127.0.0.1", "127.9.9.9", "::1", "10.1.2.3", "::ffff:10.1.2.3", "::ffff:127.0.0.1"] {
            assert_eq!(quota(shared), None, "{shared}");
        }
        assert_eq!(quota("192.0.2.1").unwrap(), "192.0.2.1");
        assert_eq!(quota("::ffff:192.0.2.1").unwrap(), "192.0.2.1");
        assert_eq!(quota("2001:db8:1:2::9").unwrap(), "2001:db8:1:2::");
    }

    #[test]
    fn address_written_by_the_client_is_ignored() {
        assert_eq!(client_of([10, 0, 0, 1], &["1.1.1.1, 203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(client_of([10, 0, 0, 1], &["1.1.1.1", "203.0.113.9, 10.2.3.4"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(client_of([10, 0, 0, 1], &["203.0.113.9, junk"], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(client_of([10, 0, 0, 1], &["junk, 203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
    }
}

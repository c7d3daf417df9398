//! Where a request comes from: the address, as far as proxies that we trust tell it, and the program.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap, HeaderValue, header};
use ipnet::{IpNet, Ipv6Net};

use crate::model::redact::redact;

/// The longest user agent that is kept, in bytes; of what is not ASCII nothing is.
const USER_AGENT_MAX: usize = 200;
/// How many characters the log shows of an address that cannot be read.
const HOP_MAX: usize = 60;

/// The address of the client of a request, where it is known.
#[derive(Clone, Copy, Debug)]
pub struct ClientIp(pub Option<IpAddr>);

/// The address that [`ClientIp`] found.
#[must_use]
pub fn client_ip(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ClientIp>().and_then(|found| found.0)
}

/// What counts as one address where addresses are limited: of IPv6 the network of 64 bits, for whoever has one has all of it.
#[must_use]
pub fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Net::new(ip, 64).map_or(ip, |net| net.network()).into(),
    }
}

/// What an address counts as where it may hold only so much at a time; `None` for one without a limit. Behind a proxy that we
/// trust, and behind one on this machine that nobody told us of, there are many people.
#[must_use]
pub fn limited(ip: IpAddr, trusted: &[IpNet]) -> Option<IpAddr> {
    let ip = ip.to_canonical();
    let shared = ip.is_loopback() || trusted.iter().any(|proxies| proxies.contains(&ip));
    (!shared).then(|| network(ip))
}

/// The program that sent a request, as it calls itself, without keys in it and cut to what is kept.
#[must_use]
pub fn user_agent(headers: &HeaderMap) -> Cow<'_, str> {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Redacted before it is cut: the beginning of a key tells too much of it.
    let agent = redact(agent);
    match agent.get(..USER_AGENT_MAX) {
        Some(cut) => Cow::Owned(cut.to_owned()),
        None => agent,
    }
}

/// The address of a client, and what was strange about the way in which it was told.
#[derive(Debug)]
pub struct ResolvedClient {
    /// The address.
    pub client: ClientIp,
    /// What the operator should know.
    pub warning: Option<ProxyWarning>,
}

/// Why the address may be a proxy's instead of the client's.
#[derive(Debug, PartialEq, Eq)]
pub enum ProxyWarning {
    /// Headers of a proxy came from this address, which is not trusted.
    Untrusted(IpAddr),
    /// A trusted proxy sent this in place of an address.
    Unreadable(String),
}

/// What proxies say of whom they ask for. Only the first is read.
const FORWARDING: [&str; 5] = ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host", "x-forwarded-proto"];

/// Finds the address of the client. `X-Forwarded-For` is read from its end, and only as far as each hop is a proxy that we
/// trust: whatever a client writes into it itself stands before that.
#[must_use]
pub fn find(extensions: &Extensions, headers: &HeaderMap, trusted: &[IpNet]) -> ResolvedClient {
    let Some(peer) = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical()) else {
        return ResolvedClient { client: ClientIp(None), warning: None };
    };
    let is_trusted = |ip: IpAddr| trusted.iter().any(|network| network.contains(&ip));
    if !is_trusted(peer) {
        let claims = FORWARDING.iter().any(|name| headers.contains_key(*name));
        return ResolvedClient {
            client: ClientIp(Some(peer)),
            warning: claims.then_some(ProxyWarning::Untrusted(peer)),
        };
    }
    let (mut client, mut warning) = (peer, None);
    let values = headers.get_all(FORWARDING[0]).into_iter().map(HeaderValue::as_bytes);
    let hops: Vec<_> = values.flat_map(|value| value.split(|b| *b == b',')).map(<[u8]>::trim_ascii).collect();
    for hop in hops.into_iter().rev().filter(|hop| !hop.is_empty()) {
        if !is_trusted(client) {
            break;
        }
        let Some(ip) = hop_address(hop) else {
            warning = Some(ProxyWarning::Unreadable(shortened(hop)));
            break;
        };
        client = ip;
    }
    ResolvedClient { client: ClientIp(Some(client)), warning }
}

/// The address of a hop as proxies write it: alone, with a port, an IPv6 address in brackets, with a zone, in quotes.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(hop).ok()?.trim_matches('"').trim();
    let host = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            port.strip_prefix(':').map_or(port.is_empty(), is_port).then_some(host)?
        }
        // With one colon it is an IPv4 address and a port; with more, an IPv6 address.
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

/// What the log shows of a hop that cannot be read.
fn shortened(hop: &[u8]) -> String {
    let text = String::from_utf8_lossy(hop);
    redact(&text).chars().take(HOP_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_for(peer: [u8; 4], forwarded: &[&[u8]], trusted: &[&str]) -> ResolvedClient {
        let (mut extensions, mut headers) = (Extensions::new(), HeaderMap::new());
        extensions.insert(ConnectInfo(SocketAddr::from((peer, 1))));
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(value).unwrap());
        }
        let trusted: Vec<_> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        find(&extensions, &headers, &trusted)
    }

    fn found(peer: [u8; 4], forwarded: &[&str], trusted: &[&str]) -> String {
        let forwarded: Vec<_> = forwarded.iter().map(|value| value.as_bytes()).collect();
        find_for(peer, &forwarded, trusted).client.0.unwrap().to_string()
    }

    /// As load balancers of clouds and proxies write them.
    #[test]
    fn an_address_is_read_as_proxies_write_it() {
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
            let found = find_for([10, 0, 0, 1], &[written.as_bytes()], &["10.0.0.0/8"]);
            assert_eq!(found.client.0.unwrap().to_string(), address, "{written}");
            assert_eq!(found.warning, None, "{written}");
        }
        assert_eq!(found([10, 0, 0, 1], &["203.0.113.9", "", " "], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn what_cannot_be_read_is_told_and_what_stands_before_it_does_not_count() {
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
                let found = find_for([10, 0, 0, 1], &[&value], &["10.0.0.0/8"]);
                assert_eq!(found.client.0.unwrap().to_string(), "10.0.0.1", "{hop:?}");
                assert_eq!(found.warning, Some(ProxyWarning::Unreadable(String::from_utf8_lossy(hop).into_owned())));
            }
            // What a proxy added after it counts, and nobody has to know of the rest.
            let found = find_for([10, 0, 0, 1], &[&[hop, b", 203.0.113.9"].concat()], &["10.0.0.0/8"]);
            assert_eq!(
                (found.client.0.unwrap().to_string(), found.warning),
                ("203.0.113.9".to_owned(), None),
                "{hop:?}"
            );
        }
        let long = find_for([10, 0, 0, 1], &["x".repeat(5000).as_bytes()], &["10.0.0.0/8"]);
        assert_eq!(long.warning, Some(ProxyWarning::Unreadable("x".repeat(HOP_MAX))));
    }

    #[test]
    fn headers_of_a_proxy_that_is_not_trusted_are_told() {
        let peer = IpAddr::from([10, 0, 0, 1]);
        for trusted in [&[][..], &["192.0.2.0/24"]] {
            assert_eq!(
                find_for([10, 0, 0, 1], &[b"203.0.113.9"], trusted).warning,
                Some(ProxyWarning::Untrusted(peer))
            );
        }
        assert_eq!(find_for([10, 0, 0, 1], &[], &[]).warning, None);
    }

    #[test]
    fn a_forwarded_address_counts_only_from_a_trusted_proxy() {
        assert_eq!(found([10, 0, 0, 1], &["203.0.113.9"], &[]), "10.0.0.1");
        assert_eq!(found([10, 0, 0, 1], &["203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(found([192, 0, 2, 1], &["203.0.113.9"], &["10.0.0.0/8"]), "192.0.2.1");
    }

    #[test]
    fn of_ipv6_a_network_counts_as_one_address() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:3::"), "2001:db8:1:3::");
    }

    #[test]
    fn only_loopback_and_trusted_proxies_may_hold_any_amount() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let limited = |text: &str| limited(text.parse().unwrap(), &trusted).map(|ip| ip.to_string());
        for shared in ["127.0.0.1", "127.9.9.9", "::1", "10.1.2.3", "::ffff:10.1.2.3", "::ffff:127.0.0.1"] {
            assert_eq!(limited(shared), None, "{shared}");
        }
        assert_eq!(limited("192.0.2.1").unwrap(), "192.0.2.1");
        assert_eq!(limited("::ffff:192.0.2.1").unwrap(), "192.0.2.1");
        assert_eq!(limited("2001:db8:1:2::9").unwrap(), "2001:db8:1:2::");
    }

    #[test]
    fn what_a_client_writes_itself_does_not_count() {
        assert_eq!(found([10, 0, 0, 1], &["1.1.1.1, 203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(found([10, 0, 0, 1], &["1.1.1.1", "203.0.113.9, 10.2.3.4"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(found([10, 0, 0, 1], &["203.0.113.9, junk"], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(found([10, 0, 0, 1], &["junk, 203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
    }
}

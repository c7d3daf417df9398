//! Where a request comes from: the address, as far as proxies that we trust tell it, and the program.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap, header};
use ipnet::{IpNet, Ipv6Net};

/// The longest user agent that is kept, in bytes; of what is not ASCII nothing is.
const USER_AGENT_MAX: usize = 200;

/// The address of the client of a request, where it is known.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub Option<IpAddr>);

/// The address that [`ClientAddress`] found.
#[must_use]
pub fn address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ClientAddress>().and_then(|found| found.0)
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

/// The program that sent a request, as it calls itself, cut to what is kept.
#[must_use]
pub fn user_agent(headers: &HeaderMap) -> &str {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    agent.get(..USER_AGENT_MAX).unwrap_or(agent)
}

/// Finds the address of the client. `X-Forwarded-For` is read from its end, and only as far as each hop is a proxy that we
/// trust: whatever a client writes into it itself stands before that.
#[must_use]
pub fn find(extensions: &Extensions, headers: &HeaderMap, trusted: &[IpNet]) -> ClientAddress {
    let Some(peer) = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical()) else {
        return ClientAddress(None);
    };
    let is_trusted = |ip: IpAddr| trusted.iter().any(|network| network.contains(&ip));
    let forwarded = headers.get_all("x-forwarded-for").into_iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<_> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut client = peer;
    for hop in hops.into_iter().rev() {
        if !is_trusted(client) {
            break;
        }
        let Ok(ip) = hop.parse::<IpAddr>() else { break };
        client = ip.to_canonical();
    }
    ClientAddress(Some(client))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: [u8; 4], forwarded: &[&str], trusted: &[&str]) -> String {
        let (mut extensions, mut headers) = (Extensions::new(), HeaderMap::new());
        extensions.insert(ConnectInfo(SocketAddr::from((peer, 1))));
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<_> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        find(&extensions, &headers, &trusted).0.unwrap().to_string()
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

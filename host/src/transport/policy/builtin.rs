//! The rules that hold without a word from the operator.

use std::net::IpAddr;

use super::Level;

const METADATA: &str = "it serves cloud metadata";
const LINK_LOCAL: &str = "it is link-local, where cloud metadata lives";
const MULTICAST: &str = "it is a multicast address";
const NOWHERE: &str = "it is unspecified, broadcast or reserved";
const LOOPBACK: &str = "it is this machine itself, which custom components may not reach";
const PRIVATE: &str = "it is in a private network, which custom components may not reach";
const SPECIAL: &str = "it is set aside for special use (RFC 6890)";

/// Prefixes with their length, refused to everybody.
const ALWAYS: &[(&str, u8, &str)] = &[
    ("169.254.0.0", 16, LINK_LOCAL),
    ("fe80::", 10, LINK_LOCAL),
    // EC2 over IPv6, Alibaba Cloud, Oracle Cloud.
    ("fd00:ec2::254", 128, METADATA),
    ("100.100.100.200", 32, METADATA),
    ("192.0.0.192", 32, METADATA),
    ("224.0.0.0", 4, MULTICAST),
    ("ff00::", 8, MULTICAST),
    ("0.0.0.0", 8, NOWHERE),
    ("240.0.0.0", 4, NOWHERE),
    ("::", 128, NOWHERE),
];

/// Refused to custom components.
const STRICT: &[(&str, u8, &str)] = &[
    ("127.0.0.0", 8, LOOPBACK),
    ("::1", 128, LOOPBACK),
    ("10.0.0.0", 8, PRIVATE),
    ("172.16.0.0", 12, PRIVATE),
    ("192.168.0.0", 16, PRIVATE),
    ("100.64.0.0", 10, PRIVATE),
    ("fc00::", 7, PRIVATE),
    ("fec0::", 10, PRIVATE),
    ("192.0.0.0", 24, SPECIAL),
    ("192.0.2.0", 24, SPECIAL),
    ("198.18.0.0", 15, SPECIAL),
    ("198.51.100.0", 24, SPECIAL),
    ("203.0.113.0", 24, SPECIAL),
    ("100::", 64, SPECIAL),
    ("2001:db8::", 32, SPECIAL),
];

/// Why an address is refused, if it is.
pub(super) fn refusal(level: Level, address: IpAddr) -> Option<&'static str> {
    let lists = match level {
        Level::Operator => &[ALWAYS][..],
        Level::Strict => &[ALWAYS, STRICT][..],
    };
    lists.iter().flat_map(|list| list.iter()).find_map(|(prefix, bits, why)| {
        let prefix: IpAddr = prefix.parse().ok()?;
        super::cidr::matches(prefix, *bits, address).then_some(*why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_parses() {
        for (prefix, ..) in ALWAYS.iter().chain(STRICT) {
            assert!(prefix.parse::<IpAddr>().is_ok(), "{prefix}");
        }
    }
}

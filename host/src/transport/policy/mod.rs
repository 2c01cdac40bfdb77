//! Which addresses may be connected to.
//!
//! A name is harmless, an address is not: `ci-metadata.example.org` may resolve to 169.254.169.254 when
//! it suits somebody. So the [`Policy`] looks at addresses, after each resolution, at the very
//! connection, and at URLs whose host is an address already.
//!
//! What the operator may write in `[network] allow` and `deny`:
//!
//! | written | means |
//! |---|---|
//! | `192.0.2.7`, `2001:db8::7` | this address |
//! | `10.0.0.0/8`, `fd00::/8` | every address with these leading bits; bits behind them must be zero |
//! | anything else | is refused; host names too, because what they mean changes |
//!
//! In this order: `allow` permits, `deny` refuses, the built-in rules refuse, everything else is permitted.
//! The built-in rules depend on the [`Level`]; an IPv4 address inside an IPv6 one (mapped, NAT64, 6to4)
//! is judged as both.

mod builtin;
mod cidr;
mod resolve;

pub use cidr::{Cidr, CidrError};
pub use resolve::{ResolveError, Resolver};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far somebody is trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// The operator's own entries with built-in reporters: loopback and private networks are where
    /// their servers are. Cloud metadata and other link-local addresses are refused all the same.
    #[default]
    Operator,
    /// Components from elsewhere: public addresses only.
    Strict,
}

/// Decides about addresses.
#[derive(Clone, Debug)]
pub struct Policy {
    level: Level,
    allow: Vec<Cidr>,
    deny: Vec<Cidr>,
}

/// A refused address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("address {address} is not allowed: {why}; if it is meant, write [network] allow = [\"{address}\"]")]
pub struct Denied {
    /// The address.
    pub address: IpAddr,
    /// The rule, in words.
    pub why: String,
}

impl Policy {
    /// For the operator's own entries.
    pub fn operator() -> Self {
        Self { level: Level::Operator, allow: Vec::new(), deny: Vec::new() }
    }

    /// For custom components.
    pub fn strict() -> Self {
        Self { level: Level::Strict, ..Self::operator() }
    }

    /// With the operator's lists.
    ///
    /// # Errors
    /// The first that is neither an address nor a block.
    pub fn with_lists(mut self, allow: &[String], deny: &[String]) -> Result<Self, CidrError> {
        self.allow = allow.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        self.deny = deny.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Whether the host of this URL may be connected to, if it is an address already.
    ///
    /// # Errors
    /// It may not.
    pub fn check_url(&self, url: &url::Url) -> Result<(), Denied> {
        match url.host() {
            Some(url::Host::Ipv4(address)) => self.check(address.into()),
            Some(url::Host::Ipv6(address)) => self.check(address.into()),
            Some(url::Host::Domain(_)) | None => Ok(()),
        }
    }

    /// Whether this address may be connected to.
    ///
    /// # Errors
    /// It may not.
    pub fn check(&self, address: IpAddr) -> Result<(), Denied> {
        let forms = forms(address);
        let any = |list: &[Cidr]| list.iter().find(|cidr| forms.iter().any(|form| cidr.contains(*form))).copied();
        if any(&self.allow).is_some() {
            return Ok(());
        }
        if let Some(cidr) = any(&self.deny) {
            return Err(Denied { address, why: format!("[network] deny has {cidr}") });
        }
        match forms.iter().find_map(|form| builtin::refusal(self.level, *form)) {
            Some(why) => Err(Denied { address, why: why.to_owned() }),
            None => Ok(()),
        }
    }
}

/// The address, and the IPv4 address that packets to it end up at.
fn forms(address: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(v6) = address else { return vec![address] };
    match embedded(v6) {
        // The same socket: only the inner address counts, or `::/8` would speak for it.
        Some((v4, true)) => vec![v4.into()],
        Some((v4, false)) => vec![address, v4.into()],
        None => vec![address],
    }
}

/// The IPv4 address in an IPv6 one, and whether the two are the same to the system.
fn embedded(v6: Ipv6Addr) -> Option<(Ipv4Addr, bool)> {
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) => Some((v4(g, h), true)),
        (0x64, 0xff9b, 0, 0, 0, 0) => Some((v4(g, h), false)),
        (0x2002, ..) => Some((v4(b, c), false)),
        // IPv4-compatible (deprecated), but for :: and ::1.
        (0, 0, 0, 0, 0, 0) if g != 0 => Some((v4(g, h), false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(policy: &Policy, address: &str) -> bool {
        policy.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn built_in_rules_by_level() {
        // address, operator, strict
        let table = [
            ("140.82.121.6", true, true),
            ("2606:50c0:8000::64", true, true),
            ("127.0.0.1", true, false),
            ("::1", true, false),
            ("::ffff:127.0.0.1", true, false),
            ("10.1.2.3", true, false),
            ("172.31.0.1", true, false),
            ("172.32.0.1", true, true),
            ("192.168.0.1", true, false),
            ("100.64.0.1", true, false),
            ("fd12::1", true, false),
            ("64:ff9b::10.0.0.1", true, false),
            ("2002:a00:1::1", true, false),
            ("::10.0.0.1", true, false),
            ("192.0.2.1", true, false),
            ("198.18.0.1", true, false),
            ("169.254.169.254", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("64:ff9b::a9fe:a9fe", false, false),
            ("fe80::1", false, false),
            ("febf::1", false, false),
            ("fd00:ec2::254", false, false),
            ("100.100.100.200", false, false),
            ("0.0.0.0", false, false),
            ("::", false, false),
            ("255.255.255.255", false, false),
            ("224.0.0.1", false, false),
            ("239.255.255.255", false, false),
            ("ff02::1", false, false),
            ("240.0.0.1", false, false),
        ];
        for (address, operator, strict) in table {
            assert_eq!(allowed(&Policy::operator(), address), operator, "{address}, operator");
            assert_eq!(allowed(&Policy::strict(), address), strict, "{address}, strict");
        }
    }

    #[test]
    fn the_operators_lists_come_first_and_allow_before_deny() {
        let lists = |allow: &[&str], deny: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
            Policy::strict().with_lists(&owned(allow), &owned(deny)).unwrap()
        };
        let policy = lists(&["10.0.0.0/24", "fe80::1"], &["10.0.0.0/8", "140.82.0.0/16"]);
        assert!(allowed(&policy, "10.0.0.9"));
        assert!(allowed(&policy, "::ffff:10.0.0.9"));
        assert!(!allowed(&policy, "10.0.1.9"));
        assert!(allowed(&policy, "fe80::1"));
        assert!(!allowed(&policy, "140.82.121.6"));
        assert!(!allowed(&policy, "::ffff:140.82.121.6"));
    }

    #[test]
    fn a_refusal_says_what_to_write() {
        let text = Policy::operator().check("169.254.169.254".parse().unwrap()).unwrap_err().to_string();
        assert!(text.contains("allow = [\"169.254.169.254\"]") && text.contains("metadata"), "{text}");
    }
}

//! Address blocks, as an operator writes them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    prefix: IpAddr,
    bits: u8,
}

/// What is wrong with a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Neither address nor block.
    #[error(
        "{0:?} is no address; write an address (192.0.2.7, 2001:db8::7) or a block (10.0.0.0/8). Host names are not possible here: what they mean can change at any time"
    )]
    Syntax(String),
    /// More leading bits than the address has.
    #[error("{0:?} has a prefix length over {1}")]
    Bits(String, u8),
    /// Bits after the prefix.
    #[error("{0:?} has bits set behind its prefix; write {1}, or {2} for the one address")]
    Host(String, Cidr, IpAddr),
}

impl Cidr {
    /// Whether the address is in the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        matches(self.prefix, self.bits, address)
    }
}

/// Whether two addresses of one family have so many leading bits in common.
pub(super) fn matches(prefix: IpAddr, bits: u8, address: IpAddr) -> bool {
    match (prefix, address) {
        (IpAddr::V4(p), IpAddr::V4(a)) => (p.to_bits() ^ a.to_bits()).leading_zeros() >= u32::from(bits),
        (IpAddr::V6(p), IpAddr::V6(a)) => (p.to_bits() ^ a.to_bits()).leading_zeros() >= u32::from(bits),
        _ => false,
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(a) => IpAddr::from((a.to_bits() & u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)).to_be_bytes()),
        IpAddr::V6(a) => Ipv6Addr::from(a.to_bits() & u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)).into(),
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let syntax = || CidrError::Syntax(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| syntax())?)),
            None => (text, None),
        };
        // [::1] is how it stands in a URL.
        let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
        let address: IpAddr = bare.parse().map_err(|_| syntax())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most {
            return Err(CidrError::Bits(text.to_owned(), most));
        }
        let prefix = masked(address, bits);
        if prefix != address {
            return Err(CidrError::Host(text.to_owned(), Self { prefix, bits }, address));
        }
        // A mapped address is the IPv4 address: it is what connections are checked as.
        match (prefix, bits) {
            (IpAddr::V6(v6), 96..) if v6.to_ipv4_mapped().is_some() => Ok(Self { prefix: prefix.to_canonical(), bits: bits - 96 }),
            _ => Ok(Self { prefix, bits }),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.prefix, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted() {
        for (text, inside, outside) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("0.0.0.0/0", "255.0.0.1", "::1"),
            ("[2001:db8::]/32", "2001:db8:1::1", "2001:db9::"),
            ("::/0", "ff02::1", "1.2.3.4"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0"),
        ] {
            let cidr: Cidr = text.parse().unwrap();
            assert!(cidr.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!cidr.contains(outside.parse().unwrap()), "{text} {outside}");
        }
    }

    #[test]
    fn refused_with_what_to_write() {
        for (text, hint) in [
            ("", "write an address"),
            ("mail.example.org", "Host names are not possible"),
            ("10.0.0.0/x", "write an address"),
            ("10.0.0.0/33", "over 32"),
            ("::/129", "over 128"),
            ("10.0.0.1/8", "write 10.0.0.0/8, or 10.0.0.1"),
        ] {
            let message = text.parse::<Cidr>().unwrap_err().to_string();
            assert!(message.contains(hint), "{text}: {message}");
        }
    }
}

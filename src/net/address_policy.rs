//! Which addresses the operator may connect to.
//!
//! A user chooses the name of a site, and the owner of the DNS zone chooses its address;
//! so the address is judged when the connection is made, not when the spec is written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};

use crate::api::Hosting;
use crate::core::probe::Forbidden;

/// Which addresses the operator may connect to, beside the public ones.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddressPolicy {
    exceptions: Vec<IpNet>,
    nat64: Vec<Ipv6Net>,
}

/// A value of `--nat64-prefixes` that is no prefix of RFC 6052.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "--nat64-prefixes: {0:?} is not a NAT64 prefix: write an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits, such as 2001:db8:64::/96"
)]
pub struct Nat64PrefixError(String);

/// A value of `--allowed-addresses` that is neither an address nor a range.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "--allowed-addresses: {0:?} is neither an IP address nor a range: write 10.1.2.3 or 10.0.0.0/8"
)]
pub struct AddressPatternError(String);

/// What an address is for.
enum Reach {
    Public,
    Private,
    Never(Forbidden),
}

impl AddressPolicy {
    /// Reads the values of `--allowed-addresses`. Empty values are left out.
    ///
    /// # Errors
    /// When a value is neither an address nor a range in CIDR notation.
    pub fn parse<I>(values: I) -> Result<Self, AddressPatternError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let parse = |value: &str| {
            value
                .parse::<IpNet>()
                .or_else(|_| value.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| AddressPatternError(value.to_owned()))
        };
        let exceptions = values
            .into_iter()
            .filter(|value| !value.as_ref().trim().is_empty())
            .map(|value| parse(value.as_ref().trim()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            exceptions,
            nat64: Vec::new(),
        })
    }

    /// Adds the values of `--nat64-prefixes`: an address under one of them stands for the IPv4 address
    /// in it. Empty values are left out.
    ///
    /// # Errors
    /// When a value is no prefix of RFC 6052.
    pub fn with_nat64<I>(mut self, prefixes: I) -> Result<Self, Nat64PrefixError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        for value in prefixes {
            let value = value.as_ref().trim();
            if value.is_empty() {
                continue;
            }
            let net: Option<Ipv6Net> = value.parse().ok();
            let net = net.filter(|net| matches!(net.prefix_len(), 32 | 40 | 48 | 56 | 64 | 96));
            self.nat64
                .push(net.ok_or_else(|| Nat64PrefixError(value.to_owned()))?);
        }
        Ok(self)
    }

    /// The IPv4 address that an address stands for, else the address itself.
    fn meant(&self, address: IpAddr) -> IpAddr {
        let IpAddr::V6(v6) = address else {
            return address;
        };
        // The narrowest is meant.
        let prefixes = self.nat64.iter().filter(|net| net.contains(&v6));
        let prefix = prefixes.max_by_key(|net| net.prefix_len());
        prefix.map_or_else(
            || unwrapped(address),
            |net| IpAddr::V4(translated(v6, net.prefix_len())),
        )
    }

    /// Whether the operator may connect to an address on behalf of a site.
    ///
    /// # Errors
    /// When it may not: why.
    pub fn check(&self, address: IpAddr, hosting: Hosting) -> Result<(), Forbidden> {
        let meant = self.meant(address);
        if self
            .exceptions
            .iter()
            .any(|net| net.contains(&address) || net.contains(&meant))
        {
            return Ok(());
        }
        match (reach(meant), hosting) {
            (Reach::Public, _) | (Reach::Private, Hosting::DataCenter) => Ok(()),
            (Reach::Private, Hosting::Cloud) => Err(Forbidden::Private),
            (Reach::Never(forbidden), _) => Err(forbidden),
        }
    }
}

/// The IPv4 address that an IPv6 address stands for, else the address itself: mapped
/// (`::ffff:0:0/96`), compatible (`::/96`), NAT64 (`64:ff9b::/96`, RFC 6052), 6to4 (`2002::/16`).
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            v4(high, low)
        }
        [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

/// The IPv4 address under a NAT64 prefix: it follows the prefix, and leaves out the bits 64 to 71
/// (RFC 6052, section 2.2).
fn translated(address: Ipv6Addr, prefix_len: u8) -> Ipv4Addr {
    let octets = address.octets();
    let after = octets.iter().enumerate().skip(usize::from(prefix_len / 8));
    let mut bytes = after.filter(|(at, _)| *at != 8).map(|(_, byte)| *byte);
    let mut next = || bytes.next().unwrap_or_default();
    Ipv4Addr::new(next(), next(), next(), next())
}

fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(v4) => reach_of_v4(v4),
        IpAddr::V6(v6) => reach_of_v6(v6),
    }
}

/// By the IANA IPv4 Special-Purpose Address Registry; the metadata addresses outside
/// 169.254.0.0/16 are those of Alibaba Cloud and of Azure's host, by the documentation of each.
fn reach_of_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [127, ..] => Reach::Never(Forbidden::Loopback),
        [169, 254, ..] | [100, 100, 100, 200] | [168, 63, 129, 16] => {
            Reach::Never(Forbidden::LinkLocal)
        }
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Reach::Private,
        // This network, protocol assignments, documentation, benchmarks, 6to4 relays, multicast,
        // reserved and broadcast.
        [0 | 224..=255, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Reach::Never(Forbidden::Reserved),
        _ => Reach::Public,
    }
}

/// By the IANA IPv6 Special-Purpose Address Registry. Only `2000::/3` is in use as public space.
/// The metadata addresses are those of AWS, Google Cloud, Oracle Cloud and Scaleway, by the documentation
/// of each.
fn reach_of_v6(address: Ipv6Addr) -> Reach {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Never(Forbidden::Loopback),
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254]
        | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254]
        | [0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe]
        | [0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042]
        | [0xfe80..=0xfebf, ..] => Reach::Never(Forbidden::LinkLocal),
        [0xfc00..=0xfdff, ..] => Reach::Private,
        // Protocol assignments with Teredo (2001::/23), documentation.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => {
            Reach::Never(Forbidden::Reserved)
        }
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Never(Forbidden::Reserved),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Forbidden::{LinkLocal, Loopback, Private, Reserved};

    fn check(address: &str, hosting: Hosting) -> Result<(), Forbidden> {
        AddressPolicy::default().check(address.parse().unwrap(), hosting)
    }

    #[test]
    fn public_addresses_are_allowed() {
        for address in [
            "185.166.143.25",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2401:1d80:3220::1",
            "2600:9000::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert_eq!(check(address, Hosting::Cloud), Ok(()), "{address}");
            assert_eq!(check(address, Hosting::DataCenter), Ok(()), "{address}");
        }
    }

    /// The examples of RFC 6052, section 2.4, with an address of a machine's metadata.
    #[test]
    fn what_a_nat64_prefix_stands_for_is_what_counts() {
        for (prefix, address) in [
            ("2001:db8::/32", "2001:db8:a9fe:a9fe::"),
            ("2001:db8:100::/40", "2001:db8:1a9:fea9:fe::"),
            ("2001:db8:122::/48", "2001:db8:122:a9fe:a9:fe00::"),
            ("2001:db8:122:300::/56", "2001:db8:122:3a9:fe:a9fe::"),
            ("2001:db8:122:344::/64", "2001:db8:122:344:a9:fea9:fe00::"),
            ("2600:1:2:3:4:5::/96", "2600:1:2:3:4:5:a9fe:a9fe"),
        ] {
            let policy = AddressPolicy::default().with_nat64(["", prefix]).unwrap();
            let check = |text: &str| policy.check(text.parse().unwrap(), Hosting::DataCenter);
            assert_eq!(check(address), Err(LinkLocal), "{address}");
        }
        let prefix = ["2600:1:2:3:4:5::/96"];
        let policy = AddressPolicy::default().with_nat64(prefix).unwrap();
        let public = "2600:1:2:3:4:5:808:808".parse().unwrap();
        assert_eq!(policy.check(public, Hosting::Cloud), Ok(()));
        for wrong in ["2001:db8::/33", "10.0.0.0/8", "nat64"] {
            let error = AddressPolicy::default().with_nat64([wrong]).unwrap_err();
            assert!(error.to_string().contains(wrong), "{error}");
        }
    }

    #[test]
    fn private_addresses_are_for_data_center() {
        for address in [
            "10.0.0.1",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "fc00::1",
            "fd12:3456::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::1",
        ] {
            assert_eq!(check(address, Hosting::Cloud), Err(Private), "{address}");
            assert_eq!(check(address, Hosting::DataCenter), Ok(()), "{address}");
        }
    }

    #[test]
    fn no_site_has_these_addresses() {
        for (address, forbidden) in [
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("::1", Loopback),
            ("::ffff:127.0.0.1", Loopback),
            ("::127.0.0.1", Loopback),
            ("64:ff9b::7f00:1", Loopback),
            ("2002:7f00:1::", Loopback),
            ("169.254.169.254", LinkLocal),
            ("169.254.0.1", LinkLocal),
            ("::ffff:169.254.169.254", LinkLocal),
            ("64:ff9b::a9fe:a9fe", LinkLocal),
            ("2002:a9fe:a9fe::1", LinkLocal),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("fd00:ec2::254", LinkLocal),
            ("fd20:ce::254", LinkLocal),
            ("fd00:c1::a9fe:a9fe", LinkLocal),
            ("fd00:42::42", LinkLocal),
            ("100.100.100.200", LinkLocal),
            ("168.63.129.16", LinkLocal),
            ("0.0.0.0", Reserved),
            ("0.1.2.3", Reserved),
            ("::", Reserved),
            ("::ffff:0.0.0.0", Reserved),
            ("192.0.0.192", Reserved),
            ("192.0.2.1", Reserved),
            ("192.88.99.1", Reserved),
            ("198.18.0.1", Reserved),
            ("198.51.100.7", Reserved),
            ("203.0.113.7", Reserved),
            ("224.0.0.1", Reserved),
            ("239.255.255.250", Reserved),
            ("240.0.0.1", Reserved),
            ("255.255.255.255", Reserved),
            ("ff02::1", Reserved),
            ("fec0::1", Reserved),
            ("100::1", Reserved),
            ("64:ff9b:1::1", Reserved),
            ("2001::1", Reserved),
            ("2001:db8::1", Reserved),
            ("3fff::1", Reserved),
            ("4000::1", Reserved),
        ] {
            for hosting in [Hosting::Cloud, Hosting::DataCenter] {
                assert_eq!(check(address, hosting), Err(forbidden), "{address}");
            }
        }
    }

    #[test]
    fn exceptions_win() {
        let policy =
            AddressPolicy::parse(["127.0.0.0/8", "10.1.2.3", "fd00::/8", "", "::1"]).unwrap();
        for (address, expected) in [
            ("127.0.0.1", Ok(())),
            ("::1", Ok(())),
            ("::ffff:127.0.0.1", Ok(())),
            ("10.1.2.3", Ok(())),
            ("10.1.2.4", Err(Private)),
            ("fd12::1", Ok(())),
            ("169.254.169.254", Err(LinkLocal)),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(policy.check(address, Hosting::Cloud), expected, "{address}");
        }
    }

    #[test]
    fn an_error_names_the_flag_and_the_remedy() {
        for value in ["localhost", "10.0.0.0/33", "10.0.0", "*"] {
            let error = AddressPolicy::parse([value]).unwrap_err().to_string();
            assert!(error.contains("--allowed-addresses"), "{error}");
            assert!(
                error.contains(value) && error.contains("10.0.0.0/8"),
                "{error}"
            );
        }
    }
}

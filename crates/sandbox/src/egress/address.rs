//! Which addresses a name may lead to. A table and no more: nothing is resolved or dialled here.
//!
//! The names are the grant, but whoever holds the name's DNS chooses the address (DNS rebinding): without this
//! table, one granted name opens the machine's own services and those of the network around it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is to be done with an address.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It may be dialled.
    Allow,
    /// It may not; the words end the sentence "`name` leads to 10.0.0.1, which is …".
    Refuse(&'static str),
}

/// Judges one address that a name resolved to, or that a socket says it is connected to.
pub(super) fn judge(address: IpAddr, internal: bool) -> Judgement {
    match (kind(address), internal) {
        (Kind::Public, _) | (Kind::Inside, true) => Judgement::Allow,
        (Kind::Inside, false) => Judgement::Refuse("no public address"),
        (Kind::Metadata, _) => Judgement::Refuse("the metadata service of a cloud"),
        (Kind::Never, _) => Judgement::Refuse("no address of one host"),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Globally routable unicast.
    Public,
    /// Loopback, private networks, and what is set aside: where `internal` is granted.
    Inside,
    /// Link-local, multicast, nothing at all: no grant by name opens these.
    Never,
    /// Hands out the credentials of the machine: likewise.
    Metadata,
}

fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => kind4(address),
        IpAddr::V6(address) => kind6(address),
    }
}

/// The IANA registry of special IPv4 addresses (RFC 6890), and the addresses where clouds keep credentials.
fn kind4(address: Ipv4Addr) -> Kind {
    match address.octets() {
        // AWS, Google, Azure, Oracle, …; tasks and pods of AWS; Alibaba; Oracle (old); Azure's wire server, which
        // is a public address answered by the machine's own host.
        [169, 254, 169, 254]
        | [169, 254, 170, 2 | 23]
        | [100, 100, 100, 200]
        | [192, 0, 0, 192]
        | [168, 63, 129, 16] => Kind::Metadata,
        // "This network", where Linux dials itself; link-local; multicast; broadcast.
        [0, ..] | [169, 254, ..] | [224..=239, ..] | [255, 255, 255, 255] => Kind::Never,
        // Loopback; private; shared (CGNAT); protocol assignments; documentation; the old 6to4 relay;
        // benchmarks (our own range within the cage); reserved.
        [127 | 10, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [100, 64..=127, ..]
        | [192, 0, 0 | 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [240..=255, ..] => Kind::Inside,
        _ => Kind::Public,
    }
}

/// Only 2000::/3 is handed out (IANA); the rest is named so as to tell `Inside` from `Never`. An IPv4 address
/// within an IPv6 one is where the packets end, so it is judged too.
fn kind6(address: Ipv6Addr) -> Kind {
    let octets = address.octets();
    let [.., a, b, c, d] = octets;
    let last = kind4(Ipv4Addr::new(a, b, c, d));
    match address.segments() {
        // AWS's metadata and pods; Google's metadata.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254 | 0x0023] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => {
            Kind::Metadata
        }
        [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Never,
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Inside,
        // IPv4-mapped and NAT64 (RFC 6052): the IPv4 address, spelled otherwise.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x0064, 0xff9b, 0, 0, 0, 0, ..] => last,
        // IPv4-compatible, IPv4-translated, NAT64 of one network (RFC 8215): never public.
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x0064, 0xff9b, 1, ..] => {
            last.max(Kind::Inside)
        }
        // 6to4 (RFC 3056) holds the IPv4 address after its prefix.
        [0x2002, ..] => {
            let [_, _, a, b, c, d, ..] = octets;
            kind4(Ipv4Addr::new(a, b, c, d))
        }
        // Teredo (RFC 4380): a tunnel to whoever is written in it.
        [0x2001, 0, ..] => Kind::Never,
        // Multicast; link-local.
        [0xff00..=0xffff, ..] | [0xfe80..=0xfebf, ..] => Kind::Never,
        // Protocol assignments; documentation (RFC 3849, RFC 9637).
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Kind::Inside,
        [0x2000..=0x3fff, ..] => Kind::Public,
        // Unique local, site-local, and what was never handed out.
        _ => Kind::Inside,
    }
}

#[cfg(test)]
mod tests {
    use super::{Judgement, judge};

    fn allowed(address: &str, internal: bool) -> bool {
        judge(address.parse().unwrap(), internal) == Judgement::Allow
    }

    #[test]
    fn public_addresses_are_allowed() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "93.184.216.34",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "11.0.0.0",
            "128.0.0.1",
            "168.63.129.17",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450::1",
            "2001:200::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert!(allowed(address, false), "{address}");
            assert!(allowed(address, true), "{address}");
        }
    }

    #[test]
    fn inside_addresses_need_the_word_internal() {
        for address in [
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "198.51.100.7",
            "203.0.113.9",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "240.0.0.1",
            "255.255.255.254",
            "::1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "::ffff:127.0.0.1",
            "::ffff:10.1.2.3",
            "64:ff9b::192.168.0.1",
            "64:ff9b:1::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "2002:7f00:1::1",
            "2002:a00:1::",
            "2001:db8::1",
            "3fff::1",
            "2001:2::1",
            "2001:20::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:0:10.0.0.1",
            "4000::1",
            "5f00::1",
            "100::1",
        ] {
            assert!(!allowed(address, false), "{address}");
            assert!(allowed(address, true), "{address}");
        }
    }

    #[test]
    fn some_addresses_no_name_may_lead_to() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "169.254.1.1",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "2001::1",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
        ] {
            assert!(!allowed(address, false), "{address}");
            assert!(!allowed(address, true), "{address}");
        }
    }
}

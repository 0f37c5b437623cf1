//! What a cage lets through: paths, hosts and secrets.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Component, Path, PathBuf};

use super::{Unfit, path};
use crate::bounds;
use crate::cage::{self, Access, Destination, Host};
use crate::reference::Lookup;

/// A path that a program is given.
pub(crate) fn grant(
    text: &str,
    access: Access,
    own: &[&Path],
    lookup: &dyn Lookup,
) -> Result<PathBuf, Unfit> {
    if text == "~" {
        return Err(Unfit::new("is the home directory").help("name the folder in it that the program needs"));
    }
    let path = plain(&path(text, lookup)?)?;
    if text.contains('*') {
        return Err(Unfit::new("is a pattern, and there are none here")
            .help("name the folder: it opens all that is in it"));
    }
    let home = lookup.environment("HOME").map(PathBuf::from);
    let home = home.as_deref().filter(|home| home.is_absolute());
    match cage::unfit(&path, access, home, own) {
        Some(reason) => Err(Unfit::new(reason.why).help(reason.help)),
        None => Ok(path),
    }
}

/// A full path without steps that lead nowhere (`.`, `//`) or back (`..`).
pub(crate) fn plain(path: &Path) -> Result<PathBuf, Unfit> {
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(Unfit::new("has a `..` in it").help("write the path that it leads to"));
    }
    Ok(path.components().collect())
}

/// The name of a secret: that of a file.
pub(crate) fn secret_name(name: &str) -> Result<(), Unfit> {
    let inner = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    let fits = (1..=bounds::SECRET_NAME).contains(&name.len()) && name.chars().all(inner);
    if fits && name != "." && name != ".." {
        return Ok(());
    }
    Err(Unfit::new("is no name for a secret")
        .help("a name has 1 to 64 letters, digits, `_`, `.` and `-`, and is neither `.` nor `..`"))
}

/// A host of the public network, with its port.
pub(crate) fn public(text: &str) -> Result<Destination, Unfit> {
    let found = destination(text)?;
    match &found.host {
        Host::Name(name) if name == LOCALHOST || name.ends_with(".localhost") => {
            Err(Unfit::new("is this machine, which has no public address")
                .help("write it under `internal_network`"))
        }
        Host::Name(_) | Host::Below(_) | Host::Address(_) => Ok(found),
    }
}

/// A host with its port.
pub(crate) fn destination(text: &str) -> Result<Destination, Unfit> {
    strict(text).map_err(|Not(why, help)| Unfit {
        // What stands before an `@` may be a password.
        secret: text.contains('@'),
        ..Unfit::new(why).help(help).meant(near(text))
    })
}

/// Why a text is no host with a port, and what to write.
struct Not(&'static str, &'static str);

const FORM: &str = "write `HOST:PORT`, such as `api.example.com:443`";
const LOCALHOST: &str = "localhost";

fn strict(text: &str) -> Result<Destination, Not> {
    if is_ipv6(text) {
        let help = "a cage leads to names and IPv4 addresses: write the name of the host";
        return Err(Not("is an IPv6 address", help));
    }
    if text.contains(['/', '\\', '@', '?', '#']) {
        return Err(Not("is more than a host and a port", FORM));
    }
    let (host, port) = text.rsplit_once(':').ok_or(Not("has no port", FORM))?;
    let digits = port.chars().all(|digit| digit.is_ascii_digit()) && !port.starts_with('0');
    let port = port.parse().ok().filter(|_| digits);
    let port = port.ok_or(Not("has no port from 1 to 65535", FORM))?;
    let host = read_host(host)?;
    Ok(Destination { host, port })
}

fn is_ipv6(text: &str) -> bool {
    let before = text.rsplit_once(':').map_or(text, |(host, _)| host);
    text.starts_with('[') || text.parse::<Ipv6Addr>().is_ok() || before.parse::<Ipv6Addr>().is_ok()
}

fn read_host(host: &str) -> Result<Host, Not> {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        let nobody = address.is_unspecified() || address.is_broadcast() || address.is_multicast();
        return if nobody {
            Err(Not("is the address of no host", FORM))
        } else {
            Ok(Host::Address(address))
        };
    }
    if host == "*" {
        return Err(Not(
            "opens the whole network",
            "name each host that the program needs; `*.example.com:443` is all names below one",
        ));
    }
    if let Some(above) = host.strip_prefix("*.") {
        return match read_name(above)? {
            name if name.contains('.') => Ok(Host::Below(name)),
            _ => Err(Not(
                "opens too much",
                "after `*.` goes a name of two parts or more: `*.example.com:443`",
            )),
        };
    }
    let name = read_name(host)?;
    if name == LOCALHOST || name.contains('.') {
        Ok(Host::Name(name))
    } else {
        Err(Not(
            "is not the full name of a host",
            "write the name with its domain, such as `db.corp.example:5432`; only `localhost` has none",
        ))
    }
}

/// RFC 1123 §2.1, RFC 1035 §2.3.4: labels of letters, digits and hyphens.
fn read_name(name: &str) -> Result<String, Not> {
    if name.contains('*') {
        return Err(Not(
            "has a `*` where none can be",
            "`*.` stands in front, for all names below one: `*.example.com:443`",
        ));
    }
    if !name.is_ascii() {
        return Err(Not(
            "has letters that no host name has",
            "write the name as the network knows it, with `xn--` for such letters",
        ));
    }
    let is_label = |label: &str| {
        let inner = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(inner)
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(Not("is no name of a host", FORM));
    }
    let name = name.to_ascii_lowercase();
    // Resolvers take `127.1` and `0x7f.1` for addresses (WHATWG URL §3.5, "ends in a number").
    let last = name.rsplit('.').next().unwrap_or_default();
    let number = last
        .strip_prefix("0x")
        .is_some_and(|hex| hex.chars().all(|digit| digit.is_ascii_hexdigit()))
        || last.chars().all(|digit| digit.is_ascii_digit());
    if number {
        return Err(Not(
            "is no IPv4 address, though it looks like one",
            "an address has four numbers from 0 to 255, such as `10.0.0.5:5432`",
        ));
    }
    Ok(name)
}

/// What was probably meant: the host and port of a URL, or the port of `https` where none was written.
fn near(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let authority = rest.split(['/', '\\', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port),
        None => (authority, usual_port(scheme)?),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let found = strict(&format!("{host}:{port}")).ok()?.to_string();
    (found != text).then_some(found)
}

fn usual_port(scheme: &str) -> Option<&'static str> {
    Some(match scheme.to_ascii_lowercase().as_str() {
        "https" | "wss" => "443",
        "http" | "ws" => "80",
        "postgres" | "postgresql" => "5432",
        "mysql" | "mariadb" => "3306",
        "redis" => "6379",
        "mongodb" => "27017",
        "amqp" => "5672",
        "ssh" | "git+ssh" => "22",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_a_port() {
        for (text, host, port) in [
            ("api.example.com:443", Host::Name("api.example.com".into()), 443),
            ("API.Example.COM:1", Host::Name("api.example.com".into()), 1),
            ("localhost:65535", Host::Name("localhost".into()), 65_535),
            (
                "xn--bcher-kva.example:80",
                Host::Name("xn--bcher-kva.example".into()),
                80,
            ),
            ("1.example:80", Host::Name("1.example".into()), 80),
            ("0x7f.example:80", Host::Name("0x7f.example".into()), 80),
            ("*.Example.com:443", Host::Below("example.com".into()), 443),
            ("*.a.example.com:443", Host::Below("a.example.com".into()), 443),
            ("10.0.0.5:5432", Host::Address(Ipv4Addr::new(10, 0, 0, 5)), 5432),
            ("127.0.0.1:80", Host::Address(Ipv4Addr::LOCALHOST), 80),
        ] {
            assert_eq!(destination(text), Ok(Destination { host, port }), "{text}");
        }
    }

    #[test]
    fn what_is_no_host_with_a_port_is_refused() {
        let long = format!("{}.example:80", "x".repeat(64));
        let longer = format!("{}example:80", "x.".repeat(130));
        for text in [
            "",
            ":",
            ":443",
            "a.example",
            "a.example:",
            "a.example:0",
            "a.example:65536",
            "a.example:+1",
            "a.example:0443",
            "a.example:https",
            "a.example:443:443",
            "a.example: 443",
            " a.example:443",
            "a.example:443\n",
            "a.example\0:443",
            "a.example.:443",
            ".a.example:443",
            "a..example:443",
            "-a.example:443",
            "a-.example:443",
            "a_b.example:443",
            "bücher.example:443",
            "db:5432",
            "*:443",
            "*.com:443",
            "*.localhost:80",
            "*example.com:443",
            "a.*.example:443",
            "*.*.example:443",
            "*.:443",
            "*.10.0.0.5:80",
            "**.example.com:443",
            "0.0.0.0:80",
            "255.255.255.255:80",
            "224.0.0.1:80",
            "127.1:80",
            "10.0.0:80",
            "10.0.0.256:80",
            "10.0.0.05:80",
            "2130706433:80",
            "0x7f000001:80",
            "127.0x1:80",
            "a.0x:80",
            "[::1]:443",
            "::1",
            "[2001:db8::1]:443",
            "2001:db8::1:443",
            "https://a.example",
            "https://a.example:443/x",
            "a.example:443/",
            "a.example/x:443",
            "user@a.example:443",
            "a.example:443?x",
            "a.example:443#x",
            "\\\\a.example:443",
            "a.example,b.example:443",
            &long,
            &longer,
        ] {
            assert!(destination(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_right_form_is_shown() {
        for (text, right) in [
            ("https://x.example/y", "x.example:443"),
            ("HTTP://X.example", "x.example:80"),
            ("wss://x.example:9000/y?z", "x.example:9000"),
            ("https://user:pw@x.example/", "x.example:443"),
            ("postgres://db.example/app", "db.example:5432"),
            ("x.example", "x.example:443"),
            ("x.example/y", "x.example:443"),
            ("*.x.example", "*.x.example:443"),
            ("x.example.:443", "x.example:443"),
        ] {
            assert_eq!(near(text).as_deref(), Some(right), "{text}");
        }
        for text in [
            "gopher://x.example",
            "*",
            "db",
            "https://",
            "https://[::1]/",
            "x.example:443",
        ] {
            assert_eq!(near(text), None, "{text}");
        }
    }

    #[test]
    fn this_machine_is_not_public() {
        for text in ["localhost:80", "a.localhost:80"] {
            assert!(public(text).is_err() && destination(text).is_ok(), "{text}");
        }
        assert!(public("localhost.example:80").is_ok() && public("127.0.0.1:80").is_ok());
    }

    #[test]
    fn secrets_have_names_of_files() {
        let long = "x".repeat(64);
        for name in ["a", "API_KEY", "tls.key", "-", "...", ".a", &long] {
            assert_eq!(secret_name(name), Ok(()), "{name}");
        }
        let longer = "x".repeat(65);
        for name in ["", ".", "..", "a/b", "../a", "a b", "a\0", "é", "a\n", &longer] {
            assert!(secret_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn grants_are_full_and_plain() {
        let home = |name: &str| (name == "HOME").then(|| "/home/ada".to_owned());
        let of = |text: &str| grant(text, Access::Read, &[Path::new("/state")], &home);
        for (text, path) in [
            ("/srv/data", "/srv/data"),
            ("/srv//data/./x/", "/srv/data/x"),
            ("~/notes", "/home/ada/notes"),
            ("/srv/a..b", "/srv/a..b"),
        ] {
            assert_eq!(of(text).as_deref(), Ok(Path::new(path)), "{text}");
            // Equal paths may differ in their text.
            assert_eq!(of(text).unwrap().to_str(), Some(path));
        }
        for text in [
            "",
            "notes",
            "./notes",
            "../notes",
            "~",
            "~/",
            "~/.",
            "~bob/x",
            "/srv/../etc",
            "/srv/..",
            "~/../bob/x",
            "/srv/a\0",
            "/srv/*",
            "/",
            "//",
            "/.",
            "/state",
            "/state/token",
            "~/.ssh",
            "~/notes/../.ssh",
        ] {
            assert!(of(text).is_err(), "{text:?}");
        }
        assert!(grant("~/notes", Access::Read, &[], &|_: &str| None).is_err());
    }
}

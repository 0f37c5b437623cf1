//! What a single value must be, and the value made of it. Nothing here knows the rest of the file.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use crate::bounds;
use crate::diagnose::{Problem, quoted};
use crate::quantity::{NotOne, Pause, Size, Whole};
use crate::reference::{Lookup, is_name};

/// Why a value does not do. It never holds the value, which may have come from a reference.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// Follows the value: "`0.0.0.0:1` …".
    why: String,
    help: Vec<String>,
    /// What was probably meant.
    meant: Option<String>,
    /// The file may hold a password here.
    pub(crate) secret: bool,
}

impl Unfit {
    fn new(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            help: Vec::new(),
            meant: None,
            secret: false,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    fn meant(mut self, meant: Option<String>) -> Self {
        self.meant = meant;
        self
    }

    /// The problem with a value that was `written` so. What was meant is named only where the file itself says
    /// the value, not where a reference stands for it.
    pub(crate) fn problem(self, written: &str, referenced: bool) -> Problem {
        let subject = if self.secret {
            "the value".to_owned()
        } else {
            quoted(written)
        };
        let problem = Problem::new(format!("{subject} {}", self.why));
        let problem = match self.meant {
            Some(meant) if !referenced => problem.label(format!("did you mean {}?", quoted(&meant))),
            _ => problem,
        };
        self.help.into_iter().fold(problem, Problem::help)
    }
}

/// A name of a server. `__` stands between it and a tool's name, and its edges must not blur there.
pub(crate) fn server_name(name: &str) -> Result<(), Unfit> {
    let edge = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let inner = |letter: char| edge(letter) || letter == '-' || letter == '_';
    let fits = name.starts_with(edge) && name.ends_with(edge) && name.chars().all(inner);
    if fits && name.len() <= bounds::SERVER_NAME && !name.contains("__") {
        return Ok(());
    }
    let help = "a name has 1 to 32 lower-case letters, digits, `-` and `_`, no `__`, and a letter or digit at both ends";
    Err(Unfit::new("is no name for a server")
        .help(help)
        .meant(near_server_name(name)))
}

/// The name of a server that is nearest to some text.
pub(crate) fn near_server_name(text: &str) -> Option<String> {
    let mut name = String::new();
    for letter in text.chars().flat_map(char::to_lowercase) {
        let letter = if letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_' {
            letter
        } else {
            '-'
        };
        let joins = matches!(letter, '-' | '_');
        if name.len() < bounds::SERVER_NAME && !(joins && (name.is_empty() || name.ends_with(['-', '_']))) {
            name.push(letter);
        }
    }
    name.truncate(name.trim_end_matches(['-', '_']).len());
    (!name.is_empty()).then_some(name)
}

/// The address of the listener.
pub(crate) fn address(text: &str) -> Result<SocketAddr, Unfit> {
    let help = "write an IP address and a port, such as `127.0.0.1:8300` or `[::1]:8300`";
    let wrong = || {
        Unfit::new("is no address to listen on")
            .help(help)
            .meant(near_address(text))
    };
    let address: SocketAddr = text.parse().map_err(|_| wrong())?;
    if !address.ip().is_loopback() {
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port());
        return Err(Unfit::new("can be reached from other machines")
            .meant(Some(local.to_string()))
            .help("this version has no TLS, and tokens do not travel in the clear: listen on this machine only, and put a proxy with TLS in front"));
    }
    Ok(address)
}

fn near_address(text: &str) -> Option<String> {
    let port = crate::defaults::PORT;
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, port).to_string());
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().ok()?),
        None => (text, text.parse().unwrap_or(port)),
    };
    let local = host.is_empty() || host.eq_ignore_ascii_case("localhost") || host == port.to_string();
    local.then(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port).to_string())
}

/// A name, with or without a port, that a `Host` header may carry.
pub(crate) fn host(text: &str) -> Result<String, Unfit> {
    let help = "write the host as clients send it, such as `mcp.example.com` or `mcp.example.com:8443`";
    let wrong = |meant| Unfit::new("is no host").help(help).meant(meant);
    if text.contains('*') {
        return Err(
            Unfit::new("names more than one host").help("write each host out: there are no patterns here")
        );
    }
    if let Some((_, rest)) = text.split_once("://") {
        return Err(wrong(
            rest.split('/')
                .next()
                .filter(|host| is_authority(host))
                .map(str::to_owned),
        ));
    }
    if !is_authority(text) {
        return Err(wrong(None));
    }
    Ok(text.to_ascii_lowercase())
}

/// An origin as browsers send it (RFC 6454 §6.2).
pub(crate) fn origin(text: &str) -> Result<String, Unfit> {
    let help = "write scheme and host, and the port if it is not the usual one: `https://app.example.com`";
    let wrong = |meant| Unfit::new("is no origin").help(help).meant(meant);
    if text.contains('*') || text == "null" {
        return Err(Unfit::new("lets pages in that nobody named")
            .help("write each origin out: `*` and `null` would open the gateway to any page in any browser on this machine"));
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong(None))?;
    let is_scheme = scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !is_scheme || !is_authority(authority) {
        return Err(wrong(None));
    }
    if !path.is_empty() || rest.ends_with('/') {
        return Err(wrong(Some(format!("{scheme}://{authority}"))));
    }
    let origin = text.to_ascii_lowercase();
    let usual = match scheme.to_ascii_lowercase().as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return Ok(origin),
    };
    Ok(origin.strip_suffix(usual).map_or(origin.clone(), str::to_owned))
}

/// A host with an optional port: a name, an IPv4 address, or an IPv6 address in brackets.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((inside, after)) if inside.parse::<core::net::Ipv6Addr>().is_ok() => {
                ("", after.strip_prefix(':').or((!after.is_empty()).then_some("-")))
            }
            _ => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_')
    };
    let digits = |port: &str| {
        port.chars().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    (text.starts_with('[') || host.split('.').all(is_label)) && port.is_none_or(digits) && text.len() <= 255
}

/// A full path; `~/` is the home directory.
pub(crate) fn path(text: &str, lookup: &dyn Lookup) -> Result<PathBuf, Unfit> {
    if text.contains('\0') {
        return Err(Unfit::new("holds a NUL character"));
    }
    let path = match text.strip_prefix("~/") {
        Some(rest) => match lookup.environment("HOME").map(PathBuf::from) {
            Some(home) if home.is_absolute() => home.join(rest),
            _ => {
                return Err(
                    Unfit::new("needs a home directory, and `HOME` is not set").help("write the full path")
                );
            }
        },
        None => PathBuf::from(text),
    };
    if !path.is_absolute() {
        let help = "write the full path, from `/` or `~/`: where the gateway is started from must not matter";
        return Err(Unfit::new("is not a full path").help(help));
    }
    Ok(path)
}

/// The program of a command.
pub(crate) fn program(text: &str, alone: bool) -> Result<(), Unfit> {
    if text.is_empty() {
        return Err(
            Unfit::new("is no program").help("write the program first: `command: [PROGRAM, ARGUMENT, …]`")
        );
    }
    if alone && text.contains(char::is_whitespace) && !text.starts_with('/') {
        return Err(Unfit::new("is a whole command line").help(
            "no shell reads it; write the program and each argument apart: `command: [PROGRAM, ARGUMENT, …]`",
        ));
    }
    if text.contains('/') && !Path::new(text).is_absolute() {
        return Err(Unfit::new("is not a full path")
            .help("write the program's name, to be found in `PATH`, or its full path; `${env:HOME}` stands for the home directory"));
    }
    argument(text)
}

/// Any part of a command, and the value of a variable.
pub(crate) fn argument(text: &str) -> Result<(), Unfit> {
    if text.contains('\0') {
        Err(Unfit::new("holds a NUL character"))
    } else {
        Ok(())
    }
}

/// The name of a variable for a program.
pub(crate) fn variable(name: &str) -> Result<(), Unfit> {
    if is_name(name) {
        return Ok(());
    }
    Err(Unfit::new("is no name of a variable")
        .help("a name has letters, digits and `_`, and does not begin with a digit"))
}

/// A pattern of an `allow` or `refuse` list.
pub(crate) fn pattern(text: &str) -> Result<(), Unfit> {
    if text.is_empty() {
        return Err(Unfit::new("matches nothing").help("write a name, `*` for any, or leave the line out"));
    }
    if text.len() > bounds::PATTERN_BYTES {
        return Err(Unfit::new(format!(
            "is longer than {} bytes",
            bounds::PATTERN_BYTES
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(
            Unfit::new("holds a control character").help("names of tools, prompts and resources have none")
        );
    }
    Ok(())
}

/// Headers that a file may not set: those of the hop (RFC 9110 §7.6.1), those that say what the message is, and
/// those that the gateway or the protocol sets.
const TAKEN: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The name of a header, in lower case.
pub(crate) fn header_name(name: &str) -> Result<String, Unfit> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Unfit::new("is no name of a header").help("a name has letters, digits and `-`"))?;
    let name = name.as_str();
    if TAKEN.contains(&name) || name.starts_with("mcp-") || name.starts_with("content-") {
        return Err(Unfit::new("is a header that the gateway sets by itself").help("remove it"));
    }
    Ok(name.to_owned())
}

/// The value of a header.
pub(crate) fn header_value(text: &str) -> Result<(), Unfit> {
    let unfit = |why| Unfit {
        secret: true,
        ..Unfit::new(why)
    };
    if text.contains(['\n', '\r']) {
        return Err(unfit("holds a line break, which would begin another header")
            .help("a variable that was read from a file often ends with one"));
    }
    if text.trim() != text || text.is_empty() {
        return Err(unfit("is empty, or begins or ends with a blank"));
    }
    HeaderValue::from_str(text)
        .map(drop)
        .map_err(|_| unfit("holds characters that a header cannot carry"))
}

/// The URL of a server, its scheme and host in lower case, and whether it is plain HTTP to another machine.
pub(crate) fn url(text: &str) -> Result<(String, Reach), Unfit> {
    let help = "write it like `https://crm.example.com/mcp`";
    let wrong = || Unfit::new("is no URL of an MCP server").help(help);
    if text.contains('#') {
        return Err(Unfit::new("has a fragment (`#…`), which is never sent").help("remove it"));
    }
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let authority = uri.authority().ok_or_else(wrong)?;
    if authority.as_str().contains('@') {
        return Err(Unfit {
            secret: true,
            ..Unfit::new("holds a user name or password")
        }
        .help("move it: `headers: { Authorization: \"Basic ${env:NAME}\" }`"));
    }
    if !is_authority(authority.as_str()) {
        return Err(wrong());
    }
    let reach = match uri.scheme_str() {
        Some("https") => Reach::Encrypted,
        Some("http") if is_loopback(authority.host()) => Reach::ThisMachine,
        Some("http") => Reach::InTheClear,
        _ => return Err(wrong()),
    };
    let scheme = uri.scheme_str().unwrap_or_default();
    let rest = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    Ok((
        format!("{scheme}://{}{rest}", authority.as_str().to_ascii_lowercase()),
        reach,
    ))
}

/// How what is sent to a URL travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Reach {
    Encrypted,
    ThisMachine,
    InTheClear,
}

/// The refusal of plain HTTP to another machine.
pub(crate) fn in_the_clear() -> Unfit {
    Unfit::new("sends everything in the clear, credentials included")
        .help("use `https://`; only if nobody else is on the way, add `plain_http: accept` to the server")
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A size within bounds.
pub(crate) fn size(size: &Size, bounds: RangeInclusive<u64>) -> Result<usize, Unfit> {
    within(size.bytes()?, bounds, bytes)
}

/// A whole number within bounds.
pub(crate) fn whole(number: &Whole, bounds: RangeInclusive<u64>) -> Result<usize, Unfit> {
    within(number.number()?, bounds, |number| number.to_string())
}

/// The same, for numbers that are kept small.
pub(crate) fn count(number: &Whole, bounds: RangeInclusive<u32>) -> Result<u32, Unfit> {
    let fits = u32::try_from(number.number()?)
        .ok()
        .filter(|number| bounds.contains(number));
    fits.ok_or_else(|| outside(&bounds.start().to_string(), &bounds.end().to_string()))
}

/// A duration within bounds.
pub(crate) fn pause(pause: &Pause, bounds: RangeInclusive<Duration>) -> Result<Duration, Unfit> {
    let pause = Duration::from_millis(pause.millis()?);
    if bounds.contains(&pause) {
        Ok(pause)
    } else {
        Err(outside(&time(*bounds.start()), &time(*bounds.end())))
    }
}

fn within(number: u64, bounds: RangeInclusive<u64>, say: impl Fn(u64) -> String) -> Result<usize, Unfit> {
    let fits = usize::try_from(number).ok().filter(|_| bounds.contains(&number));
    fits.ok_or_else(|| outside(&say(*bounds.start()), &say(*bounds.end())))
}

fn outside(least: &str, most: &str) -> Unfit {
    Unfit::new("is out of bounds").help(format!("write something from {least} to {most}"))
}

impl From<NotOne> for Unfit {
    fn from(not: NotOne) -> Self {
        Self::new(not.why).help(not.help).meant(not.meant)
    }
}

fn bytes(number: u64) -> String {
    let units = [(1 << 20, "MiB"), (1 << 10, "KiB")];
    let fits = units.into_iter().find(|(unit, _)| number.is_multiple_of(*unit));
    fits.map_or_else(
        || number.to_string(),
        |(unit, name)| format!("{}{name}", number / unit),
    )
}

fn time(pause: Duration) -> String {
    let millis = pause.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let fits = units.into_iter().find(|(unit, _)| millis.is_multiple_of(*unit));
    fits.map_or_else(
        || format!("{millis}ms"),
        |(unit, name)| format!("{}{name}", millis / unit),
    )
}

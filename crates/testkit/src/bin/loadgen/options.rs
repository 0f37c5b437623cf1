//! The command line of the load generator, each value within its bounds.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

pub(crate) const USAGE: &str = "\
mantlet-loadgen --url http://127.0.0.1:PORT/PATH [options]
mantlet-loadgen [options] -- CMD ARGUMENTS...

  --conns N          HTTP: connections, each with its own session; CMD: requests in flight (default 1, at most 512)
  --requests N       requests in all, after the warm-up (default 10000, at most 5000000)
  --warmup N         requests in all before the clock starts (default 200)
  --max-secs S       stop after S seconds at the latest (default 30, at most 300)
  --protocol V       version of MCP; 2026-07-28 goes without a handshake (default 2025-11-25)
  --method M         tools/call or tools/list (default tools/call)
  --tool NAME        the tool (default echo)
  --args JSON        its arguments (default {\"message\":\"hello\"})
  --expect TEXT      an answer without TEXT counts as an error (default \"result\")
  --status CODE      HTTP: the status that counts as right (default 200)
  --header 'K: V'    HTTP: a further request header (repeatable)
  --token-file FILE  HTTP: send what the file holds as bearer token
  --pid NAME=PID     report CPU time and memory of this process, too (repeatable)
  --label TEXT       put into the report";

/// The version without sessions, and those with `initialize`.
const MODERN: &str = "2026-07-28";
const LEGACY: &[&str] = &["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    Help,
    Load(Box<Options>),
}

/// What is put under load.
#[derive(Debug)]
pub(crate) enum Target {
    Http(Place),
    Command(Vec<String>),
}

/// An HTTP endpoint on this machine.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    pub(crate) host: String,
    pub(crate) path: String,
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) target: Target,
    pub(crate) connections: usize,
    pub(crate) requests: u64,
    pub(crate) warmup: u64,
    pub(crate) limit: Duration,
    pub(crate) protocol: String,
    pub(crate) method: String,
    pub(crate) tool: String,
    pub(crate) arguments: serde_json::Value,
    pub(crate) expect: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<String>,
    pub(crate) processes: Vec<(String, u32)>,
    pub(crate) label: String,
}

impl Options {
    fn new(target: Target) -> Self {
        Self {
            target,
            connections: 1,
            requests: 10_000,
            warmup: 200,
            limit: Duration::from_secs(30),
            protocol: "2025-11-25".to_owned(),
            method: "tools/call".to_owned(),
            tool: "echo".to_owned(),
            arguments: serde_json::json!({ "message": "hello" }),
            expect: "\"result\"".to_owned(),
            status: 200,
            headers: Vec::new(),
            processes: Vec::new(),
            label: String::new(),
        }
    }

    /// Whether the protocol goes without a handshake.
    pub(crate) fn is_modern(&self) -> bool {
        self.protocol == MODERN
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "url" => self.target = Target::Http(place(value)?),
            "conns" => self.connections = number(value, 1, 512)?,
            "requests" => self.requests = number(value, 1, 5_000_000)?,
            "warmup" => self.warmup = number(value, 0, 1_000_000)?,
            "max-secs" => self.limit = Duration::from_secs(number(value, 1, 300)?),
            "protocol" if value == MODERN || LEGACY.contains(&value) => value.clone_into(&mut self.protocol),
            "protocol" => return Err(format!("`{value}` is no version of MCP")),
            "method" if matches!(value, "tools/call" | "tools/list") => value.clone_into(&mut self.method),
            "method" => return Err(format!("`{value}` is neither `tools/call` nor `tools/list`")),
            "tool" => value.clone_into(&mut self.tool),
            "args" => self.arguments = arguments(value)?,
            "expect" => value.clone_into(&mut self.expect),
            "status" => self.status = number(value, 100, 599)?,
            "header" => self.headers.push(header(value)?),
            "token-file" => self.headers.push(bearer(value)?),
            "pid" => self.processes.push(process(value)?),
            "label" => value.clone_into(&mut self.label),
            _ => return Err(format!("there is no option `--{name}`")),
        }
        Ok(())
    }
}

/// Reads the command line, without the program's name.
pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut options = Options::new(Target::Command(Vec::new()));
    while let Some(word) = words.next() {
        match word.strip_prefix("--") {
            Some("help") => return Ok(Asked::Help),
            Some("") => {
                let command: Vec<String> = words.by_ref().collect();
                if matches!(options.target, Target::Http(_)) {
                    return Err("give `--url` or a command, not both".to_owned());
                }
                options.target = Target::Command(command);
            }
            Some(name) => {
                let value = words.next().ok_or_else(|| format!("`--{name}` needs a value"))?;
                options.set(name, &value)?;
            }
            None => return Err(format!("`{word}` is no option")),
        }
    }
    match &options.target {
        Target::Command(words) if words.is_empty() => {
            Err("give `--url http://…`, or a command after `--`".to_owned())
        }
        Target::Command(_) if !options.headers.is_empty() || options.status != 200 => {
            Err("headers and a status are for `--url` only".to_owned())
        }
        _ => Ok(Asked::Load(Box::new(options))),
    }
}

fn number<N>(text: &str, least: N, most: N) -> Result<N, String>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    match text.parse() {
        Ok(number) if least <= number && number <= most => Ok(number),
        _ => Err(format!("`{text}` is not a number from {least} to {most}")),
    }
}

fn place(url: &str) -> Result<Place, String> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| format!("`{url}` is no http:// URL"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, "mcp"));
    if url.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
        return Err("a URL has neither spaces nor control characters".to_owned());
    }
    let found = host.to_socket_addrs().ok().and_then(|mut all| all.next());
    match found {
        Some(address) if address.ip().is_loopback() => Ok(Place {
            address,
            host: host.to_owned(),
            path: format!("/{path}"),
        }),
        Some(address) => Err(format!("{address} is not on this machine")),
        None => Err(format!("`{host}` is no host and port")),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the command line is not a message of the gateway"
)]
fn arguments(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).map_err(|error| format!("`--args` is not JSON: {error}"))
}

fn header(text: &str) -> Result<String, String> {
    let good = text.contains(':') && !text.bytes().any(|byte| byte.is_ascii_control());
    if good {
        Ok(text.to_owned())
    } else {
        Err("a header is `Name: value` on one line".to_owned())
    }
}

/// The token is not on the command line, where every user of the machine could read it.
fn bearer(path: &str) -> Result<String, String> {
    let token = std::fs::read_to_string(path).map_err(|error| format!("`{path}` cannot be read: {error}"))?;
    header(&format!("authorization: Bearer {}", token.trim()))
}

fn process(text: &str) -> Result<(String, u32), String> {
    text.split_once('=')
        .and_then(|(name, pid)| Some((name.to_owned(), pid.parse().ok()?)))
        .ok_or_else(|| format!("`{text}` is not NAME=PID"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Asked, String> {
        read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn both_targets_are_understood() {
        let Ok(Asked::Load(options)) =
            asked("--url http://127.0.0.1:9/servers/a/mcp --conns 32 --protocol 2026-07-28")
        else {
            panic!("not understood");
        };
        assert!(matches!(&options.target, Target::Http(place) if place.path == "/servers/a/mcp"));
        assert_eq!((options.connections, options.is_modern()), (32, true));
        let Ok(Asked::Load(options)) = asked("--requests 5 -- prog --conns 7") else {
            panic!("not understood");
        };
        assert!(matches!(&options.target, Target::Command(words) if words == &["prog", "--conns", "7"]));
        assert_eq!(options.connections, 1);
    }

    #[test]
    fn nothing_is_taken_that_would_be_ignored_or_unbounded() {
        for line in [
            "",
            "--",
            "--url https://127.0.0.1:9/mcp",
            "--url http://127.0.0.1/mcp",
            "--url http://192.0.2.1:80/mcp",
            "--url http://127.0.0.1:9/ --conns 0",
            "--url http://127.0.0.1:9/ --conns 513",
            "--url http://127.0.0.1:9/ --max-secs 301",
            "--url http://127.0.0.1:9/ --protocol 2099-01-01",
            "--url http://127.0.0.1:9/ --header nocolon",
            "--url http://127.0.0.1:9/ --unknown 1",
            "--url http://127.0.0.1:9/ --args {",
            "--url http://127.0.0.1:9/ --pid x",
            "--url http://127.0.0.1:9/ -- prog",
            "--url",
            "--status 202 -- prog",
            "prog",
        ] {
            assert!(asked(line).is_err(), "{line}");
        }
    }
}

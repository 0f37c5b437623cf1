//! The form of an attack file.

use std::collections::BTreeMap;
use std::path::Path;

use mantlet_tests::root;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attack {
    /// What the attacker wants, in one sentence.
    #[expect(dead_code, reason = "for the reader; its presence is checked by the form")]
    pub(crate) attack: String,
    /// The CVE, the advisory, or the place in the specification.
    #[expect(dead_code, reason = "for the reader; its presence is checked by the form")]
    pub(crate) source: String,
    /// The puppet's script.
    #[serde(default)]
    pub(crate) server: Option<Value>,
    /// Members of the server's configuration, `allow` and the like.
    #[serde(default)]
    pub(crate) rules: Option<Value>,
    /// More of the configuration, at the top.
    #[serde(default)]
    pub(crate) settings: Option<BTreeMap<String, Value>>,
    /// What the client declares.
    #[serde(default)]
    pub(crate) capabilities: Option<Value>,
    /// Through `/mcp`, where all servers are, instead of the puppet's own endpoint. Over HTTP only.
    #[serde(default)]
    pub(crate) all_servers: bool,
    /// It makes sense over HTTP only.
    #[serde(default)]
    pub(crate) http_only: bool,
    pub(crate) steps: Vec<Step>,
    /// None of these may reach the server.
    #[serde(default)]
    pub(crate) server_never_sees: Vec<String>,
    /// All of these must.
    #[serde(default)]
    pub(crate) server_sees: Vec<String>,
    /// Files that must not be there afterwards, in the attack's folder.
    #[serde(default)]
    pub(crate) never_made: Vec<String>,
    #[serde(default)]
    pub(crate) log_has: Vec<String>,
    #[serde(default)]
    pub(crate) log_never_has: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// A message as text; `{nest:N}` and `{pad:N}` are filled in.
    #[serde(default)]
    pub(crate) send: Option<String>,
    /// The same in hexadecimal, for bytes that are no text.
    #[serde(default)]
    pub(crate) bytes: Option<String>,
    /// A whole HTTP request; `{host}`, `{token}` and `{session}` are filled in.
    #[serde(default)]
    pub(crate) raw: Option<String>,
    #[serde(default = "post")]
    pub(crate) method: String,
    /// `/servers/puppet/mcp` unless said.
    #[serde(default)]
    pub(crate) path: Option<String>,
    /// `legacy` (in a session), `modern` or `bare` (no headers of the protocol).
    #[serde(default = "legacy")]
    pub(crate) face: String,
    /// Added, or replaced; empty removes.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) expect: Expect,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// Of the HTTP answer.
    #[serde(default)]
    pub(crate) status: Option<u16>,
    /// The refusal's code.
    #[serde(default)]
    pub(crate) reason: Option<String>,
    /// Part of the answer.
    #[serde(default)]
    pub(crate) has: Option<String>,
    /// No part of the answer.
    #[serde(default)]
    pub(crate) has_not: Option<String>,
    /// The answer is a result.
    #[serde(default)]
    pub(crate) result: bool,
}

fn post() -> String {
    "POST".to_owned()
}

fn legacy() -> String {
    "legacy".to_owned()
}

impl Attack {
    pub(crate) fn goes_over_stdio(&self) -> bool {
        let plain = |step: &Step| {
            step.raw.is_none()
                && step.path.is_none()
                && step.face == "legacy"
                && step.headers.is_empty()
                && step.method == "POST"
                // A line ends at a line feed; such a body cannot be said over stdio.
                && !step.payload(Path::new("")).contains(&b'\n')
        };
        !self.http_only && !self.all_servers && self.steps.iter().all(plain)
    }
}

impl Step {
    /// The body's bytes; `{dir}` is the attack's folder.
    pub(crate) fn payload(&self, directory: &Path) -> Vec<u8> {
        if let Some(hex) = &self.bytes {
            let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
            let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            return digits.chunks(2).map(byte).collect();
        }
        let text = filled(self.send.as_deref().unwrap_or_default());
        text.replace("{dir}", &directory.to_string_lossy()).into_bytes()
    }
}

/// `{nest:N}`: N opened and closed arrays; `{pad:N}`: N letters.
pub(crate) fn filled(text: &str) -> String {
    let mut text = text.to_owned();
    for (name, fill) in [
        ("{nest:", nested as fn(usize) -> String),
        ("{pad:", |count| "a".repeat(count)),
    ] {
        while let Some((before, rest)) = text.split_once(name) {
            let (count, after) = rest.split_once('}').unwrap();
            text = format!("{before}{}{after}", fill(count.parse().unwrap()));
        }
    }
    text
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// All attacks, by file name.
pub(crate) fn all() -> Vec<(String, Attack)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join("tests/attacks")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let attack = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        found.push((name, attack));
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

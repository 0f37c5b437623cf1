//! One hole: its attack, plain and caged, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use mantlet_tests::http::parse;
use mantlet_tests::lines::Talk;
use mantlet_tests::root;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::place::{Place, SECRET, Tools};
use crate::users::{User, is_root};

/// `tests/e2e/cves.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replays {
    servers: BTreeMap<String, Server>,
    replays: Vec<Replay>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    command: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    cve: String,
    about: String,
    server: String,
    attack: Vec<Call>,
    #[serde(default)]
    leaks: bool,
    #[serde(default)]
    changes: BTreeSet<String>,
    #[serde(default)]
    calls_home: bool,
    benign: Vec<Call>,
}

/// A call of a tool.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    tool: String,
    arguments: Value,
    says: Option<String>,
    makes: Option<String>,
}

/// What an attack got.
#[derive(Debug, PartialEq, Eq)]
struct Got {
    leaks: bool,
    changes: BTreeSet<String>,
    calls_home: bool,
}

fn read() -> Replays {
    let text = std::fs::read_to_string(root().join("tests/e2e/cves.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// The numbers of all holes.
pub(crate) fn all() -> BTreeSet<String> {
    read().replays.into_iter().map(|replay| replay.cve).collect()
}

/// Plays all attacks on a hole.
pub(crate) fn replay(cve: &str) {
    let all = read();
    let users = if is_root() {
        vec![User::Own, User::ordinary()]
    } else {
        vec![User::Own]
    };
    for user in users {
        for replay in all.replays.iter().filter(|replay| replay.cve == cve) {
            let server = &all.servers[&replay.server];
            if let Some(tools) = Tools::of(user, &server.command) {
                replay.plain(user, &tools, server);
                replay.caged(user, &tools, server);
            } else {
                eprintln!("{cve} is not played as {}: no Python for it", user.shown());
            }
        }
    }
}

impl Replay {
    fn plain(&self, user: User, tools: &Tools, server: &Server) {
        let place = Place::new(user);
        let mut session = Session::start(&place, tools, server, false);
        let (got, answers) = self.attack(&place, &mut session);
        let all = Got {
            leaks: self.leaks,
            changes: self.changes.clone(),
            calls_home: self.calls_home,
        };
        assert_eq!(
            got,
            all,
            "{} as {}: plain, it does not get what it should: {answers:#?}",
            self.name(),
            user.shown()
        );
    }

    fn caged(&self, user: User, tools: &Tools, server: &Server) {
        let place = Place::new(user);
        let mut session = Session::start(&place, tools, server, true);
        let (got, answers) = self.attack(&place, &mut session);
        let nothing = Got {
            leaks: false,
            changes: BTreeSet::new(),
            calls_home: false,
        };
        let name = format!("{} as {}", self.name(), user.shown());
        assert_eq!(got, nothing, "{name}: caged, it gets through: {answers:#?}");
        for call in &self.benign {
            let answer = session.call(call);
            if let Some(made) = &call.makes {
                assert!(
                    place.path(made).is_file(),
                    "{name}: `{made}` is not there: {answer}"
                );
            }
        }
    }

    /// Calls, then looks; the answers are for people.
    fn attack(&self, place: &Place, session: &mut Session<'_>) -> (Got, Vec<String>) {
        let before = place.look();
        let answers: Vec<String> = self.attack.iter().map(|call| session.call(call)).collect();
        let after = place.look();
        let at_both = before.keys().chain(after.keys());
        let mut changes: BTreeSet<String> = at_both
            .filter(|path| before.get(*path) != after.get(*path))
            .cloned()
            .collect();
        // More may have changed than what is told as an example.
        if self.changes.is_subset(&changes) {
            changes.retain(|path| self.changes.is_empty() || self.changes.contains(path));
        }
        let got = Got {
            leaks: answers.iter().any(|answer| answer.contains(SECRET)),
            changes,
            calls_home: place.was_called(),
        };
        (got, answers)
    }

    fn name(&self) -> String {
        format!("{}, {}", self.cve, self.about)
    }
}

/// A server that talks.
struct Session<'a> {
    talk: Talk,
    place: &'a Place,
    tools: &'a Tools,
    next: i64,
}

impl<'a> Session<'a> {
    fn start(place: &'a Place, tools: &'a Tools, server: &Server, caged: bool) -> Self {
        let words = server.command.iter();
        let line: Vec<String> = words.map(|word| place.fill(tools, word)).collect();
        let mut command = if caged {
            place.caged(tools, &line)
        } else {
            place.plain(&line)
        };
        let mut talk = Talk::with(&mut command);
        let hello = json!({
            "protocolVersion": "2025-03-26", "capabilities": {},
            "clientInfo": {"name": "cves", "version": "1"},
        });
        let greeting = talk.ask(0, "initialize", &hello);
        assert!(
            greeting
                .as_ref()
                .is_some_and(|greeting| greeting.get("result").is_some()),
            "{line:?} does not start: {greeting:?}"
        );
        talk.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        Self {
            talk,
            place,
            tools,
            next: 1,
        }
    }

    /// Calls a tool; gives what it answers, as it is on the wire.
    fn call(&mut self, call: &Call) -> String {
        let arguments = self.place.fill(self.tools, &call.arguments.to_string());
        let params = json!({"name": call.tool, "arguments": parse(&arguments).unwrap()});
        let answer = self.talk.ask(self.next, "tools/call", &params);
        self.next += 1;
        let answer = answer
            .unwrap_or_else(|| panic!("no answer to {params}"))
            .to_string();
        if let Some(said) = &call.says {
            assert!(
                answer.contains(said),
                "{params}: `{said}` is not in the answer {answer}"
            );
        }
        answer
    }
}

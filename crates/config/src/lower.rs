//! The types of `file` to [`Settings`]: every value is checked on the way, with its place, and what values mean
//! together is checked here. The servers are in `lower/server`.

mod cage;
mod server;

use std::path::PathBuf;

use mantlet_audit::Durability;

use crate::check::{self, Unfit};
use crate::diagnose::{Book, Problem, quoted};
use crate::file::{self, File};
use crate::reference::Lookup;
use crate::settings::{Audit, Identity, Limits, Listen, Settings, Timeouts, Transport};
use crate::tree::{Content, Node};
use crate::{bounds, defaults, state_directory};

/// Makes settings of a file. They hold defaults in the place of whatever has a problem, so they count only when
/// the book is empty.
/// `paths` are those of the file, where it has any: as it was named, and where links lead.
pub(crate) fn file(
    file: File,
    paths: Vec<PathBuf>,
    tree: &Node,
    lookup: &dyn Lookup,
    book: &mut Book,
) -> Settings {
    let state = state_directory(lookup);
    let mut lower = Lower {
        tree,
        lookup,
        book,
        files: paths,
        own: Vec::new(),
    };
    let identity = lower.identity(file.identity.unwrap_or_default(), defaults::identity(&state));
    let audit = lower.audit(file.audit.unwrap_or_default(), defaults::audit(&state));
    lower.own = vec![state, identity.token_file.clone(), audit.path.clone()];
    let settings = Settings {
        listen: lower.listen(file.listen.unwrap_or_default()),
        identity,
        servers: lower.servers(file.servers),
        limits: lower.limits(&file.limits.unwrap_or_default()),
        timeouts: lower.timeouts(&file.timeouts.unwrap_or_default()),
        audit,
    };
    lower.together(&settings);
    settings
}

struct Lower<'a> {
    tree: &'a Node,
    lookup: &'a dyn Lookup,
    book: &'a mut Book,
    /// The paths of the file itself.
    files: Vec<PathBuf>,
    /// What belongs to the gateway, and is given to no server.
    own: Vec<PathBuf>,
}

impl Lower<'_> {
    /// What single values do not show.
    fn together(&mut self, settings: &Settings) {
        if settings.identity.anonymous && !settings.listen.allowed_hosts.is_empty() {
            // Behind a proxy every caller comes from this machine.
            let problem = Problem::new("callers without a token and `allowed_hosts` do not go together")
                .help("`allowed_hosts` is for a proxy in front, and whoever reaches that would be taken for a local caller")
                .help("remove `anonymous`, so that callers need the token, or `allowed_hosts`");
            let problem = match self.tree.key_at(&["listen", "allowed_hosts"]) {
                Some(place) => problem.also(place, "and this"),
                None => problem,
            };
            self.say_of_key(&["identity", "anonymous"], problem);
        }
        for server in &settings.servers {
            let Transport::Http(remote) = &server.transport else {
                continue;
            };
            if check::is_own(&remote.url, settings.listen.address) {
                let problem = Problem::new("a server cannot be the gateway itself")
                    .label("the gateway listens here")
                    .help("write the address of the server, or let the gateway listen on another port");
                self.say(&["servers", &server.name, "url"], problem);
            }
        }
    }

    fn listen(&mut self, written: file::Listen) -> Listen {
        let default = defaults::listen();
        let way = |key: &'static str| ["listen", key];
        Listen {
            address: self.or(&way("address"), written.address, default.address, |text| {
                check::address(&text)
            }),
            allowed_hosts: self.each(&way("allowed_hosts"), written.allowed_hosts, check::host),
            allowed_origins: self.each(&way("allowed_origins"), written.allowed_origins, check::origin),
        }
    }

    fn identity(&mut self, written: file::Identity, default: Identity) -> Identity {
        Identity {
            anonymous: written.anonymous == Some(file::Anonymous::Loopback),
            token_file: self.path(
                &["identity", "token_file"],
                written.token_file,
                default.token_file,
            ),
        }
    }

    fn limits(&mut self, written: &file::Limits) -> Limits {
        let default = defaults::limits();
        let way = |key: &'static str| ["limits", key];
        let caps = &default.message;
        let message = self.or(
            &way("message"),
            written.message.as_ref(),
            caps.message_bytes,
            |size| check::size(size, bounds::MESSAGE),
        );
        let depth = self.or(&way("depth"), written.depth.as_ref(), caps.depth, |number| {
            check::whole(number, bounds::DEPTH)
        });
        let batch = self.or(&way("batch"), written.batch.as_ref(), caps.batch, |number| {
            check::whole(number, bounds::BATCH)
        });
        Limits {
            message: defaults::caps(message, depth, batch),
            header: self.or(&way("header"), written.header.as_ref(), default.header, |size| {
                check::size(size, bounds::HEADER)
            }),
            answer: self.or(&way("answer"), written.answer.as_ref(), default.answer, |size| {
                check::size(size, bounds::ANSWER)
            }),
            in_flight: self.or(
                &way("in_flight"),
                written.in_flight.as_ref(),
                default.in_flight,
                |number| check::whole(number, bounds::IN_FLIGHT),
            ),
            sessions: self.or(
                &way("sessions"),
                written.sessions.as_ref(),
                default.sessions,
                |number| check::whole(number, bounds::SESSIONS),
            ),
            list_pages: self.or(
                &way("list_pages"),
                written.list_pages.as_ref(),
                default.list_pages,
                |number| check::whole(number, bounds::LIST_PAGES),
            ),
        }
    }

    fn timeouts(&mut self, written: &file::Timeouts) -> Timeouts {
        let default = defaults::TIMEOUTS;
        let mut read =
            |key: &'static str, pause: &Option<_>, default, bounds: &std::ops::RangeInclusive<_>| {
                self.or(&["timeouts", key], pause.as_ref(), default, |pause| {
                    check::pause(pause, bounds.clone())
                })
            };
        let timeouts = Timeouts {
            request_body: read(
                "request_body",
                &written.request_body,
                default.request_body,
                &bounds::WAIT,
            ),
            idle_session: read(
                "idle_session",
                &written.idle_session,
                default.idle_session,
                &bounds::KEPT,
            ),
            session: read("session", &written.session, default.session, &bounds::KEPT),
            drain: read("drain", &written.drain, default.drain, &bounds::WAIT),
            keep_alive: read(
                "keep_alive",
                &written.keep_alive,
                default.keep_alive,
                &bounds::KEEP_ALIVE,
            ),
        };
        if timeouts.idle_session > timeouts.session {
            let key = if written.idle_session.is_some() {
                "idle_session"
            } else {
                "session"
            };
            let problem = Problem::new("`idle_session` is longer than `session`, and would never end one");
            self.say(
                &["timeouts", key],
                problem.help("make `idle_session` shorter, or `session` longer"),
            );
        }
        timeouts
    }

    fn audit(&mut self, written: file::Audit, default: Audit) -> Audit {
        Audit {
            path: self.path(&["audit", "path"], written.path, default.path),
            durability: match written.durability {
                Some(file::Durability::Write) => Durability::Write,
                Some(file::Durability::Fsync) => Durability::Fsync,
                None => default.durability,
            },
            contents: written.contents.unwrap_or(default.contents),
        }
    }

    fn path(&mut self, way: &[&str], written: Option<String>, default: PathBuf) -> PathBuf {
        let lookup = self.lookup;
        self.or(way, written, default, |text| check::path(&text, lookup))
    }

    /// What was written, checked; the default where nothing was, or where it does not do.
    fn or<W, T>(
        &mut self,
        way: &[&str],
        written: Option<W>,
        default: T,
        check: impl FnOnce(W) -> Result<T, Unfit>,
    ) -> T {
        match written.map(check) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(unfit)) => {
                self.unfit(way, unfit);
                default
            }
        }
    }

    /// A list, each of its items checked.
    fn each<T>(
        &mut self,
        way: &[&str],
        written: Option<Vec<String>>,
        check: impl Fn(&str) -> Result<T, Unfit>,
    ) -> Vec<T> {
        let mut values = Vec::new();
        for (item, text) in self.items(way).into_iter().zip(&written.unwrap_or_default()) {
            let way: Vec<&str> = way.iter().copied().chain([item.as_str()]).collect();
            match check(text) {
                Ok(value) => values.push(value),
                Err(unfit) => self.unfit(&way, unfit),
            }
        }
        values
    }

    /// Where the items of a list stand that were read: those with a problem of their own were left out.
    fn items(&self, way: &[&str]) -> Vec<String> {
        let Some(Content::List(items)) = self.tree.at(way).map(|node| &node.content) else {
            return Vec::new();
        };
        let places = items.iter().enumerate().filter(|(_, item)| !item.bad.get());
        places.map(|(index, _)| index.to_string()).collect()
    }

    /// Tells that a value does not do.
    fn unfit(&mut self, way: &[&str], unfit: Unfit) {
        let node = self.tree.at(way);
        if let Some(node) = node.filter(|_| unfit.secret) {
            self.book.hide(node.shown.clone());
        }
        let (written, referenced) = match node.map(|node| &node.content) {
            Some(Content::Scalar(scalar)) => (scalar.written(), scalar.written.is_some()),
            _ => ("the value", true),
        };
        let problem = unfit.problem(written, referenced);
        self.say(way, problem);
    }

    /// Tells that a key does not do.
    fn unfit_key(&mut self, way: &[&str], unfit: Unfit) {
        let problem = unfit.problem(way.last().copied().unwrap_or_default(), false);
        self.say_of_key(way, problem);
    }

    fn say(&mut self, way: &[&str], problem: Problem) {
        let place = self.tree.at(way).map(|node| node.shown.clone());
        self.book.add(match place {
            Some(place) => problem.at(place),
            None => problem,
        });
    }

    fn say_of_key(&mut self, way: &[&str], problem: Problem) {
        let place = self.tree.key_at(way);
        self.book.add(match place {
            Some(place) => problem.at(place),
            None => problem,
        });
    }
}

/// Says that a key does nothing beside another one.
fn idle_key(key: &str, with: &str) -> Problem {
    Problem::new(format!("{} goes with {}", quoted(key), quoted(with)))
        .help("remove it: it would do nothing here")
}

//! One server of a file to its settings: a program or a URL, and what may be used of it.

use std::collections::BTreeMap;

use mantlet_access::{Lists, ServerRules};

use super::{Lower, idle_key};
use crate::check::{self, Reach};
use crate::diagnose::Problem;
use crate::file;
use crate::hidden::Hidden;
use crate::quantity::Named;
use crate::settings::{
    CommandLine, HttpKind, HttpServer, Protocol, Restart, Server, ServerTimeouts, Transport,
};
use crate::{bounds, defaults, hint};

impl Lower<'_> {
    pub(super) fn servers(&mut self, written: file::Servers) -> Vec<Server> {
        if written.0.is_empty()
            && !self
                .tree
                .at(&["servers"])
                .is_some_and(crate::tree::Node::is_spoiled)
        {
            let problem = Problem::new("there are no servers");
            let problem = hint::missing("servers").into_iter().fold(problem, Problem::help);
            self.say_of_key(&["servers"], problem);
        }
        written
            .0
            .into_iter()
            .filter_map(|(name, server)| self.server(name, server))
            .collect()
    }

    fn server(&mut self, name: String, written: file::Server) -> Option<Server> {
        if let Err(unfit) = check::server_name(&name) {
            self.unfit_key(&["servers", &name], unfit);
        }
        let rules = ServerRules {
            name: name.clone(),
            allow: written
                .allow
                .as_ref()
                .map(|lists| self.lists(&name, "allow", lists)),
            refuse: written
                .refuse
                .as_ref()
                .map(|lists| self.lists(&name, "refuse", lists))
                .unwrap_or_default(),
        };
        let timeouts = self.server_timeouts(&name, written.timeouts.as_ref());
        let restart = self.restart(&name, written.restart.as_ref());
        let protocol = match written.protocol {
            None | Some(file::Protocol::Auto) => Protocol::Auto,
            Some(file::Protocol::Legacy) => Protocol::Legacy,
            Some(file::Protocol::Modern) => Protocol::Modern,
        };
        let transport = self.transport(&name, written)?;
        Some(Server {
            name,
            transport,
            rules,
            protocol,
            timeouts,
            restart,
        })
    }

    fn transport(&mut self, name: &str, written: file::Server) -> Option<Transport> {
        let (command, url) = (["servers", name, "command"], ["servers", name, "url"]);
        match (written.command.is_some(), written.url.is_some()) {
            (true, true) => {
                let problem = Problem::new("a server has either `command` or `url`").label("or this").help(
                    "keep `command` for a program that the gateway starts, `url` for a server that runs elsewhere",
                );
                let problem = match self.tree.key_at(&command) {
                    Some(place) => problem.also(place, "either this"),
                    None => problem,
                };
                self.say_of_key(&url, problem);
                None
            }
            (true, false) => Some(Transport::Command(self.command(name, written))),
            (false, true) => self.http(name, written).map(Transport::Http),
            (false, false) => {
                self.nothing_to_reach(name);
                None
            }
        }
    }

    /// Neither `command` nor `url`, unless one of them is there, misspelt or with a problem of its own.
    fn nothing_to_reach(&mut self, name: &str) {
        let way = ["servers", name];
        if self.tree.at(&way).is_none_or(crate::tree::Node::is_spoiled) {
            return;
        }
        let problem = Problem::new("a server has either `command` or `url`, and this one has neither")
            .help("`command: [PROGRAM, ARGUMENT]` for a program that the gateway starts")
            .help("`url: https://…` for a server that runs elsewhere");
        self.say_of_key(&way, problem);
    }

    fn command(&mut self, name: &str, written: file::Server) -> CommandLine {
        let useless = [
            ("headers", written.headers.is_some()),
            ("transport", written.transport.is_some()),
            ("plain_http", written.plain_http.is_some()),
        ];
        self.refuse_idle(name, useless, "url");
        let argv = written.command.unwrap_or_default();
        let way = ["servers", name, "command"];
        match argv.split_first() {
            // An item with a problem of its own was left out.
            None if self.tree.at(&way).is_some_and(crate::tree::Node::is_spoiled) => {}
            None => self.say(
                &way,
                Problem::new("`command` is empty").help("write `[PROGRAM, ARGUMENT, …]`"),
            ),
            Some((program, arguments)) => {
                if let Err(unfit) = check::program(program, arguments.is_empty()) {
                    let first = self.items(&way).into_iter().next().unwrap_or_default();
                    self.unfit(&["servers", name, "command", &first], unfit);
                }
            }
        }
        self.each(&way, Some(argv.clone()), check::argument);
        let cage = self.cage(name, written.sandbox);
        CommandLine {
            argv,
            environment: self.environment(name, written.environment),
            directory: self.directory(name, written.directory, &cage),
            cage,
        }
    }

    fn environment(&mut self, name: &str, written: Option<Named<String>>) -> BTreeMap<String, Hidden> {
        let mut environment = BTreeMap::new();
        for (variable, value) in written.map(|named| named.0).unwrap_or_default() {
            let way = ["servers", name, "environment", &variable];
            if let Err(unfit) = check::variable(&variable) {
                self.unfit_key(&way, unfit);
            }
            if let Err(unfit) = check::argument(&value) {
                self.unfit(&way, unfit);
            }
            environment.insert(variable, Hidden::new(value));
        }
        environment
    }

    fn http(&mut self, name: &str, written: file::Server) -> Option<HttpServer> {
        let useless = [
            ("environment", written.environment.is_some()),
            ("directory", written.directory.is_some()),
            ("sandbox", written.sandbox.is_some()),
        ];
        self.refuse_idle(name, useless, "command");
        let headers = self.headers(name, written.headers);
        let url = self.url(name, &written.url.unwrap_or_default(), written.plain_http)?;
        let kind = match written.transport {
            None | Some(file::HttpKind::Auto) => HttpKind::Auto,
            Some(file::HttpKind::Http) => HttpKind::Http,
            Some(file::HttpKind::Sse) => HttpKind::Sse,
        };
        Some(HttpServer { url, headers, kind })
    }

    fn url(&mut self, name: &str, text: &str, plain_http: Option<file::PlainHttp>) -> Option<String> {
        let way = ["servers", name, "url"];
        match (check::url(text), plain_http) {
            (Ok((_, Reach::InTheClear)), None) => self.unfit(&way, check::in_the_clear()),
            (Ok((_, Reach::Encrypted | Reach::ThisMachine)), Some(file::PlainHttp::Accept)) => {
                let problem = Problem::new("`plain_http` has nothing to accept: `url` is safe as it is");
                self.say_of_key(&["servers", name, "plain_http"], problem.help("remove it"));
            }
            (Ok((url, _)), _) => return Some(url),
            (Err(unfit), _) => self.unfit(&way, unfit),
        }
        None
    }

    fn headers(&mut self, name: &str, written: Option<Named<String>>) -> BTreeMap<String, Hidden> {
        let mut headers = BTreeMap::new();
        for (header, value) in written.map(|named| named.0).unwrap_or_default() {
            let way = ["servers", name, "headers", &header];
            if let Err(unfit) = check::header_value(&value) {
                self.unfit(&way, unfit);
            }
            match check::header_name(&header) {
                Err(unfit) => self.unfit_key(&way, unfit),
                Ok(lower) if headers.contains_key(&lower) => {
                    let problem = Problem::new("this header stands twice: names of headers have no case");
                    self.say_of_key(&way, problem.help("keep one"));
                }
                Ok(lower) => {
                    headers.insert(lower, Hidden::new(value));
                }
            }
        }
        headers
    }

    fn refuse_idle<const N: usize>(&mut self, name: &str, keys: [(&str, bool); N], with: &str) {
        for (key, _) in keys.into_iter().filter(|(_, there)| *there) {
            self.say_of_key(&["servers", name, key], idle_key(key, with));
        }
    }

    fn lists(&mut self, name: &str, list: &str, written: &file::Lists) -> Lists {
        let mut patterns = |key: &str, patterns: &Option<Vec<String>>| {
            let way = ["servers", name, list, key];
            if patterns
                .as_ref()
                .is_some_and(|patterns| patterns.len() > bounds::PATTERNS)
            {
                let most = bounds::PATTERNS;
                let problem = Problem::new(format!("a list has at most {most} names"));
                self.say_of_key(
                    &way,
                    problem.help("say more with fewer: `*` stands for any run of characters"),
                );
            }
            self.each(&way, patterns.clone(), |text| {
                check::pattern(text).map(|()| text.to_owned())
            })
        };
        Lists {
            tools: patterns("tools", &written.tools),
            resources: patterns("resources", &written.resources),
            prompts: patterns("prompts", &written.prompts),
            methods: patterns("methods", &written.methods),
            asks: written
                .asks
                .iter()
                .flatten()
                .map(|ask| ask_name(*ask).to_owned())
                .collect(),
        }
    }

    fn server_timeouts(&mut self, name: &str, written: Option<&file::ServerTimeouts>) -> ServerTimeouts {
        let default = defaults::SERVER_TIMEOUTS;
        let Some(written) = written else {
            return default;
        };
        let mut read = |key: &str, pause: &Option<_>, default, bounds: &std::ops::RangeInclusive<_>| {
            let way = ["servers", name, "timeouts", key];
            self.or(&way, pause.as_ref(), default, |pause| {
                check::pause(pause, bounds.clone())
            })
        };
        ServerTimeouts {
            start: read("start", &written.start, default.start, &bounds::WAIT),
            call: read("call", &written.call, default.call, &bounds::LONG_WAIT),
            idle: read("idle", &written.idle, default.idle, &bounds::KEPT),
        }
    }

    fn restart(&mut self, name: &str, written: Option<&file::Restart>) -> Restart {
        let default = defaults::RESTART;
        let Some(written) = written else {
            return default;
        };
        let way = |key: &'static str| ["servers", name, "restart", key];
        Restart {
            limit: self.or(&way("limit"), written.limit.as_ref(), default.limit, |number| {
                check::count(number, bounds::RESTARTS)
            }),
            within: self.or(&way("within"), written.within.as_ref(), default.within, |pause| {
                check::pause(pause, bounds::KEPT)
            }),
        }
    }
}

fn ask_name(ask: file::Ask) -> &'static str {
    match ask {
        file::Ask::Sampling => "sampling",
        file::Ask::Elicitation => "elicitation",
        file::Ask::Roots => "roots",
    }
}

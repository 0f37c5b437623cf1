//! The cage of one server: from `sandbox` to its settings, and whether the program can start where it should.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Lower, idle_key};
use crate::cage::{Access, Cage, CageLimits, CageSettings, OnBreach, Tier};
use crate::check::{self, Unfit};
use crate::diagnose::{Problem, quoted};
use crate::file::{self, Breaches, Grants, Sandbox};
use crate::hidden::Hidden;
use crate::quantity::Named;
use crate::{bounds, defaults, hint};

impl Lower<'_> {
    pub(super) fn cage(&mut self, server: &str, written: Option<Sandbox>) -> Cage {
        let grants = match written {
            None => Grants::default(),
            Some(Sandbox::Off(file::Off::Off)) => return Cage::Off,
            Some(Sandbox::On(grants)) => *grants,
        };
        let way = |key| ["servers", server, "sandbox", key];
        let default = defaults::cage();
        let limits = self.cage_limits(server, &grants, default.limits);
        let on_breach = self.on_breach(server, grants.on_breach, grants.breaches.as_ref());
        let write = self.paths(&way("write"), grants.write, Access::Write);
        let mut read = self.paths(&way("read"), grants.read, Access::Read);
        read.retain(|path| !write.contains(path));
        let network = self.distinct(&way("network"), grants.network, check::public);
        let internal_network = self.distinct(&way("internal_network"), grants.internal_network, |text| {
            let found = check::destination(text)?;
            if network.contains(&found) {
                return Err(Unfit::new("stands under `network` as well")
                    .help("keep one: here if its address may be other than public, else there"));
            }
            Ok(found)
        });
        Cage::On(Box::new(CageSettings {
            read,
            write,
            network,
            internal_network,
            secrets: self.secrets(server, grants.secrets),
            loopback: grants.loopback.unwrap_or(default.loopback),
            limits,
            minimum: match grants.minimum {
                None => default.minimum,
                Some(file::Tier::Strong) => Tier::Strong,
                Some(file::Tier::Standard) => Tier::Standard,
                Some(file::Tier::Basic) => Tier::Basic,
            },
            on_breach,
        }))
    }

    /// Where a program starts, which in a cage must be there.
    pub(super) fn directory(
        &mut self,
        server: &str,
        written: Option<String>,
        cage: &Cage,
    ) -> Option<PathBuf> {
        let text = written?;
        let way = ["servers", server, "directory"];
        let path = match check::path(&text, self.lookup) {
            Ok(path) => path,
            Err(unfit) => {
                self.unfit(&way, unfit);
                return None;
            }
        };
        let Cage::On(settings) = cage else {
            return Some(path);
        };
        match check::plain(&path) {
            Ok(plain) if is_granted(&plain, settings) => Some(plain),
            Ok(_) => {
                self.not_granted(server, &way);
                None
            }
            Err(unfit) => {
                self.unfit(&way, unfit);
                None
            }
        }
    }

    fn not_granted(&mut self, server: &str, way: &[&str]) {
        let cage = self.tree.at(&["servers", server, "sandbox"]);
        if cage.is_some_and(crate::tree::Node::is_spoiled) {
            // The grant is probably there, with a problem of its own.
            return;
        }
        let written = self.tree.at(way).and_then(crate::tree::Node::written);
        let written = written.unwrap_or_default().to_owned();
        let grant = format!("sandbox: {{ read: [{}] }}", hint::item(&written));
        let problem = Problem::new(format!(
            "{} is not in the cage: no grant of the server has it",
            quoted(&written)
        ))
        .help(format!(
            "grant it: {}, or `write` in the place of `read`",
            quoted(&grant)
        ))
        .help("or leave `directory` out: the program then starts in a home of its own");
        self.say(way, problem);
    }

    fn cage_limits(&mut self, server: &str, written: &Grants, default: CageLimits) -> CageLimits {
        let way = |key: &'static str| ["servers", server, "sandbox", key];
        CageLimits {
            memory: self.or(&way("memory"), written.memory.as_ref(), default.memory, |size| {
                check::volume(size, bounds::MEMORY)
            }),
            cpu: self.or(&way("cpu"), written.cpu.as_ref(), default.cpu, |number| {
                check::count(number, bounds::CPU)
            }),
            processes: self.or(
                &way("processes"),
                written.processes.as_ref(),
                default.processes,
                |number| check::count(number, bounds::PROCESSES),
            ),
            disk: self.or(&way("disk"), written.disk.as_ref(), default.disk, |size| {
                check::volume(size, bounds::DISK)
            }),
            files: self.or(&way("files"), written.files.as_ref(), default.files, |number| {
                check::count(number, bounds::FILES).map(u64::from)
            }),
            descriptors: default.descriptors,
        }
    }

    fn on_breach(
        &mut self,
        server: &str,
        written: Option<file::OnBreach>,
        breaches: Option<&Breaches>,
    ) -> OnBreach {
        let way = ["servers", server, "sandbox", "breaches"];
        let verdict = match written {
            None | Some(file::OnBreach::Quarantine) => return self.quarantine(&way, breaches),
            Some(file::OnBreach::Warn) => OnBreach::Warn,
            Some(file::OnBreach::Fail) => OnBreach::Fail,
            Some(file::OnBreach::Restart) => OnBreach::Restart,
        };
        if breaches.is_some() {
            self.say_of_key(&way, idle_key("breaches", "on_breach: quarantine"));
        }
        verdict
    }

    fn quarantine(&mut self, way: &[&str; 4], written: Option<&Breaches>) -> OnBreach {
        let (limit, within) = defaults::BREACHES;
        let below = |key: &'static str| -> Vec<&str> { way.iter().copied().chain([key]).collect() };
        let limit_written = written.and_then(|breaches| breaches.limit.as_ref());
        let within_written = written.and_then(|breaches| breaches.within.as_ref());
        OnBreach::Quarantine {
            limit: self.or(&below("limit"), limit_written, limit, |number| {
                check::count(number, bounds::RESTARTS)
            }),
            within: self.or(&below("within"), within_written, within, |pause| {
                check::pause(pause, bounds::KEPT)
            }),
        }
    }

    fn paths(&mut self, way: &[&str; 4], written: Option<Vec<String>>, access: Access) -> Vec<PathBuf> {
        let (lookup, own, files) = (self.lookup, self.own.clone(), self.files.clone());
        let own: Vec<&Path> = own.iter().map(PathBuf::as_path).collect();
        self.distinct(way, written, |text| {
            let path = check::grant(text, access, &own, lookup)?;
            let holds_file = files.iter().any(|file| file.starts_with(&path));
            if access == Access::Write && holds_file {
                return Err(Unfit::new(
                    "holds this configuration: the program could write itself more grants",
                )
                .help("give the program a folder of its own, or keep the configuration elsewhere"));
            }
            Ok(path)
        })
    }

    /// A list of grants, each of its items checked and there once.
    fn distinct<T: PartialEq>(
        &mut self,
        way: &[&str; 4],
        written: Option<Vec<String>>,
        check: impl Fn(&str) -> Result<T, Unfit>,
    ) -> Vec<T> {
        let mut values = Vec::new();
        let mut written = written.unwrap_or_default();
        if written.len() > bounds::GRANTS {
            self.say_of_key(way, too_many());
            written.truncate(bounds::GRANTS);
        }
        for (item, text) in self.items(way).into_iter().zip(&written) {
            let unfit = match check(text) {
                Ok(value) if values.contains(&value) => Unfit::new("stands twice").help("keep one"),
                Ok(value) => {
                    values.push(value);
                    continue;
                }
                Err(unfit) => unfit,
            };
            let item: Vec<&str> = way.iter().copied().chain([item.as_str()]).collect();
            self.unfit(&item, unfit);
            if let Some(node) = self.tree.at(&item) {
                node.bad.set(true);
            }
        }
        values
    }

    fn secrets(&mut self, server: &str, written: Option<Named<String>>) -> BTreeMap<String, Hidden> {
        let mut secrets = BTreeMap::new();
        let written = written.map(|named| named.0).unwrap_or_default();
        if written.len() > bounds::GRANTS {
            self.say_of_key(&["servers", server, "sandbox", "secrets"], too_many());
        }
        for (name, value) in written {
            let way = ["servers", server, "sandbox", "secrets", &name];
            if let Err(unfit) = check::secret_name(&name) {
                self.unfit_key(&way, unfit);
            }
            secrets.insert(name, Hidden::new(value));
        }
        secrets
    }
}

fn is_granted(path: &Path, settings: &CageSettings) -> bool {
    let mut grants = settings.read.iter().chain(&settings.write);
    grants.any(|grant| path.starts_with(grant))
}

fn too_many() -> Problem {
    let most = bounds::GRANTS;
    Problem::new(format!("a list of grants has at most {most}"))
        .help("say more with fewer: a folder opens all that is in it, `*.` stands for all names below one")
}

//! `mantlet cage --learn`: a run in a recording cage, and what a real one would have to grant for it. The cage shows
//! nearly everything and keeps nothing that is written; the proposal is as trustworthy as the program was.

mod hidden;
mod hosts;
mod paths;
mod proposal;
mod render;
mod seen;

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use mantlet_sandbox::egress::{Rule, Witness};
use mantlet_sandbox::learn::{Learning, Trace};
use mantlet_sandbox::{Event, Machine, Spec, Tier};

use self::proposal::{Facts, propose};
use self::seen::Seen;
use crate::cage::{self, Sight};
use crate::failure::Failure;
use crate::grants::Grants;
use crate::{Format, state, term};

/// Ports on which connections are carried on: those of common services, and none that programs open for themselves.
const PORTS: &[u16] = &[
    22, 25, 80, 143, 389, 443, 465, 587, 636, 853, 993, 1433, 3306, 5432, 5671, 5672, 6379, 6380, 6432, 8443,
    9092, 9243, 9418, 11211, 27017, 27018,
];
/// Folders of which the cage has its own: what is in the machine's is shown where the command names it.
const OWN: &[&str] = &["/tmp", "/var/tmp", "/run/media"];
/// How often the file is written while the program runs: it may be killed with all of Mantlet.
const TURN: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[group(id = "learning")]
pub(crate) struct Learn {
    /// Run it in a recording cage, and propose the `sandbox:` block that it needs: in this file, or on standard error
    /// at its end. It sees your files, but not your keys and passwords, and reaches every public host; what it writes
    /// is thrown away
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, conflicts_with = "proof")]
    learn: Option<Option<PathBuf>>,
    /// How the proposal is written
    #[arg(long, value_enum, default_value_t, requires = "learn")]
    format: Format,
}

impl Learn {
    /// Whether this is asked for.
    pub(crate) fn is_on(&self) -> bool {
        self.learn.is_some()
    }
}

/// Runs the command, and proposes; `program` is what was written for it. The code is the command's own.
pub(crate) async fn run(
    mut spec: Spec,
    program: String,
    options: &Learn,
    grants: &Grants,
) -> Result<u8, Failure> {
    let machine = mantlet_gateway::machine();
    let facts = Facts {
        program,
        ..facts(&spec, &machine, grants)
    };
    widen(&mut spec, &facts);
    let scribe = Arc::new(Scribe {
        seen: Mutex::new(Seen::default()),
        facts,
        file: options.learn.clone().flatten(),
        format: options.format,
    });
    // What cannot be written is better known before than after.
    scribe.save()?;
    term::say(
        "mantlet: learning: this program sees your files, but not your keys and passwords, and reaches every public host; \
         what it writes is thrown away. A hostile one asks for what it likes: read the proposal before you use it.",
    );
    let saving = Arc::clone(&scribe);
    let saves = tokio::spawn(async move {
        let mut turns = tokio::time::interval(TURN);
        loop {
            turns.tick().await;
            if let Err(failure) = saving.save() {
                term::say(&format!("mantlet: {}", failure.text()));
            }
        }
    });
    let rule = Rule::Learn(spec.network.clone());
    let sight: Arc<dyn Sight> = Arc::<Scribe>::clone(&scribe);
    let code = cage::caged(&spec, rule, sight).await;
    saves.abort();
    let code = code?;
    scribe.save()?;
    scribe.tell();
    Ok(code)
}

/// What is known beforehand.
fn facts(spec: &Spec, machine: &Machine, grants: &Grants) -> Facts {
    let own = vec![state::directory()];
    let internal = spec.network.iter().filter(|grant| grant.internal);
    let mut facts = Facts {
        program: String::new(),
        has_arguments: spec.argv.len() > 1,
        home: machine.home.clone(),
        hidden: hidden::places(machine.home.as_deref(), &own),
        own,
        shown: Vec::new(),
        runtime: spec.runtime.clone(),
        named: named(spec),
        internal: internal.map(ToString::to_string).collect(),
        handed: grants.handed(),
    };
    let named = facts.named.iter().map(|(path, _)| path);
    let mut shown: Vec<PathBuf> = spec
        .read
        .iter()
        .chain(&spec.write)
        .chain(named)
        .cloned()
        .collect();
    shown.retain(|path| OWN.iter().any(|own| path.starts_with(own)) && facts.may_see(path));
    shown.sort();
    shown.dedup();
    facts.shown = shown;
    facts
}

/// The places that the command names in its arguments and variables, as far as they are there.
fn named(spec: &Spec) -> Vec<(PathBuf, String)> {
    let mut texts = Vec::new();
    for word in spec.argv.iter().skip(1) {
        // `--root=/srv/data` names a place as well.
        let value = word.split_once('=').map_or(word.as_str(), |(_, value)| value);
        texts.extend([word.as_str(), value].map(|text| (text, "an argument".to_owned())));
    }
    for (name, value) in &spec.environment {
        texts.push((value, format!("the variable `{name}`")));
    }
    let existing = |text: &str| {
        let path = Path::new(text);
        path.is_absolute().then(|| path.canonicalize().ok()).flatten()
    };
    texts
        .into_iter()
        .filter_map(|(text, why)| Some((existing(text)?, why)))
        .collect()
}

/// Makes the cage one that records.
fn widen(spec: &mut Spec, facts: &Facts) {
    spec.read.clear();
    spec.write.clear();
    spec.learn = Some(Learning {
        hidden: facts.hidden.clone(),
        shown: facts.shown.clone(),
        ports: PORTS.to_vec(),
    });
    spec.loopback = true;
    // A weaker cage hides nothing.
    spec.minimum = spec.minimum.max(Tier::Standard);
}

/// Takes down what is seen, and writes it up.
struct Scribe {
    seen: Mutex<Seen>,
    facts: Facts,
    file: Option<PathBuf>,
    format: Format,
}

impl Scribe {
    fn with<T>(&self, what: impl FnOnce(&mut Seen) -> T) -> T {
        what(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn text(&self) -> (String, String) {
        let proposal = self.with(|seen| propose(seen, &self.facts));
        let text = match self.format {
            Format::Text => render::yaml(&proposal, &self.facts.program),
            Format::Json => render::json(&proposal, &self.facts.program),
        };
        (text, render::flags(&proposal, &self.facts))
    }

    /// Writes the file anew, where there is one and something was seen since.
    fn save(&self) -> Result<(), Failure> {
        let Some(path) = self.file.as_deref().filter(|_| self.with(Seen::take_news)) else {
            return Ok(());
        };
        let (text, _) = self.text();
        write(path, &text).map_err(|error| {
            Failure::could_not_run(format!("`{}` cannot be written: {error}", path.display()))
        })
    }

    /// Says at the end what was found out.
    fn tell(&self) {
        let (text, flags) = self.text();
        match &self.file {
            Some(path) => term::say(&format!("mantlet: what it needs is in `{}`", path.display())),
            None => term::say(text.trim_end()),
        }
        term::say(&format!("mantlet: the same on the command line: {flags}"));
    }
}

/// All at once, beside it first, and for nobody else to read: it tells what is where.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let name = path.file_name().ok_or(std::io::ErrorKind::InvalidFilename)?;
    let mut half = std::ffi::OsString::from(".");
    half.push(name);
    half.push(format!(".{}", std::process::id()));
    let half = path.with_file_name(half);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&half)?;
    file.write_all(text.as_bytes())?;
    drop(file);
    std::fs::rename(&half, path)
}

impl Witness for Scribe {
    fn saw(&self, event: Event) {
        if let Event::Limit { .. } = event {
            cage::tell(&event);
        }
        self.with(|seen| seen.saw(event));
    }

    fn lent(&self, name: &str, address: Ipv4Addr) {
        self.with(|seen| seen.lent(name, address));
    }
}

impl Sight for Scribe {
    fn learnt(&self, traces: Vec<Trace>) {
        self.with(|seen| seen.learnt(traces));
    }
}

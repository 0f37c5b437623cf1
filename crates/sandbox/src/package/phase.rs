//! One step of an installation: a program in a cage of its own, which may write one folder and reach the registry. Its
//! output is kept in part, its time is limited by whoever waits.

use std::collections::BTreeSet;
use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;

use crate::egress::{Budget, Witness};
use crate::event::{Event, Outcome};
use crate::settle::{Machine, admit, settle};
use crate::spawn::{Cage, Said, Streams, start};
use crate::spec::{Grant, Limits, Spec};

/// What is kept of each output, from its end.
const KEPT: usize = 16 << 10;
/// What is shown of it: lines, and letters.
const SHOWN: (usize, usize) = (12, 1_600);
/// What tells nothing, or of files that are gone by then.
const IDLE: &[&str] = &["Log files were not written", "A complete log of this run"];
/// Hosts that are named in a message.
const NAMED: usize = 8;

/// More than a server needs: whole trees of packages are unpacked, and some are compiled.
const LIMITS: Limits = Limits {
    memory: 4 << 30,
    cpu: 0,
    processes: 512,
    disk: 4 << 30,
    files: 400_000,
    descriptors: 8_192,
};

/// Installers fetch many small files at a time.
const BUDGET: Budget = Budget {
    connections: 128,
    per_minute: 6_000,
    bytes: None,
    rate: None,
    idle: Duration::from_mins(2),
};

/// What a step is.
pub(super) struct Step<'a> {
    /// The command; the program is looked for on the machine.
    pub(super) argv: Vec<String>,
    /// Its variables.
    pub(super) environment: Vec<(String, String)>,
    /// The one folder that it may write.
    pub(super) write: Option<&'a Path>,
    /// Files that it may read.
    pub(super) read: Vec<PathBuf>,
    /// Further programs that it runs.
    pub(super) programs: Vec<PathBuf>,
    /// Folders of a runtime that `settle` does not find by itself.
    pub(super) runtime: Vec<PathBuf>,
    /// Whom it may reach.
    pub(super) network: Vec<Grant>,
}

/// What it said.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// The end of its standard output.
    pub(super) out: String,
}

/// Runs it to its end.
///
/// # Errors
/// In words: there is no cage, or the program failed, with what it said last.
pub(super) async fn run(
    step: Step<'_>,
    machine: &Machine,
    witness: &Arc<dyn Witness>,
) -> Result<Output, String> {
    let mut spec = Spec::new(step.argv);
    spec.environment = step.environment;
    spec.environment.push(("NO_COLOR".to_owned(), "1".to_owned()));
    spec.environment.push(("CI".to_owned(), "true".to_owned()));
    spec.write.extend(step.write.map(Path::to_owned));
    spec.read = step.read;
    spec.runtime = step.runtime;
    spec.network = step.network;
    spec.limits = LIMITS;
    settle(&mut spec, machine)?;
    for program in &step.programs {
        admit(&mut spec, machine, program, 0)?;
    }
    let name = spec.argv.first().cloned().unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default().to_owned();
    let seen = Arc::new(Seen {
        witness: Arc::clone(witness),
        refused: Mutex::default(),
    });
    let (code, out, errors) = caged(&spec, &seen)
        .await
        .map_err(|why| format!("`{name}`: {why}"))?;
    if code == 0 {
        return Ok(Output { out: readable(&out) });
    }
    let said = if errors.is_empty() { &out } else { &errors };
    let mut why = format!("`{name}` ended with code {code}");
    let refused = seen.refused.lock().unwrap_or_else(PoisonError::into_inner);
    if !refused.is_empty() {
        let hosts: Vec<String> = refused
            .iter()
            .take(NAMED)
            .map(|host| format!("`{}`", readable(host.as_bytes())))
            .collect();
        why.push_str(&format!(
            ". It wanted to reach {}, which is not where packages come from, and was not let through",
            hosts.join(", ")
        ));
    }
    let last = last(&readable(said));
    if !last.is_empty() {
        why.push_str(&format!(". Its last words:\n{last}"));
    }
    Err(why)
}

async fn caged(spec: &Spec, seen: &Arc<Seen>) -> Result<(u8, Vec<u8>, Vec<u8>), String> {
    let failed = |error: io::Error| format!("no pipe: {error}");
    let (out, output) = io::pipe().map_err(failed)?;
    let (heard, errors) = io::pipe().map_err(failed)?;
    let (out, heard) = (receiver(out).map_err(failed)?, receiver(heard).map_err(failed)?);
    let streams = Streams {
        input: Stdio::null(),
        output: output.into(),
        errors: errors.into(),
    };
    let (mut child, cage) = start(spec, streams, false).map_err(|fell| fell.to_string())?;
    let watched = watch(cage, spec.network.clone(), seen);
    let (code, out, errors, _helper) = tokio::join!(watched, end_of(out), end_of(heard), child.wait());
    Ok((code?, out, errors))
}

/// Until it ends. What it left running ends with the cage, and so do its pipes.
async fn watch(mut cage: Cage, network: Vec<Grant>, seen: &Arc<Seen>) -> Result<u8, String> {
    cage.stands().await.map_err(|fell| fell.to_string())?;
    let _serving = cage.doors().map(|doors| {
        let witness: Arc<dyn Witness> = Arc::clone(seen) as _;
        Serving(seen.witness.open(doors, network, BUDGET, witness))
    });
    let mut over = None;
    loop {
        match cage.said().await.map_err(|error| error.to_string())? {
            Some(Said::Saw(event)) => {
                if let Event::Limit { name, used, granted } = &event {
                    over = Some(format!(
                        "it was ended for its use of {name}: {used} used, {granted} granted"
                    ));
                }
                seen.saw(event);
            }
            Some(Said::Learnt(_)) => {}
            Some(Said::Ended(code)) => return over.map_or(Ok(code), Err),
            None => return Err(over.unwrap_or_else(|| "its cage broke down".to_owned())),
        }
    }
}

/// What is served ends with this.
struct Serving(JoinHandle<io::Result<()>>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Hands on what was seen, and keeps in mind who was refused.
struct Seen {
    witness: Arc<dyn Witness>,
    refused: Mutex<BTreeSet<String>>,
}

impl Witness for Seen {
    fn saw(&self, event: Event) {
        let refused = match &event {
            Event::Lookup { name } => Some(name.clone()),
            Event::Connect {
                host,
                port,
                outcome: Outcome::Refused(_),
            } => Some(format!("{host}:{port}")),
            Event::Connect { .. } | Event::Call { .. } | Event::Planted { .. } | Event::Limit { .. } => None,
        };
        if let Some(host) = refused {
            let mut hosts = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            if hosts.len() < NAMED {
                hosts.insert(host);
            }
        }
        self.witness.saw(event);
    }
}

fn receiver(pipe: PipeReader) -> io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(OwnedFd::from(pipe))
}

/// Reads it all, and keeps the end.
async fn end_of(mut pipe: pipe::Receiver) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = vec![0; 4 << 10];
    while let Ok(read) = pipe.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        kept.extend_from_slice(buffer.get(..read).unwrap_or_default());
        if kept.len() > 2 * KEPT {
            kept.drain(..kept.len().saturating_sub(KEPT));
        }
    }
    kept.drain(..kept.len().saturating_sub(KEPT));
    kept
}

/// Without what would move the cursor of a terminal, or turn the direction of writing.
pub(super) fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let moves = |letter: char| {
        letter.is_control() && letter != '\n'
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().filter(|letter| !moves(*letter)).collect()
}

fn last(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !IDLE.iter().any(|word| line.contains(word)))
        .collect();
    let lines = lines
        .get(lines.len().saturating_sub(SHOWN.0)..)
        .unwrap_or_default()
        .join("\n");
    let skipped = lines.chars().count().saturating_sub(SHOWN.1);
    lines.chars().skip(skipped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_few_and_plain() {
        let text: String = (0..100)
            .map(|number| format!("line {number}\u{1b}[31m\r\n\n"))
            .collect();
        let shown = last(&readable(text.as_bytes()));
        assert_eq!(shown.lines().count(), SHOWN.0);
        assert!(
            shown.ends_with("line 99[31m") && !shown.contains('\u{1b}'),
            "{shown}"
        );
        assert_eq!(last(&readable("x".repeat(10_000).as_bytes())).len(), SHOWN.1);
        assert_eq!(readable("a\u{202e}b\tc".as_bytes()), "abc");
        assert_eq!(last(""), "");
    }

    #[tokio::test]
    async fn the_end_is_kept() {
        let (ours, theirs) = io::pipe().unwrap();
        let mut bytes = vec![b'x'; 100_000];
        bytes.extend(b"end");
        let writing = std::thread::spawn(move || io::Write::write_all(&mut { theirs }, &bytes));
        let kept = end_of(receiver(ours).unwrap()).await;
        writing.join().unwrap().unwrap();
        assert_eq!(kept.len(), KEPT);
        assert!(kept.ends_with(b"xxend"));
    }
}

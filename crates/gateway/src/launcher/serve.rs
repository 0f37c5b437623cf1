//! The launcher itself: one thread, no sockets but those it was given. It starts servers by name, out of the
//! configuration that it read itself, and hands over the ends by which they are held; so it keeps nothing of them but
//! the duty to reap.
//!
//! It has no filter of its own, and cannot have one: filters, Landlock and no_new_privs come down to everything that a
//! process starts. The cage's own network is made of sockets, its root of mounts (which Landlock forbids to whoever it
//! holds), and `sandbox: off` means all rights of the user, programs that change the user among them (rootless Podman
//! needs one). What keeps it honest is how little it listens to.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mantlet_config::{Lookup, Settings, Transport};
use mantlet_sandbox::{Line, OpenLine};
use tokio::process::Child;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::egress::Elsewhere;
use super::{Answer, Ask, text};
use crate::upstream::process::launch::{Installing, Launched, launch};

/// Servers that run or are being started at a time.
const MOST: u32 = 4_096;
/// How long an answer may wait to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what was started may take to end when the other process has gone.
const LAST: Duration = Duration::from_secs(10);

/// Serves the network-facing process at the other end of the line until that has gone, then sees what was started end.
/// `path` is the configuration's file.
///
/// # Errors
/// The other process said what it does not say, or the line broke: it may be in somebody's hands, and gets nothing more.
pub async fn serve(line: Line, path: PathBuf, lookup: &dyn Lookup) -> io::Result<()> {
    let line = line.open()?;
    let places = Arc::new(Semaphore::new(usize::try_from(MOST).map_err(io::Error::other)?));
    let mut configuration = Configuration::new(path, lookup);
    let outcome = loop {
        match line.hear::<Ask>().await {
            Ok(Some((ask, beside))) => {
                let Ok([answers]) = <[OwnedFd; 1]>::try_from(beside) else {
                    break Err(io::Error::other("an ask without a line for its answer"));
                };
                let Ok(answers) = Line::from(answers).open() else {
                    break Err(io::Error::other("a line for an answer that is none"));
                };
                configuration.answer(ask, answers, &places);
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // Each server ends with its line, which the other process held; here they are reaped.
    drop(line);
    let _stubborn = timeout(LAST, places.acquire_many(MOST)).await;
    outcome
}

/// The configuration's file, as it was seen last, and what of it is in force.
struct Configuration<'a> {
    path: PathBuf,
    lookup: &'a dyn Lookup,
    seen: Option<String>,
    found: Option<Settings>,
    in_force: Option<Settings>,
}

impl<'a> Configuration<'a> {
    fn new(path: PathBuf, lookup: &'a dyn Lookup) -> Self {
        Self {
            path,
            lookup,
            seen: None,
            found: None,
            in_force: None,
        }
    }

    fn answer(&mut self, ask: Ask, answers: OpenLine, places: &Arc<Semaphore>) {
        let (answer, beside) = match ask {
            Ask::Look { anyway } => self.look(anyway),
            Ask::Take {} => (self.take(), None),
            Ask::Start { server } => match (self.command(&server), Arc::clone(places).try_acquire_owned()) {
                (Ok(line), Ok(place)) => {
                    tokio::spawn(start(server, line, answers, place));
                    return;
                }
                (Err(why), _) => (Answer::Refused(why), None),
                (_, Err(_)) => (Answer::Refused(format!("{MOST} servers run already")), None),
            },
        };
        tokio::spawn(async move {
            let beside: Vec<_> = beside.iter().map(OwnedFd::as_fd).collect();
            // Nobody waits for it: no matter.
            let _told = timeout(PATIENCE, answers.say(&answer, &beside)).await;
        });
    }

    fn look(&mut self, anyway: bool) -> (Answer, Option<OwnedFd>) {
        let first = self.seen.is_none();
        let text = match mantlet_config::read(&self.path) {
            Ok(text) => text,
            // An editor may be about to put it there again.
            Err(_) if !first => return (Answer::Same, None),
            Err(problems) => return (Answer::Problems(problems.render(false)), None),
        };
        if self.seen.as_ref() == Some(&text) && !anyway {
            return (Answer::Same, None);
        }
        let understood = mantlet_config::of(&text, &self.path, self.lookup);
        let given = text::given(&text);
        self.seen = Some(text);
        match (understood, given) {
            (Ok(settings), Ok(given)) => {
                self.found = Some(settings);
                (Answer::Text, Some(given))
            }
            (Ok(_), Err(error)) => (Answer::Problems(error.to_string()), None),
            (Err(problems), _) => (Answer::Problems(problems.render(false)), None),
        }
    }

    fn take(&mut self) -> Answer {
        match self.found.take() {
            Some(settings) => {
                self.in_force = Some(settings);
                Answer::Taken
            }
            None => Answer::Refused("no configuration was found that could be put in force".to_owned()),
        }
    }

    /// INVARIANT: what is started is what the file says, whatever was asked for.
    fn command(&self, server: &str) -> Result<mantlet_config::CommandLine, String> {
        let servers = self.in_force.iter().flat_map(|settings| &settings.servers);
        let named = servers.into_iter().find(|known| known.name == server);
        match named.map(|server| &server.transport) {
            Some(Transport::Command(line)) => Ok(line.clone()),
            Some(Transport::Http(_)) => Err("the configuration has no program for this server".to_owned()),
            None => Err("the configuration that is in force has no such server".to_owned()),
        }
    }
}

/// Starts a server and hands it over; gives up when nobody waits for it any more.
async fn start(
    name: String,
    line: mantlet_config::CommandLine,
    answers: OpenLine,
    place: OwnedSemaphorePermit,
) {
    let answers = Arc::new(answers);
    let witness = Elsewhere {
        told: Installing(name.clone()),
        answers: Arc::clone(&answers),
    };
    let launched = tokio::select! {
        launched = launch(&name, &line, Arc::new(witness)) => launched,
        () = answers.ends() => return,
    };
    match launched {
        Ok((launched, child)) => {
            hand_over(launched, &answers).await;
            reap(child).await;
        }
        Err(why) => {
            let _told = timeout(PATIENCE, answers.say(&Answer::Refused(why), &[])).await;
        }
    }
    drop(place);
}

/// What is not taken is dropped here, and ends with its line.
async fn hand_over(launched: Launched, answers: &OpenLine) {
    let beside = [
        launched.stdin.as_fd(),
        launched.stdout.as_fd(),
        launched.stderr.as_fd(),
        launched.line.as_fd(),
    ];
    let _told = timeout(
        PATIENCE,
        answers.say(&Answer::Started(launched.facts.clone()), &beside),
    )
    .await;
}

async fn reap(mut child: Child) {
    let _ended = child.wait().await;
}

//! `serve` is two processes. The one that faces the network reads what clients and servers say, and can neither run a
//! program nor open files; the launcher starts what the configuration names, and reads nothing but the words here. They
//! are the same binary, so that the words need no version.
//!
//! INVARIANT: the network-facing process says which server to start by its name only. The launcher reads the
//! configuration's file itself; so whoever takes the first over can start what the operator wrote, and nothing else.
//!
//! Each `Ask` comes with the end of a line on which it is answered, and that is all that the launcher can be told: when
//! nobody listens at the other end of such a line any more, what was asked for is given up.

mod egress;
mod serve;
mod text;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use mantlet_sandbox::egress::Budget;
use mantlet_sandbox::{Grant, Itself, Line, OpenLine};
use serde::{Deserialize, Serialize};

use crate::upstream::process::launch::{Facts, Launched};

pub use serve::serve;

/// The argument with which the binary is run again to be the launcher.
pub const LAUNCHER: &str = "launcher";

/// What the network-facing process may ask for.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
enum Ask {
    /// Start the server of this name.
    Start { server: String },
    /// Look at the configuration's file; `anyway`: also when it did not change.
    Look { anyway: bool },
    /// Put in force what was found last.
    Take {},
}

/// What it is answered.
#[derive(Debug, Deserialize, Serialize)]
enum Answer {
    /// The program was started. Beside it: its input, its output, its errors, and the line that holds it.
    Started(Facts),
    /// Before that, perhaps more than once: the installation of its package needs the network. Beside it: a line that
    /// takes events as long as it is served, the resolver, and a listener for each of these ports.
    Doors {
        ports: Vec<u16>,
        grants: Vec<Grant>,
        budget: Budget,
    },
    /// The file is what it was.
    Same,
    /// It has problems.
    Problems(String),
    /// It has none. Beside it: its text.
    Text,
    /// It is in force.
    Taken,
    /// It is not done, and why.
    Refused(String),
}

/// Of how many processes the gateway is made.
#[derive(Debug)]
pub enum Halves {
    /// It is one process, which starts servers itself: `wrap` and `demo`.
    One,
    /// It is two; this one has walls around it.
    Two {
        /// The other one.
        launcher: Launcher,
        /// What holds this one, as found out.
        itself: Itself,
    },
}

impl Halves {
    /// A new configuration is about to be put in force: the launcher starts servers by it from now on.
    pub(crate) async fn take(&self) -> Result<(), String> {
        match self {
            Self::One => Ok(()),
            Self::Two { launcher, .. } => launcher.take().await,
        }
    }
}

/// What became of a look at the configuration's file.
#[derive(Debug)]
pub enum Look {
    /// It did not change.
    Same,
    /// It has problems, in words.
    Problems(String),
    /// It has none, and this is its text.
    Text(String),
}

/// The launcher, as the network-facing process sees it.
#[derive(Debug)]
pub struct Launcher(OpenLine);

/// The launcher has gone, and why that is known.
fn gone(error: &io::Error) -> String {
    format!("the launcher has gone ({error}): no server can be started, and the gateway ends")
}

/// The other end was closed.
fn closed() -> io::Error {
    io::Error::from(io::ErrorKind::UnexpectedEof)
}

/// Before there is a runtime: the configuration as the launcher reads it, which is in force from now on.
///
/// # Errors
/// In words: the file has problems, or the launcher has gone.
pub fn first(line: &Line) -> Result<String, String> {
    let ask = |ask: Ask| -> io::Result<(Answer, Vec<OwnedFd>)> {
        let (ours, theirs) = Line::pair()?;
        line.say(&ask, &[theirs.as_fd()])?;
        drop(theirs);
        ours.hear()?.ok_or_else(closed)
    };
    let text = match ask(Ask::Look { anyway: true }).map_err(|error| gone(&error))? {
        (Answer::Text, beside) => text::taken(beside).map_err(|error| gone(&error))?,
        (Answer::Problems(why) | Answer::Refused(why), _) => return Err(why),
        _ => return Err(gone(&closed())),
    };
    match ask(Ask::Take {}).map_err(|error| gone(&error))? {
        (Answer::Taken, _) => Ok(text),
        _ => Err(gone(&closed())),
    }
}

impl Launcher {
    /// Within the runtime.
    ///
    /// # Errors
    /// There is nothing at the other end.
    pub fn new(line: Line) -> io::Result<Self> {
        line.open().map(Self)
    }

    /// Waits until it has gone: nothing can be started any more.
    pub async fn gone(&self) {
        self.0.ends().await;
    }

    /// It is not needed any more: it ends, when what it started has.
    pub fn leave(&self) {
        self.0.close();
    }

    /// Looks at the configuration's file; `anyway`: also when it did not change.
    ///
    /// # Errors
    /// The launcher has gone.
    pub async fn look(&self, anyway: bool) -> Result<Look, String> {
        let answers = self.ask(&Ask::Look { anyway }).await?;
        match next(&answers).await? {
            (Answer::Same, _) => Ok(Look::Same),
            (Answer::Problems(why), _) => Ok(Look::Problems(why)),
            (Answer::Text, beside) => text::taken(beside).map(Look::Text).map_err(|error| gone(&error)),
            _ => Err(gone(&closed())),
        }
    }

    async fn take(&self) -> Result<(), String> {
        let answers = self.ask(&Ask::Take {}).await?;
        match next(&answers).await? {
            (Answer::Taken, _) => Ok(()),
            (Answer::Refused(why), _) => Err(why),
            _ => Err(gone(&closed())),
        }
    }

    /// Starts a server. Dropping the future gives it up.
    pub(crate) async fn start(&self, server: &str) -> Result<Launched, String> {
        let server = server.to_owned();
        let answers = self.ask(&Ask::Start { server }).await?;
        let mut serving = Vec::new();
        loop {
            match next(&answers).await? {
                (Answer::Started(facts), beside) => return launched(facts, beside),
                (Answer::Refused(why), _) => return Err(why),
                (
                    Answer::Doors {
                        ports,
                        grants,
                        budget,
                    },
                    beside,
                ) => {
                    serving.push(egress::serve(ports, grants, budget, beside).map_err(|error| gone(&error))?);
                }
                _ => return Err(gone(&closed())),
            }
        }
    }

    async fn ask(&self, ask: &Ask) -> Result<OpenLine, String> {
        let asked = async {
            let (ours, theirs) = Line::pair()?;
            self.0.say(ask, &[theirs.as_fd()]).await?;
            ours.open()
        };
        asked.await.map_err(|error| gone(&error))
    }
}

async fn next(answers: &OpenLine) -> Result<(Answer, Vec<OwnedFd>), String> {
    let next = answers.hear().await;
    next.and_then(|next| next.ok_or_else(closed))
        .map_err(|error| gone(&error))
}

fn launched(facts: Facts, beside: Vec<OwnedFd>) -> Result<Launched, String> {
    let Ok([stdin, stdout, stderr, line]) = <[OwnedFd; 4]>::try_from(beside) else {
        return Err(gone(&closed()));
    };
    Ok(Launched {
        facts,
        stdin,
        stdout,
        stderr,
        line: line.into(),
    })
}

//! `mantlet cage`: any command in the sandbox, with the grants of the command line.

mod streams;

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use mantlet_config::cage::Cage;
use mantlet_config::{Settings, Transport};
use mantlet_gateway::Start;
use mantlet_sandbox::egress::{self, Budget, Rule, Witness};
use mantlet_sandbox::learn::Trace;
use mantlet_sandbox::{Event, Fell, Outcome, Said, Spec, Streams};

use tokio::signal::unix::SignalKind;

use crate::failure::{self, Failure};
use crate::grants::Grants;
use crate::{learn, state, term};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mantlet cage --proof -- true\n  mantlet cage --read ~/notes -- ls -l ~/notes\n  mantlet cage --net api.example.com:443 -- curl -s https://api.example.com/\n  mantlet cage --write \"$PWD\" --memory 2G --processes 400 -- make\n  mantlet cage --learn -- npx -y @modelcontextprotocol/server-filesystem ~/notes\n\nThe exit code is the command's own (137 when it was ended for a limit); 2 wrong use, 3 there is no cage."
)]
pub(crate) struct Options {
    #[command(flatten)]
    grants: Grants,
    #[command(flatten)]
    learning: learn::Learn,
    /// Do not run the command: print as JSON what holds it, found out from within
    #[arg(long)]
    proof: bool,
    /// The command
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

pub(crate) fn run(options: Options) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::could_not_run(format!("no runtime: {error}")))?;
    let outcome = runtime.block_on(async {
        let learning = options.learning.is_on();
        let program = options.command.first().cloned().unwrap_or_default();
        let spec = spec(options.command, &options.grants, learning).await?;
        if options.proof {
            prove(&spec).await
        } else if learning {
            learn::run(spec, program, &options.learning, &options.grants).await
        } else {
            let rule = Rule::Granted(spec.network.clone());
            caged(&spec, rule, Arc::new(Teller)).await
        }
    });
    runtime.shutdown_background();
    outcome
}

async fn spec(argv: Vec<String>, grants: &Grants, learning: bool) -> Result<Spec, Failure> {
    let settings = Settings::wrap("cage", argv, &state::directory())
        .map_err(|problems| Failure::wrong_use(problems.render(false)))?;
    let Some(Transport::Command(mut line)) =
        settings.servers.into_iter().next().map(|server| server.transport)
    else {
        return Err(Failure::could_not_run("a command is no command"));
    };
    let detours = grants.apply(&mut line)?;
    let Cage::On(cage) = &line.cage else {
        return Err(Failure::could_not_run("there is no cage"));
    };
    let name = crate::wrap::name_of(&line.argv);
    let (start, hints) = mantlet_gateway::ready(&name, &line, cage, Arc::new(Teller))
        .await
        .map_err(Failure::wrong_use)?;
    // When it learns, what is not granted is there.
    for hint in hints.iter().filter(|_| !learning) {
        term::say(&format!("mantlet: note: {hint}"));
    }
    let Start::Caged(mut spec) = start else {
        return Err(Failure::wrong_use(
            "a container is a cage of its own and needs the rights of its user: run it by `mantlet wrap`",
        ));
    };
    for (to, detour) in detours {
        let to = to.to_string();
        let grants = spec.network.iter_mut().filter(|grant| grant.to_string() == to);
        grants.for_each(|grant| grant.dial = Some(detour));
    }
    Ok(*spec)
}

async fn prove(spec: &Spec) -> Result<u8, Failure> {
    let streams = Streams {
        input: Stdio::null(),
        output: Stdio::null(),
        errors: Stdio::null(),
    };
    let (mut helper, mut cage) = mantlet_sandbox::start(spec, streams, true).map_err(fell)?;
    let proof = cage.stands().await.map_err(fell)?;
    cage.kill();
    drop(cage);
    helper.wait().await?;
    let text =
        serde_json::to_string_pretty(&proof).map_err(|error| Failure::could_not_run(error.to_string()))?;
    term::print(&text);
    Ok(if proof.holds() {
        failure::FINE
    } else {
        failure::FINDINGS
    })
}

/// Longest from being asked to end to being ended.
const GRACE: Duration = Duration::from_secs(10);
/// The code of a command that was ended by SIGTERM before it ran.
const ASKED: u8 = 143;
/// And of one that was killed.
const KILLED: u8 = 137;

/// Sees what a caged command does.
pub(crate) trait Sight: Witness {
    /// It used this: told of a recording cage only.
    fn learnt(&self, _traces: Vec<Trace>) {}
}

/// Runs the command in its cage until it ends.
pub(crate) async fn caged(spec: &Spec, rule: Rule, sight: Arc<dyn Sight>) -> Result<u8, Failure> {
    let mut signals = signals()?;
    let (streams, piped) = streams::streams();
    let (mut helper, mut cage) = mantlet_sandbox::start(spec, streams, false).map_err(fell)?;
    let shown = streams::carry(piped, &mut helper);
    // The command may run before its cage has said so: what it is told until then is handed on afterwards.
    let mut early = Vec::new();
    let stood = loop {
        let building = tokio::time::timeout(GRACE, cage.stands());
        tokio::select! {
            stood = building => match stood {
                Ok(stood) => break Some(stood.map_err(fell)?),
                Err(_) if early.is_empty() => {}
                Err(_) => break None,
            },
            Some(signal) = signals.recv() => early.push(signal),
        }
    };
    if stood.is_none() {
        drop(cage);
        helper.wait().await?;
        return Ok(ASKED);
    }
    early.iter().for_each(|signal| cage.signal(*signal));
    let egress = cage.doors().map(|doors| {
        let witness: Arc<dyn Witness> = Arc::<dyn Sight>::clone(&sight);
        tokio::spawn(egress::serve(doors, rule, Budget::default(), witness))
    });
    sight.learnt(cage.learnt());
    let mut deadline = None;
    let code = loop {
        let late = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            said = cage.said() => match said? {
                Some(Said::Saw(event)) => sight.saw(event),
                Some(Said::Learnt(traces)) => sight.learnt(traces),
                Some(Said::Ended(code)) => break code,
                None => break KILLED,
            },
            Some(signal) = signals.recv() => {
                cage.signal(signal);
                if signal == rustix::process::Signal::TERM.as_raw() {
                    deadline = deadline.or(tokio::time::Instant::now().checked_add(GRACE));
                }
            }
            () = late => {
                deadline = None;
                cage.kill();
            }
        }
    };
    if let Some(egress) = egress {
        egress.abort();
    }
    drop(cage);
    helper.wait().await?;
    for task in shown {
        drop(task.await);
    }
    Ok(code)
}

/// What is handed on to the command.
fn signals() -> Result<tokio::sync::mpsc::Receiver<i32>, Failure> {
    let (tell, told) = tokio::sync::mpsc::channel(8);
    for kind in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
        SignalKind::quit(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
    ] {
        let mut heard = tokio::signal::unix::signal(kind)?;
        let tell = tell.clone();
        tokio::spawn(async move {
            while heard.recv().await.is_some() {
                let _full = tell.try_send(kind.as_raw_value());
            }
        });
    }
    Ok(told)
}

fn fell(fell: Fell) -> Failure {
    Failure::could_not_run(fell.to_string())
}

/// Tells on standard error what was tried.
struct Teller;

impl Witness for Teller {
    fn saw(&self, event: Event) {
        tell(&event);
    }
}

impl Sight for Teller {}

/// Says what was tried.
pub(crate) fn tell(event: &Event) {
    let plain = term::plain;
    let text = match event {
        Event::Connect { host, port, outcome } => match outcome {
            Outcome::Refused(why) => format!(
                "BREACH: connection to {}:{port} refused: {}",
                plain(host),
                plain(why)
            ),
            Outcome::Failed(why) => format!(
                "EGRESS: {}:{port} could not be reached: {}",
                plain(host),
                plain(why)
            ),
            Outcome::Granted | Outcome::Closed { .. } => return,
        },
        Event::Lookup { name } => format!("BREACH: `{}` was looked up and is not granted", plain(name)),
        Event::Call { name, times } => format!("BREACH: the call `{name}` was refused ({times} times)"),
        Event::Planted { path, removed } => {
            let done = if *removed { ", and was taken away" } else { "" };
            format!(
                "BREACH: `{}` appeared, which makes programs of its owner run something{done}",
                plain(path)
            )
        }
        Event::Limit { name, used, granted } => {
            format!("BREACH: ended for its use of {name}: {used} used, {granted} granted")
        }
    };
    term::say(&format!("mantlet: {text}"));
}

//! One run of one script: launched in a cage or without, watched, ended, and judged by its own word and by the host's.

use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mantlet_tests::processes::MARK;
use mantlet_tests::serving::signal;
use mantlet_tests::until;

use crate::granted::NAME;
use crate::processes;
use crate::script::{End, Script, folder};
use crate::snapshot::{self, Snapshot};
use crate::users::User;
use crate::world::{Range, World};
use crate::{DISK, FILES, MEMORY, PROCESSES};

/// How long a launcher that was asked to end may take.
const END: Duration = Duration::from_secs(3);
/// How long what it started may take after it.
const AFTER: Duration = Duration::from_millis(1500);
/// What a script says before all else.
const BEGUN: &str = "BEGUN";

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What got through, as the host and the script see it.
    pub(crate) escaped: Vec<String>,
    /// What the script said.
    pub(crate) said: String,
    /// What came on standard error.
    pub(crate) errors: String,
    /// It began.
    pub(crate) began: bool,
    /// It was cut off at its limit.
    pub(crate) late: bool,
    /// The script came to a verdict, or needs none.
    pub(crate) judged: bool,
    /// What the script left for the host to see, and the host does not.
    pub(crate) unseen: Vec<String>,
    /// How the launcher ended.
    pub(crate) status: ExitStatus,
    pub(crate) took: Duration,
}

impl Outcome {
    /// The last line that begins with this word.
    pub(crate) fn line(&self, word: &str) -> Option<&str> {
        self.said
            .lines()
            .rfind(|line| line.starts_with(word))
            .map(str::trim)
    }

    /// The end of what it said, for people.
    pub(crate) fn tail(&self) -> String {
        let tail = |text: &str| {
            let lines: Vec<&str> = text.lines().rev().take(6).collect();
            lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
        };
        format!(
            "{}; said: {:.400}; errors: {:.800}",
            self.status,
            tail(&self.said),
            tail(&self.errors)
        )
    }
}

/// Runs a script as a user, caged or not.
pub(crate) fn run(range: &Range, script: &Script, user: User, caged: bool) -> Outcome {
    let mut world = World::new(range, script, user, caged);
    let mut running = Running::start(&launch(range, &world, script, caged), &world, script);
    let end = running.watch(&world, script);
    let status = running.child.wait().unwrap();
    let mut escaped = end.escaped;
    escaped.extend(what_goes_on(&world, &running));
    processes::end_all(&world.mark, user, world.victim());
    let (said, errors) = running.output();
    escaped.extend(world.end_victim());
    escaped.extend(what_was_left(&mut world));
    if (said.clone() + &errors).contains(&world.canary) {
        escaped.push("a secret is in its output".to_owned());
    }
    let told = said
        .lines()
        .filter(|line| line.starts_with("ESCAPED") || line.starts_with("HOST"));
    escaped.extend(told.map(|line| line.trim().to_owned()));
    if script.name == "terminal_escapes.js" && said.contains("\x1b]") {
        escaped.push("escapes came to the terminal".to_owned());
    }
    let known = ["ESCAPED", "CONTAINED", "WORKS", "BROKEN"];
    Outcome {
        unseen: unseen(&world, &said),
        judged: said
            .lines()
            .any(|line| known.iter().any(|known| line.starts_with(known)))
            || (script.end != End::ByItself && said.contains("READY")),
        began: said.contains(BEGUN) || said.contains("READY"),
        late: end.late,
        took: end.took,
        escaped,
        said,
        errors,
        status,
    }
}

/// The command line of a run.
fn launch(range: &Range, world: &World, script: &Script, caged: bool) -> Command {
    let mut words: Vec<PathBuf> = Vec::new();
    if let Some(program) = &script.with {
        words.extend([
            "/usr/bin/python3".into(),
            "-B".into(),
            folder("host").join(program),
            world.facts(),
        ]);
    }
    if caged {
        let mantlet = if script.own_launcher {
            &world.launcher
        } else {
            &range.mantlet
        };
        let port = world.witness.ports.granted;
        let grants = [
            format!("--net={NAME}:{port}=127.0.0.1:{port}"),
            format!("--memory={MEMORY}M"),
            format!("--processes={PROCESSES}"),
            format!("--disk={DISK}M"),
            format!("--files={FILES}"),
            format!("--env={MARK}={}", world.mark),
            "--env=GRANTED=a value with = and spaces".to_owned(),
        ];
        words.extend([mantlet.clone(), "cage".into()]);
        for path in [&range.scripts, &world.path("facts"), &world.path("readonly")] {
            words.extend(["--read".into(), path.clone()]);
        }
        words.extend(["--write".into(), world.project()]);
        words.extend(grants.map(PathBuf::from));
        words.extend(script.loopback.then(|| "--loopback".into()));
        words.push("--".into());
    } else {
        // A shell that waits: a launcher without any care.
        words.extend([
            world.launcher.clone(),
            "-c".into(),
            "\"$@\"; exit $?".into(),
            "launcher".into(),
        ]);
    }
    words.extend(script.command(&range.scripts, &world.facts()));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    let directory = if script.from_home {
        world.path("home")
    } else {
        world.project()
    };
    command.current_dir(directory);
    command
}

/// A stream that is read, and what came.
type Reader = (JoinHandle<()>, Arc<Mutex<Vec<u8>>>);

/// A launched script.
struct Running {
    child: Child,
    readers: Vec<Reader>,
}

#[derive(Default)]
struct Watched {
    escaped: Vec<String>,
    late: bool,
    took: Duration,
}

impl Running {
    fn start(command: &Command, world: &World, script: &Script) -> Self {
        let mut started = Command::new(command.get_program());
        started
            .args(command.get_args())
            .current_dir(command.get_current_dir().unwrap())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", world.path("home"))
            .env("USER", "somebody")
            .env("LANG", "C.UTF-8")
            .env("HOST_SECRET", &world.canary)
            .env("AWS_SECRET_ACCESS_KEY", &world.canary)
            .env("SSH_AUTH_SOCK", world.path("run/agent.sock"))
            .env("XDG_RUNTIME_DIR", world.path("run"))
            .env(
                "DBUS_SESSION_BUS_ADDRESS",
                format!("unix:path={}", world.path("run/bus").display()),
            )
            .env(MARK, &world.mark)
            .env("GRANTED", "a value with = and spaces")
            .process_group(world.victim().map_or(0, |pid| i32::try_from(pid).unwrap()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if script.name == "proxy_tricked.py" {
            let proxy = format!("http://127.0.0.1:{}", world.witness.ports.forbidden);
            started.env("HTTP_PROXY", &proxy).env("https_proxy", proxy);
        }
        world.user.runs(&mut started);
        // A launcher was copied just now: a child of another thread may still hold that file open, until it becomes its
        // own program, and what is open for writing cannot be run (ETXTBSY).
        let mut child = until("the launcher can be run", || match started.spawn() {
            Err(busy) if busy.kind() == ErrorKind::ExecutableFileBusy => None,
            outcome => Some(outcome.unwrap()),
        });
        let readers = vec![
            collect(child.stdout.take().unwrap()),
            collect(child.stderr.take().unwrap()),
        ];
        Self { child, readers }
    }

    fn said(&self, word: &str) -> bool {
        let said = self.readers[0].1.lock().unwrap();
        said.windows(word.len()).any(|window| window == word.as_bytes())
    }

    /// Waits for the end, and does meanwhile what the host is to do.
    fn watch(&mut self, world: &World, script: &Script) -> Watched {
        let mut watched = Watched::default();
        let begun = Instant::now();
        let mut asked: Option<Instant> = None;
        let mut probed = false;
        let answer = world.path("home/project/answer.txt");
        while self.child.try_wait().unwrap().is_none() {
            if asked.is_none() && script.end != End::ByItself && self.said("READY") {
                let name = if script.end == End::Killed { "KILL" } else { "TERM" };
                signal(self.child.id(), name);
                asked = Some(Instant::now());
            }
            if asked.is_some_and(|asked| asked.elapsed() > END) {
                if script.end == End::Asked {
                    watched
                        .escaped
                        .push("the launcher was asked to end and is still there".to_owned());
                }
                signal(self.child.id(), "KILL");
                break;
            }
            if !probed && self.said("LISTENING") {
                probed = true;
                watched.escaped.extend(probe(world.witness.ports.listen));
            }
            if script.name == "files_seen_at_once.py"
                && world.path("home/project/question.txt").exists()
                && !answer.exists()
            {
                let draft = world.path("home/project/draft.txt");
                std::fs::write(&draft, "I am").unwrap();
                world.user.owns(&draft);
                std::fs::rename(&draft, &answer).unwrap();
            }
            if begun.elapsed() > script.limit {
                watched.late = true;
                signal(self.child.id(), "KILL");
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        watched.took = begun.elapsed();
        watched
    }

    /// Whether everybody closed the output.
    fn is_closed(&self) -> bool {
        self.readers.iter().all(|(thread, _)| thread.is_finished())
    }

    /// Everything that was said; nothing runs any more.
    fn output(&mut self) -> (String, String) {
        let end = Instant::now() + Duration::from_secs(5);
        while !self.is_closed() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        let text = |number: usize| {
            let bytes = self.readers[number].1.lock().unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        (text(0), text(1))
    }
}

/// Reads everything, keeps the first megabyte.
fn collect(mut stream: impl Read + Send + 'static) -> Reader {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            let mut kept = keep.lock().unwrap();
            if kept.len() < 1 << 20 {
                kept.extend_from_slice(&buffer[..count]);
            }
        }
    });
    (thread, kept)
}

/// Tries to reach a listener from outside.
fn probe(port: u16) -> Vec<String> {
    let mut reached = Vec::new();
    for host in ["127.0.0.1", "::1"] {
        if std::net::TcpStream::connect((host, port)).is_ok() {
            reached.push(format!("the host reached {host}:{port}"));
        }
    }
    reached
}

/// What still runs, beats or holds the output when the launcher is gone.
fn what_goes_on(world: &World, running: &Running) -> Vec<String> {
    let mut seen = Vec::new();
    let left = processes::left(&world.mark, world.user, world.victim(), AFTER);
    if !left.is_empty() {
        let names: Vec<&str> = left
            .iter()
            .map(|process| process.shown.as_str())
            .take(4)
            .collect();
        seen.push(format!("{} processes are left: {}", left.len(), names.join(", ")));
    }
    let end = Instant::now() + AFTER;
    while !running.is_closed() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    if !running.is_closed() {
        seen.push("its output is still open".to_owned());
    }
    let beat = world.path("home/project/beat");
    if let Ok(before) = beat.metadata() {
        std::thread::sleep(Duration::from_millis(300));
        if beat.metadata().is_ok_and(|after| after.len() > before.len()) {
            seen.push("something goes on writing".to_owned());
        }
    }
    seen
}

/// What is otherwise than before.
fn what_was_left(world: &mut World) -> Vec<String> {
    let mut seen = world.witness.end();
    seen.extend(world.before.changes(&Snapshot::take(&world.directory)));
    seen.extend(snapshot::excesses(&world.project()));
    seen.extend(snapshot::left_in_shared_places(&world.mark));
    if std::fs::read(&world.launcher).ok() != std::fs::read(&world.original).ok() {
        seen.push("the launcher's program is another one".to_owned());
    }
    seen
}

/// `SEE name text` and `GONE name` are promises about the granted folder.
fn unseen(world: &World, said: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for line in said.lines() {
        if let Some((name, text)) = line.strip_prefix("SEE ").and_then(|rest| rest.split_once(' ')) {
            let found = std::fs::read_to_string(world.project().join(name)).unwrap_or_default();
            if found != text.replace("\\n", "\n") {
                wrong.push(format!("{name} has {found:?} in it"));
            }
        }
        if let Some(name) = line.strip_prefix("GONE ")
            && world.project().join(name).exists()
        {
            wrong.push(format!("{name} is there"));
        }
    }
    wrong
}

//! `docker run`, `podman run`, `nerdctl run`: not caged, since the client must reach its daemon, which could do anything
//! on the machine. The container is the cage: what would open it is refused, what holds it is added. Words to words;
//! nothing is run here.

use std::path::{Component, Path, PathBuf};

use super::Hint;
use super::flags::{Given, Table};
use crate::settle::Machine;
use crate::spec::Limits;

/// A command that starts a container. It is to be run outside of a cage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The words, with what holds the container added.
    pub argv: Vec<String>,
    /// What the person should know.
    pub hints: Vec<Hint>,
}

/// Options in front of the subcommand.
const CLIENT: Table = Table {
    launcher: "docker",
    bare: &["-D", "--debug", "--tls", "--tlsverify"],
    valued: &[
        "-c",
        "--context",
        "--connection",
        "--config",
        "-l",
        "--log-level",
        "-n",
        "--namespace",
        "--tlscacert",
        "--tlscert",
        "--tlskey",
    ],
};

/// Options of `run`. One that is missing here is refused, since its value could hide another option.
const RUN: Table = Table {
    launcher: "docker run",
    bare: &[
        "-i",
        "--interactive",
        "-t",
        "--tty",
        "-d",
        "--detach",
        "--rm",
        "--init",
        "--read-only",
        "--privileged",
        "-P",
        "--publish-all",
        "--no-healthcheck",
        "--oom-kill-disable",
        "--sig-proxy",
        "-q",
        "--quiet",
        "--replace",
        "--rmi",
        "--disable-content-trust",
        "--tls-verify",
        "--use-api-socket",
        "--env-host",
        "--http-proxy",
        "--no-hosts",
        "--read-only-tmpfs",
    ],
    valued: &[
        "-e",
        "--env",
        "--env-file",
        "-v",
        "--volume",
        "--mount",
        "--tmpfs",
        "-w",
        "--workdir",
        "-u",
        "--user",
        "--name",
        "-h",
        "--hostname",
        "-l",
        "--label",
        "--label-file",
        "-m",
        "--memory",
        "--memory-swap",
        "--memory-reservation",
        "--memory-swappiness",
        "-c",
        "--cpu-shares",
        "--cpus",
        "--cpuset-cpus",
        "--cpuset-mems",
        "--cpu-period",
        "--cpu-quota",
        "--pids-limit",
        "--shm-size",
        "--ulimit",
        "--network",
        "--net",
        "--network-alias",
        "--net-alias",
        "--dns",
        "--dns-option",
        "--dns-search",
        "--add-host",
        "--ip",
        "--ip6",
        "--mac-address",
        "--link",
        "-p",
        "--publish",
        "--expose",
        "--cap-add",
        "--cap-drop",
        "--security-opt",
        "--pid",
        "--ipc",
        "--uts",
        "--userns",
        "--cgroupns",
        "--cgroup-parent",
        "--device",
        "--device-cgroup-rule",
        "--volumes-from",
        "--volume-driver",
        "--entrypoint",
        "--pull",
        "--platform",
        "--restart",
        "--stop-signal",
        "--stop-timeout",
        "--log-driver",
        "--log-opt",
        "--gpus",
        "--group-add",
        "--runtime",
        "--annotation",
        "--isolation",
        "--health-cmd",
        "--health-interval",
        "--health-retries",
        "--health-start-period",
        "--health-timeout",
        "--domainname",
        "-a",
        "--attach",
        "--cidfile",
        "--detach-keys",
        "--sysctl",
        "--storage-opt",
        "--blkio-weight",
        "--oom-score-adj",
        "--secret",
        "--arch",
        "--os",
        "--timezone",
        "--tz",
        "--umask",
        "--timeout",
        "--hostuser",
        "--authfile",
    ],
};

/// Rights with which a container is no cage any more (capabilities(7)).
const RIGHTS: &[&str] = &[
    "ALL",
    "BPF",
    "CHECKPOINT_RESTORE",
    "DAC_READ_SEARCH",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "NET_ADMIN",
    "PERFMON",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_MODULE",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_TIME",
    "SYSLOG",
];
/// Folders of the machine that are in no container, with all that is in them.
const MACHINE: &[&str] = &[
    "/boot",
    "/dev",
    "/etc",
    "/proc",
    "/run",
    "/sys",
    "/var/run",
    "/var/lib/docker",
    "/var/lib/containers",
];
/// Folders that are in no container as a whole.
const WHOLE: &[&str] = &[
    "/", "/bin", "/home", "/lib", "/lib64", "/mnt", "/opt", "/sbin", "/srv", "/tmp", "/usr", "/var",
    "/var/lib",
];
/// Folders of a home that hold keys, or what is run by itself.
const SECRET: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".config",
    ".docker",
    ".kube",
    ".local",
    ".mozilla",
    ".netrc",
    ".npmrc",
    ".password-store",
    ".pypirc",
    ".git-credentials",
    ".bashrc",
    ".profile",
    ".zshrc",
];

/// Whether the words start a container: then the program and what is behind it.
pub(super) fn is_client(program: &str) -> bool {
    matches!(program, "docker" | "podman" | "nerdctl")
}

/// Reads the words behind the client's name. `networked`: something of the network was granted to the server.
///
/// # Errors
/// In words: what would open the container, or is no `run`.
pub(super) fn harden(
    argv: &[String],
    machine: &Machine,
    limits: &Limits,
    networked: bool,
) -> Result<Container, String> {
    let [program, words @ ..] = argv else {
        return Err("there is no command".to_owned());
    };
    let client = program.rsplit('/').next().unwrap_or(program);
    let (_, words) = CLIENT.read(words)?;
    let words = match words {
        [run, words @ ..] if run == "run" => words,
        [container, run, words @ ..] if container == "container" && run == "run" => words,
        _ => {
            return Err(format!(
                "`{client}` can do anything on the machine, so it cannot run in a cage; of its commands only \
                 `{client} run` is known here. To run this one without a cage, say `sandbox: off`"
            ));
        }
    };
    let (given, rest) = RUN.read(words)?;
    if rest.is_empty() {
        return Err(format!("`{client} run` is told no image to run"));
    }
    let mut hints = Vec::new();
    for option in &given {
        judge(option, machine).map_err(|why| format!("`{client} run` with `{}`: {why}", written(option)))?;
    }
    let added = missing(&given, limits, networked, &mut hints);
    let at = argv.len().saturating_sub(words.len());
    let mut hardened: Vec<String> = argv.get(..at).unwrap_or_default().to_vec();
    hardened.extend(added.iter().cloned());
    hardened.extend(words.iter().cloned());
    hints.push(format!(
        "`{client} run` is not caged by Mantlet, since the client must reach its daemon: the container is the cage, \
         held by {}",
        added.join(" ")
    ));
    if let Some(image) = rest.first().filter(|image| !image.contains("@sha256:")) {
        hints.push(format!(
            "the image `{image}` may change from one start to the next: name it by its digest (`@sha256:…`)"
        ));
    }
    Ok(Container {
        argv: hardened,
        hints,
    })
}

fn written(option: &Given) -> String {
    match &option.value {
        Some(value) => format!("{} {value}", option.name),
        None => option.name.to_owned(),
    }
}

/// Refuses what would open the container.
fn judge(option: &Given, machine: &Machine) -> Result<(), String> {
    let text = option.text().trim();
    let of_machine = "the container would share this with the machine";
    match option.name {
        "--privileged" if option.is_on() => Err("a privileged container is no cage: leave it out".to_owned()),
        "--use-api-socket" if option.is_on() => {
            Err("the container would have the daemon's socket".to_owned())
        }
        "--oom-kill-disable" if option.is_on() => Err("the limit of memory would not hold".to_owned()),
        "--env-host" if option.is_on() => Err("the container would have the whole environment".to_owned()),
        "-d" | "--detach" if option.is_on() => {
            Err("a server talks over its input and output: leave it out".to_owned())
        }
        "--pid" | "--ipc" | "--uts" | "--userns" | "--cgroupns" | "--network" | "--net" => {
            let shares = ["host", "container:", "ns:", "/"];
            let mode = text.to_ascii_lowercase();
            if shares.iter().any(|shared| mode.starts_with(shared))
                || mode.split(',').any(|part| part == "name=host")
            {
                return Err(of_machine.to_owned());
            }
            Ok(())
        }
        "--cap-add" => {
            let right = text.to_ascii_uppercase();
            let right = right.strip_prefix("CAP_").unwrap_or(&right);
            let bad = right
                .split(',')
                .any(|right| RIGHTS.contains(&right.trim().trim_start_matches("CAP_")));
            if bad {
                Err("with this right it is no cage any more".to_owned())
            } else {
                Ok(())
            }
        }
        "--security-opt" => opening(text),
        "--device" | "--device-cgroup-rule" | "--volumes-from" | "--cgroup-parent" => {
            Err(of_machine.to_owned())
        }
        // Without a source it is a new, empty volume.
        "-v" | "--volume" => text
            .split_once(':')
            .map_or(Ok(()), |(source, _)| folder(source, machine)),
        "--mount" => mount(text, machine),
        "--sysctl" if text.starts_with("kernel.") => Err("it would change the machine".to_owned()),
        _ => Ok(()),
    }
}

fn opening(text: &str) -> Result<(), String> {
    let open = [
        "unconfined",
        "disable",
        "no-new-privileges=false",
        "no-new-privileges:false",
        "unmask",
    ];
    let text = text.to_ascii_lowercase();
    if open.iter().any(|word| text.contains(word)) {
        return Err("it takes away what holds the container".to_owned());
    }
    Ok(())
}

/// `type=bind,source=/x,target=/y`.
fn mount(text: &str, machine: &Machine) -> Result<(), String> {
    let fields: Vec<(&str, &str)> = text
        .split(',')
        .map(|field| field.split_once('=').unwrap_or((field, "")))
        .map(|(key, value)| (key.trim().trim_matches('"'), value.trim().trim_matches('"')))
        .collect();
    // A volume can be a folder of the machine by another name (the `local` driver's `o=bind`).
    if fields
        .iter()
        .any(|(key, _)| key.starts_with("volume-opt") || key.starts_with("volume-driver"))
    {
        return Err("a volume made so can be any folder of the machine".to_owned());
    }
    for (key, value) in fields {
        if matches!(key.to_ascii_lowercase().as_str(), "source" | "src") {
            folder(value, machine)?;
        }
    }
    Ok(())
}

/// Refuses folders and sockets that a server must not have. A name is a volume, and has nothing of the machine in it.
fn folder(source: &str, machine: &Machine) -> Result<(), String> {
    if !source.contains('/') && !source.starts_with(['.', '~']) {
        return Ok(());
    }
    let path = machine.directory.join(source);
    if source.starts_with('~') || path.components().any(|part| part == Component::ParentDir) {
        return Err("write the path in full".to_owned());
    }
    let path: PathBuf = path
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect();
    let real = path.canonicalize().unwrap_or_else(|_| path.clone());
    for path in [&path, &real] {
        let whole = WHOLE.iter().any(|known| path == Path::new(known));
        let machine_of = MACHINE
            .iter()
            .any(|known| path.starts_with(known) || Path::new(known).starts_with(path));
        if whole || machine_of {
            return Err("the machine itself would be in the container".to_owned());
        }
        if path.extension().is_some_and(|extension| extension == "sock") || is_socket(path) {
            return Err("a socket of the machine would be in the container".to_owned());
        }
        let Some(home) = &machine.home else { continue };
        let secret = SECRET
            .iter()
            .map(|name| home.join(name))
            .any(|secret| path.starts_with(secret));
        if home.starts_with(path) || secret {
            return Err(
                "keys and settings of the user would be in the container: name the folder that it needs"
                    .to_owned(),
            );
        }
    }
    Ok(())
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    path.metadata().is_ok_and(|found| found.file_type().is_socket())
}

/// What holds a container, where the person did not say otherwise.
fn missing(given: &[Given], limits: &Limits, networked: bool, hints: &mut Vec<Hint>) -> Vec<String> {
    let said = |names: &[&str]| given.iter().any(|option| names.contains(&option.name));
    let mut added = Vec::new();
    if !given
        .iter()
        .any(|option| option.name == "--cap-drop" && option.text().eq_ignore_ascii_case("all"))
    {
        added.push("--cap-drop=ALL".to_owned());
    }
    let raises =
        |option: &Given| option.name == "--security-opt" && option.text().starts_with("no-new-privileges");
    if !given.iter().any(raises) {
        added.push("--security-opt=no-new-privileges".to_owned());
    }
    if !said(&["--pids-limit"]) {
        added.push(format!("--pids-limit={}", limits.processes));
    }
    if !said(&["-m", "--memory"]) {
        added.push(format!("--memory={}", limits.memory));
        if !said(&["--memory-swap"]) {
            added.push(format!("--memory-swap={}", limits.memory));
        }
    }
    if limits.cpu > 0 && !said(&["--cpus", "--cpuset-cpus", "--cpu-quota"]) {
        added.push(format!("--cpus={}", limits.cpu));
    }
    if said(&["--network", "--net"]) {
        hints.push(
            "the container reaches whatever its network leads to: Mantlet cannot hold it to single hosts"
                .to_owned(),
        );
    } else if networked {
        hints.push(
            "a host was granted to it, but a container has all of the network or none: it has all of it"
                .to_owned(),
        );
    } else {
        added.push("--network=none".to_owned());
        hints.push(
            "the container has no network: write `--network bridge` in the command if it needs one"
                .to_owned(),
        );
        if said(&["-p", "--publish", "-P", "--publish-all"]) {
            hints.push("its published ports lead nowhere without a network".to_owned());
        }
    }
    added
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            path: Vec::new(),
            home: Some(PathBuf::from("/home/alice")),
            directory: PathBuf::from("/srv/project"),
        }
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn run(text: &str) -> Result<String, String> {
        let container = harden(&words(text), &machine(), &Limits::default(), false)?;
        Ok(container.argv.join(" "))
    }

    const HELD: &str = "--cap-drop=ALL --security-opt=no-new-privileges --pids-limit=256 --memory=1073741824 --memory-swap=1073741824 --network=none";

    #[test]
    fn what_holds_is_added_and_the_rest_stays() {
        for (text, hardened) in [
            ("docker run -i --rm mcp/fetch --x -v /:/y", format!("docker run {HELD} -i --rm mcp/fetch --x -v /:/y")),
            ("/usr/bin/docker --context x container run -i a", format!("/usr/bin/docker --context x container run {HELD} -i a")),
            ("podman run -i --rm -e TOKEN -v /srv/data:/data:ro a", format!("podman run {HELD} -i --rm -e TOKEN -v /srv/data:/data:ro a")),
            ("nerdctl run -i -- a", format!("nerdctl run {HELD} -- -i a").replace("-- -i a", "-i -- a")),
            (
                "docker run --cap-drop all --security-opt no-new-privileges:true --pids-limit=9 -m 1g --network bridge a",
                "docker run --cap-drop all --security-opt no-new-privileges:true --pids-limit=9 -m 1g --network bridge a".to_owned(),
            ),
            ("docker run -v data:/data -v /etc -v /home/alice/notes:/n --mount type=bind,src=/srv/x,dst=/y a", format!("docker run {HELD} -v data:/data -v /etc -v /home/alice/notes:/n --mount type=bind,src=/srv/x,dst=/y a")),
            ("docker run --privileged=false --cap-add NET_BIND_SERVICE a", format!("docker run {HELD} --privileged=false --cap-add NET_BIND_SERVICE a")),
        ] {
            assert_eq!(run(text).as_deref(), Ok(hardened.as_str()), "{text}");
        }
    }

    #[test]
    fn what_opens_is_refused() {
        for option in [
            "--privileged",
            "--privileged=true",
            "--pid host",
            "--pid=host",
            "--pid container:x",
            "--network host",
            "--net=host",
            "--net container:x",
            "--network name=host",
            "--ipc host",
            "--uts=host",
            "--userns host",
            "--cgroupns host",
            "--network ns:/proc/1/ns/net",
            "--cap-add ALL",
            "--cap-add=sys_admin",
            "--cap-add CAP_SYS_PTRACE",
            "--cap-add NET_BIND_SERVICE,SYS_ADMIN",
            "--security-opt seccomp=unconfined",
            "--security-opt apparmor:unconfined",
            "--security-opt label=disable",
            "--security-opt no-new-privileges=false",
            "--security-opt systempaths=unconfined",
            "--device /dev/sda",
            "--volumes-from x",
            "-v /:/host",
            "-v/:/host",
            "-iv /:/host",
            "--volume=/etc:/etc",
            "-v /var/run/docker.sock:/var/run/docker.sock",
            "-v /run/podman/podman.sock:/s",
            "-v /srv/x.sock:/s",
            "-v /home/alice:/h",
            "-v /home:/h",
            "-v /home/alice/.ssh:/k",
            "-v /home/alice/.ssh/id:/k",
            "-v ../..:/x",
            "-v ~/x:/x",
            "-v /srv/../etc:/x",
            "-v /srv/./..:/x",
            "-v //etc:/x",
            "--mount type=bind,source=/,target=/x",
            "--mount type=bind,\"source=/etc\",target=/x",
            "--mount type=bind,src=/proc,dst=/x",
            "--mount type=volume,src=x,dst=/y,volume-opt=device=/",
            "-d",
            "-dit",
            "--detach",
            "--oom-kill-disable",
            "--env-host",
            "--use-api-socket",
            "--sysctl kernel.core_pattern=x",
            "--new-option --privileged",
            "--cgroup-parent x",
            "-v /dev:/dev",
            "-v /sys/fs:/x",
            "-v /var:/x",
            "-v /run/x:/y",
        ] {
            let text = format!("docker run {option} a");
            assert!(run(&text).is_err(), "{option}");
        }
    }

    #[test]
    fn other_commands_of_the_client_are_refused() {
        for text in [
            "docker",
            "docker exec -i x y",
            "docker compose run x",
            "docker run",
            "docker run -i",
            "docker container exec x",
            "docker -H tcp://x run a",
            "docker build .",
        ] {
            assert!(run(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_granted_network_is_all_of_it() {
        let argv = words("docker run -i a");
        let container = harden(&argv, &machine(), &Limits::default(), true).unwrap();
        assert!(!container.argv.iter().any(|word| word.contains("network")));
        assert!(
            container
                .hints
                .iter()
                .any(|hint| hint.contains("all of the network"))
        );
        let pinned = harden(
            &words("docker run a@sha256:00"),
            &machine(),
            &Limits::default(),
            true,
        )
        .unwrap();
        assert_eq!(pinned.hints.len() + 1, container.hints.len());
    }
}

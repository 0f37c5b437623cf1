//! Places that no program in a cage is given, however its grants are written: those that open everything, the sockets
//! that start anything, credentials of the user, and what belongs to the gateway. The list is data; it is judged by
//! the text of a path alone.

use std::path::{Component, Path, PathBuf};

/// What a grant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading, and running what is there.
    Read,
    /// Writing as well.
    Write,
}

/// Why a path is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Follows the path: "`/srv` …".
    pub why: String,
    /// What to do instead.
    pub help: &'static str,
}

/// Why this path cannot be granted; `None` when it can. `home` is the home
/// directory of the user, where there is one, and `own` what belongs to the gateway: its state directory, its log.
///
/// It looks at the text only. Whoever opens the path asks again with what its links led to.
#[must_use]
pub fn unfit(path: &Path, access: Access, home: Option<&Path>, own: &[&Path]) -> Option<Reason> {
    let reason = |why: String, help| Some(Reason { why, help });
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return reason("is no full and plain path".to_owned(), FULL);
    }
    let name = path.file_name().and_then(|name| name.to_str());
    if name.is_some_and(|name| ENGINES.contains(&name)) {
        return reason(
            "is the socket of a container engine, which starts anything".to_owned(),
            WITHOUT,
        );
    }
    if !path.components().any(|part| matches!(part, Component::Normal(_))) {
        return reason("is the whole system".to_owned(), PART);
    }
    let homes = homes(path, home);
    if homes.iter().any(|home| home.starts_with(path)) {
        return reason("is a home directory, or lies above one".to_owned(), PART);
    }
    if let Some(own) = own.iter().find(|own| overlaps(path, own)) {
        return if path.starts_with(own) {
            reason(
                "belongs to the gateway, which keeps its token or its log there".to_owned(),
                ELSE,
            )
        } else {
            reason(
                "lies above what belongs to the gateway, its token or its log".to_owned(),
                PART,
            )
        };
    }
    if let Some(place) = SYSTEM.iter().find(|place| place.bars(path, access)) {
        return Some(place.reason(path, ""));
    }
    homes.iter().find_map(|home| {
        let inside = path.strip_prefix(home).ok()?;
        let place = HOME.iter().find(|place| place.bars(inside, access))?;
        Some(place.reason(inside, "~/"))
    })
}

/// Where credentials and the like are kept in a home directory: what [`unfit`] refuses there even for reading. To hide
/// them from a program that sees the rest.
pub fn stores(home: &Path) -> impl Iterator<Item = PathBuf> {
    HOME.iter()
        .filter(|place| !place.write)
        .map(move |place| home.join(place.at))
}

/// Whether one of the two lies in the other.
fn overlaps(path: &Path, place: &Path) -> bool {
    path.starts_with(place) || place.starts_with(path)
}

/// The home directory, and those of others as far as their place tells: a gateway that runs as a service may have
/// none of its own.
fn homes(path: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let mut homes: Vec<PathBuf> = home.map(Path::to_path_buf).into_iter().collect();
    homes.push(PathBuf::from("/root"));
    if let Some(Component::Normal(user)) = path
        .strip_prefix("/home")
        .ok()
        .and_then(|rest| rest.components().next())
    {
        homes.push(Path::new("/home").join(user));
    }
    homes
}

/// A place that is not granted, and nothing above it.
struct Place {
    at: &'static str,
    what: &'static str,
    help: &'static str,
    /// What lies in it is not granted either, but for this.
    below: Below,
    /// Only writing does harm.
    write: bool,
}

enum Below {
    Open,
    Closed,
    But(&'static str),
}

impl Place {
    fn bars(&self, path: &Path, access: Access) -> bool {
        let at = Path::new(self.at);
        let reached = match self.below {
            Below::Open => at.starts_with(path),
            Below::Closed => overlaps(path, at),
            Below::But(free) => overlaps(path, at) && !path.starts_with(free),
        };
        reached && (access == Access::Write || !self.write)
    }

    fn reason(&self, path: &Path, root: &str) -> Reason {
        let (at, what) = (self.at, self.what);
        let (why, help) = if Path::new(at) == path {
            (format!("holds {what}"), self.help)
        } else if path.starts_with(at) {
            (format!("lies in `{root}{at}`, which holds {what}"), self.help)
        } else {
            (format!("lies above `{root}{at}`, which holds {what}"), PART)
        };
        Reason { why, help }
    }

    const fn closed(at: &'static str, what: &'static str, help: &'static str) -> Self {
        Self {
            at,
            what,
            help,
            below: Below::Closed,
            write: false,
        }
    }

    const fn open(at: &'static str, what: &'static str) -> Self {
        Self {
            below: Below::Open,
            ..Self::closed(at, what, PART)
        }
    }

    const fn but(at: &'static str, free: &'static str, what: &'static str) -> Self {
        Self {
            below: Below::But(free),
            ..Self::closed(at, what, WITHOUT)
        }
    }

    const fn to_write(at: &'static str, what: &'static str) -> Self {
        Self {
            write: true,
            ..Self::closed(at, what, ELSE)
        }
    }

    /// A place in the home directory where credentials are kept.
    const fn kept(at: &'static str, what: &'static str) -> Self {
        Self::closed(at, what, SECRET)
    }
}

const FULL: &str = "write it from `/` on, without `..`";
const PART: &str = "name the folder in it that the program needs";
const ELSE: &str = "give the program a folder of its own";
const WITHOUT: &str = "leave it out: a program in a cage does without";
const SECRET: &str =
    "leave it out; a credential that the program needs is handed over by itself, as a secret";

/// Sockets by which whoever reaches them starts programs with all rights.
const ENGINES: &[&str] = &[
    "docker.sock",
    "containerd.sock",
    "podman.sock",
    "crio.sock",
    "buildkitd.sock",
];

const SYSTEM: &[Place] = &[
    Place::closed("/proc", "all processes, and the kernel's switches", WITHOUT),
    Place::open("/sys", "the kernel's switches"),
    Place::to_write("/sys", "the kernel's switches"),
    Place::closed("/dev", "devices, and memory that programs share", WITHOUT),
    Place::but("/run", "/run/media", "sockets of the system's services"),
    Place::but("/var/run", "/var/run/media", "sockets of the system's services"),
    Place::open("/tmp", "files and sockets of all programs"),
    Place::open("/home", "the home directories"),
    Place::to_write("/etc", "what the system runs by"),
    Place::to_write("/boot", "what the system starts"),
    Place::to_write("/usr", "programs that others run"),
    Place::to_write("/bin", "programs that others run"),
    Place::to_write("/sbin", "programs that others run"),
    Place::to_write("/lib", "programs that others run"),
    Place::to_write("/lib64", "programs that others run"),
];

const HOME: &[Place] = &[
    Place::kept(".ssh", "keys of SSH"),
    Place::kept(".gnupg", "keys of GnuPG"),
    Place::kept(".aws", "credentials of AWS"),
    Place::kept(".azure", "credentials of Azure"),
    Place::kept(".config/gcloud", "credentials of Google Cloud"),
    Place::kept(".boto", "credentials of Google Cloud"),
    Place::kept(".config/doctl", "credentials of DigitalOcean"),
    Place::kept(".config/rclone", "credentials of rclone"),
    Place::kept(".s3cfg", "credentials of S3"),
    Place::kept(".terraform.d", "credentials of Terraform"),
    Place::kept(".vault-token", "a token of Vault"),
    Place::kept(".kube", "credentials of Kubernetes"),
    Place::kept(".docker", "credentials of Docker"),
    Place::kept(".config/containers", "credentials of Podman"),
    Place::kept(".netrc", "passwords for the network"),
    Place::kept(".pgpass", "passwords of PostgreSQL"),
    Place::kept(".my.cnf", "passwords of MySQL"),
    Place::kept(".npmrc", "a token of npm"),
    Place::kept(".pypirc", "a token of PyPI"),
    Place::kept(".cargo/credentials.toml", "a token of crates.io"),
    Place::kept(".gem/credentials", "a token of RubyGems"),
    Place::kept(".config/gh", "a token of GitHub"),
    Place::kept(".config/hub", "a token of GitHub"),
    Place::kept(".config/glab-cli", "a token of GitLab"),
    Place::kept(".git-credentials", "passwords of Git"),
    Place::kept(".config/git/credentials", "passwords of Git"),
    Place::kept(".password-store", "passwords"),
    Place::kept(".config/op", "passwords of 1Password"),
    Place::kept(".config/1Password", "passwords of 1Password"),
    Place::kept(".config/Bitwarden", "passwords of Bitwarden"),
    Place::kept(".config/keepassxc", "passwords of KeePassXC"),
    Place::kept(".local/share/keyrings", "keys and passwords of the desktop"),
    Place::kept(".local/share/kwalletd", "keys and passwords of the desktop"),
    Place::kept(".pki", "certificates and their keys"),
    Place::kept(".mozilla", "a profile of a browser"),
    Place::kept(".librewolf", "a profile of a browser"),
    Place::kept(".thunderbird", "a profile of a mail program"),
    Place::kept(".config/google-chrome", "a profile of a browser"),
    Place::kept(".config/chromium", "a profile of a browser"),
    Place::kept(".config/BraveSoftware", "a profile of a browser"),
    Place::kept(".config/microsoft-edge", "a profile of a browser"),
    Place::kept(".config/vivaldi", "a profile of a browser"),
    Place::kept(".config/opera", "a profile of a browser"),
    Place::kept("snap/firefox", "a profile of a browser"),
    Place::kept("snap/chromium", "a profile of a browser"),
    Place::kept(".var/app", "profiles and credentials of Flatpak programs"),
    Place::kept(".claude", "credentials of an agent"),
    Place::kept(".claude.json", "credentials of an agent"),
    Place::kept(".config/Claude", "credentials of an agent"),
    Place::kept(".codex", "credentials of an agent"),
    Place::kept(".gemini", "credentials of an agent"),
    Place::kept(".cursor", "credentials of an agent"),
    Place::kept(".bash_history", "what was typed, passwords among it"),
    Place::kept(".zsh_history", "what was typed, passwords among it"),
    Place::to_write(".bashrc", "commands that run outside of the cage"),
    Place::to_write(".bash_profile", "commands that run outside of the cage"),
    Place::to_write(".bash_login", "commands that run outside of the cage"),
    Place::to_write(".profile", "commands that run outside of the cage"),
    Place::to_write(".zshrc", "commands that run outside of the cage"),
    Place::to_write(".zshenv", "commands that run outside of the cage"),
    Place::to_write(".zprofile", "commands that run outside of the cage"),
    Place::to_write(".config/fish", "commands that run outside of the cage"),
    Place::to_write(".config/autostart", "commands that run outside of the cage"),
    Place::to_write(".config/systemd", "commands that run outside of the cage"),
    Place::to_write(
        ".config/environment.d",
        "variables of programs outside of the cage",
    ),
    Place::to_write(".config/git", "commands that Git runs outside of the cage"),
    Place::to_write(".gitconfig", "commands that Git runs outside of the cage"),
    Place::to_write(".local/bin", "programs that run outside of the cage"),
    Place::to_write("bin", "programs that run outside of the cage"),
    Place::to_write(".cargo/bin", "programs that run outside of the cage"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn why(path: &str, access: Access) -> Option<String> {
        let own = [Path::new("/var/lib/mantlet"), Path::new("/srv/log/audit")];
        unfit(Path::new(path), access, Some(Path::new("/home/ada")), &own).map(|reason| reason.why)
    }

    #[test]
    fn folders_of_data_are_granted() {
        for path in [
            "/srv/data",
            "/srv/dev",
            "/procedures",
            "/runs",
            "/mnt/disk",
            "/media/ada/stick",
            "/run/media/ada/stick",
            "/tmp/work",
            "/opt/tool",
            "/home/ada/notes",
            "/home/ada/notes/.ssh",
            "/home/ada/.sshx",
            "/home/ada/.config/tool",
            "/home/ada/.cargo/registry",
            "/home/bob/notes",
            "/homes/ada",
            "/var/lib/mantlet2",
            "/srv/log/other",
        ] {
            assert_eq!(why(path, Access::Read), None, "{path}");
            assert_eq!(why(path, Access::Write), None, "{path}");
        }
    }

    #[test]
    fn what_opens_everything_is_not() {
        for path in [
            "/",
            "/proc",
            "/proc/1/environ",
            "/sys",
            "/dev",
            "/dev/sda",
            "/dev/shm",
            "/run",
            "/run/user/1000",
            "/var/run",
            "/var/run/dbus/system_bus_socket",
            "/var",
            "/tmp",
            "/home",
            "/home/ada",
            "/home/bob",
            "/root",
        ] {
            assert!(why(path, Access::Read).is_some(), "{path}");
            assert!(why(path, Access::Write).is_some(), "{path}");
        }
    }

    #[test]
    fn some_places_do_harm_only_when_they_are_written() {
        for path in [
            "/etc",
            "/etc/ssl",
            "/usr",
            "/usr/local/bin",
            "/lib",
            "/sys/class",
            "/boot/efi",
            "/home/ada/.bashrc",
            "/home/ada/.local/bin",
            "/home/ada/.config/git/config",
            "/home/ada/bin/tool",
        ] {
            assert_eq!(why(path, Access::Read), None, "{path}");
            assert!(why(path, Access::Write).is_some(), "{path}");
        }
    }

    #[test]
    fn what_lies_above_a_place_opens_it() {
        for path in [
            "/home/ada/.config",
            "/home/ada/.local",
            "/home/ada/.local/share",
            "/home/ada/.cargo",
            "/home/ada/snap",
            "/var/lib",
            "/srv",
            "/srv/log",
            "/srv/log/audit/segment",
            "srv/data",
            "/srv/../home/ada",
        ] {
            assert!(why(path, Access::Read).is_some(), "{path}");
        }
    }

    #[test]
    fn credentials_are_kept_from_reading_too() {
        for place in HOME.iter().filter(|place| !place.write) {
            for home in ["/home/ada", "/home/bob", "/root"] {
                for path in [format!("{home}/{}", place.at), format!("{home}/{}/x", place.at)] {
                    assert!(why(&path, Access::Read).is_some(), "{path}");
                }
            }
        }
        let none = unfit(Path::new("/home/bob/.ssh/id"), Access::Read, None, &[]);
        assert_eq!(none.unwrap().why, "lies in `~/.ssh`, which holds keys of SSH");
    }

    #[test]
    fn stores_are_refused_for_reading() {
        let home = Path::new("/home/ada");
        let stores: Vec<PathBuf> = stores(home).collect();
        assert!(stores.contains(&home.join(".ssh")) && !stores.contains(&home.join(".bashrc")));
        let refused = |path: &PathBuf| unfit(path, Access::Read, Some(home), &[]).is_some();
        assert!(stores.iter().all(refused));
    }

    #[test]
    fn a_socket_that_starts_anything_is_known_wherever_it_lies() {
        for path in [
            "/run/docker.sock",
            "/var/run/docker.sock",
            "/run/containerd/containerd.sock",
            "/run/user/1000/podman/podman.sock",
            "/srv/shared/docker.sock",
            "/home/ada/.docker/run/docker.sock",
        ] {
            let why = why(path, Access::Read).unwrap();
            assert!(why.contains("container engine"), "{path}: {why}");
        }
    }

    #[test]
    fn a_home_of_its_own_kind_is_known() {
        let home = Some(Path::new("/srv/homes/ada"));
        let bars = |path: &str| unfit(Path::new(path), Access::Read, home, &[]).is_some();
        assert!(bars("/srv/homes/ada") && bars("/srv") && bars("/srv/homes/ada/.netrc"));
        assert!(!bars("/srv/homes/ada/notes") && !bars("/srv/data"));
        let root = unfit(Path::new("/srv"), Access::Read, Some(Path::new("/")), &[]);
        assert_eq!(root, None, "a home at `/` does not close everything");
    }
}

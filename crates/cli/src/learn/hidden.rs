//! What a program that is being learnt from does not see, although it sees the rest: keys, passwords, profiles, and what
//! belongs to the gateway. It may reach the network meanwhile, so this is what keeps secrets.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mantlet_config::cage::stores;

/// Secrets of the machine: for root, who could read them.
const SYSTEM: &[&str] = &[
    "/etc/NetworkManager/system-connections",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/krb5.keytab",
    "/etc/kubernetes",
    "/etc/letsencrypt",
    "/etc/openvpn",
    "/etc/pki/tls/private",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/ssl/private",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/wireguard",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/kubelet",
    "/var/lib/private",
    "/var/lib/sss",
    "/var/spool/cron",
];
/// Where host keys are, beside settings that programs read.
const HOST_KEYS: &str = "/etc/ssh";

/// The places that are there, where they really are, and by every name that they have.
pub(super) fn places(home: Option<&Path>, own: &[PathBuf]) -> Vec<PathBuf> {
    let homes = homes(home);
    let mut all: Vec<PathBuf> = homes.iter().flat_map(|home| stores(home)).collect();
    all.extend(homes.iter().flat_map(|home| histories(home)));
    all.extend(SYSTEM.iter().map(PathBuf::from));
    all.extend(entries(Path::new(HOST_KEYS)).filter(|path| name(path).starts_with("ssh_host_")));
    all.extend(own.iter().cloned());
    let real = all.iter().filter_map(|path| path.canonicalize().ok());
    // One that leads to a whole home cannot be hidden without that.
    let real: BTreeSet<PathBuf> = real
        .filter(|path| !homes.iter().any(|home| home.starts_with(path)))
        .collect();
    let mounts = mounts(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
    let aliases: Vec<PathBuf> = real.iter().flat_map(|path| aliases(path, &mounts)).collect();
    let mut places: Vec<PathBuf> = real.into_iter().chain(aliases).collect();
    // What is within another comes after it.
    places.sort();
    places.dedup();
    places
}

fn homes(home: Option<&Path>) -> Vec<PathBuf> {
    let mut homes: Vec<PathBuf> = home.map(Path::to_owned).into_iter().collect();
    homes.push(PathBuf::from("/root"));
    homes.extend(entries(Path::new("/home")));
    // Those of Windows, where this is a guest of it.
    let drives = entries(Path::new("/mnt")).filter(|drive| name(drive).len() == 1);
    homes.extend(drives.flat_map(|drive| entries(&drive.join("Users"))));
    let real: Vec<PathBuf> = homes.iter().filter_map(|home| home.canonicalize().ok()).collect();
    homes.extend(real);
    homes.sort();
    homes.dedup();
    homes
}

/// What was typed, passwords among it.
fn histories(home: &Path) -> impl Iterator<Item = PathBuf> {
    let written = |path: &PathBuf| name(path).starts_with('.') && name(path).ends_with("_history");
    entries(home)
        .filter(written)
        .chain([".local/share/fish", ".lesshst", "AppData"].map(|place| home.join(place)))
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

/// A mount: its file system, which folder of that, and where.
struct Mount {
    device: String,
    root: PathBuf,
    point: PathBuf,
}

/// proc(5), `/proc/pid/mountinfo`.
fn mounts(text: &str) -> Vec<Mount> {
    let unescaped = |text: &str| {
        let letters = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
        PathBuf::from(
            letters
                .into_iter()
                .fold(text.to_owned(), |text, (from, to)| text.replace(from, to)),
        )
    };
    let mount = |line: &str| {
        let mut fields = line.split(' ').skip(2);
        Some(Mount {
            device: fields.next()?.to_owned(),
            root: unescaped(fields.next()?),
            point: unescaped(fields.next()?),
        })
    };
    text.lines().filter_map(mount).collect()
}

/// Where else a place can be seen: its file system may be mounted twice.
fn aliases(path: &Path, mounts: &[Mount]) -> Vec<PathBuf> {
    let holds = mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.as_os_str().len());
    let Some(mount) = holds else { return Vec::new() };
    let Ok(inside) = path.strip_prefix(&mount.point) else {
        return Vec::new();
    };
    let inside = mount.root.join(inside);
    mounts
        .iter()
        .filter(|other| other.device == mount.device)
        .filter_map(|other| Some(other.point.join(inside.strip_prefix(&other.root).ok()?)))
        .filter(|other| other != path)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_hidden_where_they_really_are() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().canonicalize().unwrap().join("ada");
        for folder in ["dotfiles/ssh", ".aws", "notes"] {
            std::fs::create_dir_all(home.join(folder)).unwrap();
        }
        std::fs::write(home.join(".psql_history"), "").unwrap();
        std::os::unix::fs::symlink(home.join("dotfiles/ssh"), home.join(".ssh")).unwrap();
        std::os::unix::fs::symlink(&home, home.join(".kube")).unwrap();
        let state = home.join(".local/state/mantlet");
        std::fs::create_dir_all(&state).unwrap();
        let places = places(Some(&home), std::slice::from_ref(&state));
        let ours: Vec<&PathBuf> = places.iter().filter(|path| path.starts_with(&home)).collect();
        assert_eq!(
            ours,
            [
                &home.join(".aws"),
                &state,
                &home.join(".psql_history"),
                &home.join("dotfiles/ssh"),
            ]
        );
    }

    #[test]
    fn a_place_may_have_two_names() {
        let mounts = mounts(
            "1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 /@home /home rw - btrfs b rw\n3 1 8:2 / /mnt/all\\040of\\040it rw - btrfs b rw\n",
        );
        assert_eq!(
            aliases(Path::new("/home/ada/.ssh"), &mounts),
            [Path::new("/mnt/all of it/@home/ada/.ssh")]
        );
        assert!(aliases(Path::new("/etc/shadow"), &mounts).is_empty());
    }
}

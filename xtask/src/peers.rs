//! `cargo xtask peers`: installs the real clients, servers and suites that the tests talk to, as `tests/peers` pins
//! them. Does nothing when they are there already.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::run::{command, has, root, run};

const LOCKS: &[&str] = &["package.json", "package-lock.json", "requirements.txt"];
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Where they are pinned: those that must work, and apart from them those with known holes.
const PINNED: &[&str] = &["tests/peers", "tests/peers/vulnerable"];
/// The browser that a server drives: Debian's, since npm's would come from elsewhere.
const BROWSER: &str = "/usr/lib/chromium/chromium";

pub fn install(_arguments: &[String]) -> Result<()> {
    for pinned in PINNED {
        install_into(pinned)?;
    }
    if Path::new(BROWSER).exists() {
        return Ok(());
    }
    packages(&["chromium"])
}

fn install_into(pinned: &str) -> Result<()> {
    let directory = root().join(pinned);
    let stamp = directory.join("node_modules/.mantlet-peers");
    let wanted = locks(&directory)?;
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted)
        && directory.join(".venv/bin/python").exists()
    {
        println!("== peers: those of {pinned} are installed already");
        return Ok(());
    }
    tools()?;
    let mut npm = command("npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    run(
        &format!("peers: npm packages of {pinned}/package-lock.json, into {pinned}/node_modules"),
        npm.current_dir(&directory),
        PATIENCE,
    )?;
    let mut venv = command("python3", &["-m", "venv", "--clear", ".venv"]);
    run(
        &format!("peers: a Python environment, in {pinned}/.venv"),
        venv.current_dir(&directory),
        PATIENCE,
    )?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "-r",
        "requirements.txt",
    ];
    let python = directory.join(".venv/bin/python");
    run(
        &format!("peers: Python packages of {pinned}/requirements.txt, into it"),
        command(&python.to_string_lossy(), &pip).current_dir(&directory),
        PATIENCE,
    )?;
    std::fs::write(stamp, wanted)?;
    Ok(())
}

fn locks(directory: &Path) -> Result<String> {
    let mut all = String::new();
    for name in LOCKS {
        all.push_str(&std::fs::read_to_string(directory.join(name)).with_context(|| (*name).to_owned())?);
    }
    Ok(all)
}

/// The programs that the installation itself needs; out of the distribution where they are missing.
fn tools() -> Result<()> {
    let missing: Vec<&str> = [
        ("npm", has("npm", &["--version"])),
        ("python3-venv", has("python3", &["-c", "import ensurepip, venv"])),
        ("git", has("git", &["--version"])),
    ]
    .into_iter()
    .filter_map(|(package, there)| (!there).then_some(package))
    .collect();
    if missing.is_empty() {
        return Ok(());
    }
    packages(&missing)
}

fn packages(missing: &[&str]) -> Result<()> {
    let what = format!("peers: {} of the distribution", missing.join(", "));
    run(
        "peers: the distribution's list of packages",
        &mut command("apt-get", &["update", "-qq"]),
        PATIENCE,
    )?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(missing);
    run(&what, &mut command("apt-get", &arguments), PATIENCE)
}

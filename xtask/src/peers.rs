//! `cargo xtask peers`: installs the real clients, servers and suites that the tests talk to, as `tests/peers` pins
//! them. Does nothing when they are there already.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::run::{command, has, root, run};

const LOCKS: &[&str] = &["package.json", "package-lock.json", "requirements.txt"];
const PATIENCE: Duration = Duration::from_secs(15 * 60);

pub fn install(_arguments: &[String]) -> Result<()> {
    let directory = root().join("tests/peers");
    let stamp = directory.join("node_modules/.mantlet-peers");
    let wanted = locks(&directory)?;
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted)
        && directory.join(".venv/bin/python").exists()
    {
        println!("== peers: installed already");
        return Ok(());
    }
    tools()?;
    let mut npm = command("npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    run(
        "peers: npm packages of tests/peers/package-lock.json, into tests/peers/node_modules",
        npm.current_dir(&directory),
        PATIENCE,
    )?;
    let mut venv = command("python3", &["-m", "venv", "--clear", ".venv"]);
    run(
        "peers: a Python environment, in tests/peers/.venv",
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
        "peers: Python packages of tests/peers/requirements.txt, into it",
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

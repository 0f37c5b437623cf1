//! Packages of a Python index: installed into an environment by uv, else by pip, in a cage; started without them.

use std::path::{Path, PathBuf};

use super::phase::{self, Step};
use super::registry::{self, Index, Registry};
use super::start::{self, Interpreter};
use super::store::Installed;
use super::uvx::{self, Wanted};
use super::{Context, Hint};
use crate::settle::find;
use crate::spec::Grant;

/// Variables that name certificates, for uv and for pip.
const AUTHORITIES: &[&str] = &[
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
];
/// Variables of uv that say whom it trusts, without a path in them.
const TRUST: &[&str] = &["UV_NATIVE_TLS", "UV_SYSTEM_CERTS"];

/// Where packages come from: as the installers' own words, and the grants to reach it.
struct Indexes {
    words: Vec<String>,
    network: Vec<Grant>,
}

/// Installs into the tree and finds what is to be started.
pub(super) async fn install(
    wanted: &Wanted,
    context: &Context<'_>,
    tree: &Path,
    hints: &mut Vec<Hint>,
) -> Result<Installed, String> {
    let indexes = indexes(wanted, context, hints)?;
    let environment = tree.join("venv");
    let python = environment.join("bin/python");
    let by_uv = find("uv", context.machine).is_some();
    let step = if by_uv {
        make_by_uv(wanted, context, &environment)
    } else {
        make(wanted, &environment)
    };
    let mut step = Step {
        write: Some(tree),
        ..step
    };
    // pyenv has one program for all versions.
    let version = wanted.python.clone();
    let version = version.map(|version| ("PYENV_VERSION".to_owned(), version));
    step.environment.extend(version);
    phase::run(step, context.machine, context.witness)
        .await
        .map_err(|why| made_not(&why, wanted, by_uv))?;
    // From here on code of strangers may have run: what it could turn elsewhere is looked at before and after.
    let interpreter = real(&python)?;
    if !wanted.requirements.is_empty() {
        let step = if by_uv {
            fill_by_uv(wanted, context, tree, &python, indexes)
        } else {
            fill(wanted, context, &python, indexes)?
        };
        let step = Step {
            write: Some(tree),
            ..step
        };
        phase::run(step, context.machine, context.witness).await?;
    }
    let _stays = std::fs::remove_dir_all(tree.join(".cache"));
    if real(&python)? != interpreter {
        return Err("the package put another program in the place of Python: it is not used".to_owned());
    }
    found(wanted, tree, &environment, python, interpreter)
}

fn real(python: &Path) -> Result<PathBuf, String> {
    python
        .canonicalize()
        .map_err(|error| format!("the new environment has no Python: {error}"))
}

fn indexes(wanted: &Wanted, context: &Context<'_>, hints: &mut Vec<Hint>) -> Result<Indexes, String> {
    let told = Index::read(context.machine, context.ask.variable);
    let main = wanted.index.as_deref().unwrap_or_else(|| told.main());
    let main = Registry::parse(main, hints)?;
    let mut words = vec!["--index-url".to_owned(), main.address.clone()];
    let mut network = main.grants();
    for extra in wanted.extra.iter().chain(&told.extra) {
        let extra = Registry::parse(extra, hints)?;
        words.extend(["--extra-index-url".to_owned(), extra.address.clone()]);
        network.extend(extra.grants());
    }
    network.extend(context.ask.further.iter().cloned());
    Ok(Indexes { words, network })
}

/// The variables of uv; its own Pythons are where the person's uv put them.
fn of_uv(context: &Context<'_>) -> (Vec<(String, String)>, Vec<PathBuf>) {
    let variable = context.ask.variable;
    let mut environment: Vec<(String, String)> = [
        ("UV_PYTHON_DOWNLOADS", "never"),
        ("UV_NO_CONFIG", "1"),
        ("UV_NO_PROGRESS", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    environment.extend(
        TRUST
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), variable(name)?))),
    );
    let home = context.machine.home.as_ref();
    let folder = variable("UV_PYTHON_INSTALL_DIR").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(variable("XDG_DATA_HOME")?).join("uv/python")));
    let folder = folder.or_else(|| Some(home?.join(".local/share/uv/python")));
    let folder = folder
        .and_then(|folder| folder.canonicalize().ok())
        .filter(|folder| folder.is_dir());
    if let Some(folder) = &folder {
        environment.push(("UV_PYTHON_INSTALL_DIR".to_owned(), folder.display().to_string()));
    }
    (environment, folder.into_iter().collect())
}

fn make_by_uv<'a>(wanted: &Wanted, context: &Context<'_>, folder: &Path) -> Step<'a> {
    let (environment, runtime) = of_uv(context);
    let mut argv = ["uv", "venv", "--no-project"].map(str::to_owned).to_vec();
    if let Some(version) = &wanted.python {
        argv.extend(["--python".to_owned(), version.clone()]);
    }
    argv.push(folder.display().to_string());
    // Those that uv could find on the machine.
    let named = wanted.python.as_ref().map(|version| format!("python{version}"));
    let programs = named.iter().map(String::as_str).chain(["python3"]);
    Step {
        argv,
        environment,
        write: None,
        read: Vec::new(),
        network: Vec::new(),
        programs: programs.filter_map(|name| find(name, context.machine)).collect(),
        runtime,
    }
}

fn make<'a>(wanted: &Wanted, folder: &Path) -> Step<'a> {
    let python = match &wanted.python {
        Some(version) => format!("python{version}"),
        None => "python3".to_owned(),
    };
    Step {
        argv: vec![
            python,
            "-m".to_owned(),
            "venv".to_owned(),
            folder.display().to_string(),
        ],
        environment: Vec::new(),
        write: None,
        read: Vec::new(),
        network: Vec::new(),
        programs: Vec::new(),
        runtime: Vec::new(),
    }
}

/// What the person can do about it.
fn made_not(why: &str, wanted: &Wanted, by_uv: bool) -> String {
    let version = wanted.python.as_deref().unwrap_or_default();
    let help = if by_uv {
        format!("no Python is downloaded in a cage: have one first (`uv python install {version}`)")
    } else {
        format!("it takes Python {version} with its module `venv`, or uv: install one of them")
    };
    format!(
        "no environment for Python could be made: {why}\n{}",
        help.replace("  ", " ")
    )
}

fn fill_by_uv<'a>(
    wanted: &Wanted,
    context: &Context<'_>,
    tree: &Path,
    python: &Path,
    indexes: Indexes,
) -> Step<'a> {
    let (mut environment, runtime) = of_uv(context);
    let (authorities, read) = registry::authorities(context.machine, context.ask.variable, AUTHORITIES);
    environment.extend(authorities);
    environment.push((
        "UV_CACHE_DIR".to_owned(),
        tree.join(".cache").display().to_string(),
    ));
    let mut argv = [
        "uv",
        "pip",
        "install",
        "--quiet",
        "--compile-bytecode",
        "--python",
    ]
    .map(str::to_owned)
    .to_vec();
    argv.push(python.display().to_string());
    argv.extend(indexes.words);
    argv.extend(wanted.options.iter().cloned());
    argv.push("--".to_owned());
    argv.extend(wanted.requirements.iter().cloned());
    Step {
        argv,
        environment,
        write: None,
        read,
        network: indexes.network,
        programs: vec![python.to_owned()],
        runtime,
    }
}

fn fill<'a>(
    wanted: &Wanted,
    context: &Context<'_>,
    python: &Path,
    indexes: Indexes,
) -> Result<Step<'a>, String> {
    let (mut environment, read) = registry::authorities(context.machine, context.ask.variable, AUTHORITIES);
    environment.push(("PIP_CONFIG_FILE".to_owned(), "/dev/null".to_owned()));
    let mut argv = vec![python.display().to_string()];
    argv.extend(["-m", "pip", "install", "--quiet", "--no-input", "--no-cache-dir"].map(str::to_owned));
    argv.push("--disable-pip-version-check".to_owned());
    argv.extend(indexes.words);
    let mut options = wanted.options.iter().map(String::as_str);
    while let Some(option) = options.next() {
        match option {
            "--no-build" => argv.push("--only-binary=:all:".to_owned()),
            "--prerelease" if options.next() == Some("allow") => argv.push("--pre".to_owned()),
            other => {
                return Err(format!(
                    "`{other}` so is known to uv only, which is not installed"
                ));
            }
        }
    }
    argv.push("--".to_owned());
    argv.extend(wanted.requirements.iter().cloned());
    Ok(Step {
        argv,
        environment,
        write: None,
        read,
        network: indexes.network,
        programs: Vec::new(),
        runtime: Vec::new(),
    })
}

fn found(
    wanted: &Wanted,
    tree: &Path,
    environment: &Path,
    python: PathBuf,
    interpreter: PathBuf,
) -> Result<Installed, String> {
    let main = wanted
        .requirements
        .first()
        .map(|requirement| uvx::name_of(requirement));
    let program = if uvx::is_python(&wanted.command) {
        vec![python.display().to_string()]
    } else {
        let folder = environment.strip_prefix(tree).unwrap_or(environment).join("bin");
        let name = script(environment, &wanted.command);
        start::program(tree, &folder.join(name), &Interpreter::Python(python))
            .map_err(|why| format!("{why}{}", programs(environment)))?
    };
    Ok(Installed {
        package: main.unwrap_or("python").to_owned(),
        version: main
            .and_then(|name| version(environment, name))
            .unwrap_or_default(),
        integrity: None,
        program,
        interpreter: Some(interpreter),
    })
}

/// Packages are one by any of their spellings; their programs are files.
fn script(environment: &Path, command: &str) -> String {
    let spellings = [
        command.to_owned(),
        command.replace('_', "-"),
        command.replace(['-', '.'], "_"),
    ];
    let there = spellings
        .iter()
        .find(|name| environment.join("bin").join(name).exists());
    there.cloned().unwrap_or_else(|| command.to_owned())
}

/// What could have been meant.
fn programs(environment: &Path) -> String {
    let usual = [
        "python",
        "pip",
        "activate",
        "Activate",
        "pydoc",
        "deactivate",
        "easy_install",
    ];
    let entries = std::fs::read_dir(environment.join("bin"))
        .into_iter()
        .flatten()
        .flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !usual.iter().any(|known| name.starts_with(known)))
        .filter(|name| !name.contains(char::is_control))
        .collect();
    names.sort();
    names.truncate(12);
    if names.is_empty() {
        return String::new();
    }
    format!(". There are: {}", names.join(", "))
}

/// One spelling of a package's name (PEP 503).
fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// Out of the folder with the package's facts: `name-version.dist-info`.
fn version(environment: &Path, name: &str) -> Option<String> {
    let folders = std::fs::read_dir(environment.join("lib")).ok()?.flatten();
    let packages = folders.filter_map(|folder| std::fs::read_dir(folder.path().join("site-packages")).ok());
    packages.flatten().flatten().find_map(|entry| {
        let file = entry.file_name().into_string().ok()?;
        let (found, version) = file.strip_suffix(".dist-info")?.rsplit_once('-')?;
        (normal(found) == normal(name) && !version.contains(char::is_control)).then(|| version.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().canonicalize().unwrap();
        let environment = tree.join("venv");
        let packages = environment.join("lib/python3.12/site-packages");
        for name in [
            "mcp_server_time-2.1.0.dist-info",
            "mcp-1.9.dist-info",
            "mcp_server_time",
        ] {
            std::fs::create_dir_all(packages.join(name)).unwrap();
        }
        std::fs::create_dir_all(environment.join("bin")).unwrap();
        let python = environment.join("bin/python");
        for name in ["mcp-server-time", "mcp_run", "python", "pip3", "activate"] {
            std::fs::write(
                environment.join("bin").join(name),
                format!("#!{}\n", python.display()),
            )
            .unwrap();
        }
        let read = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let wanted = uvx::read("uvx", &words).unwrap();
            found(
                &wanted,
                &tree,
                &environment,
                python.clone(),
                PathBuf::from("/usr/bin/python3"),
            )
        };
        let installed = read(&["mcp-server-time", "--x"]).unwrap();
        assert_eq!(
            (installed.package.as_str(), installed.version.as_str()),
            ("mcp-server-time", "2.1.0")
        );
        let script = |name: &str| environment.join("bin").join(name).display().to_string();
        assert_eq!(installed.program, [script("python"), script("mcp-server-time")]);
        assert_eq!(
            read(&["MCP.Server_Time"])
                .unwrap_err()
                .matches("mcp-server-time")
                .count(),
            1
        );
        assert_eq!(
            read(&["mcp_server_time"]).unwrap().program[1],
            script("mcp-server-time")
        );
        assert_eq!(
            read(&["--from", "mcp", "mcp-run"]).unwrap().program[1],
            script("mcp_run")
        );
        assert_eq!(
            read(&["--with", "mcp", "python", "-m", "mcp"]).unwrap().program,
            [script("python")]
        );
        let why = read(&["--from", "mcp", "other"]).unwrap_err();
        assert!(why.ends_with("There are: mcp-server-time, mcp_run"), "{why}");
    }

    #[test]
    fn names_are_one_in_all_spellings() {
        for name in ["mcp-server-time", "MCP_server.time", "mcp__server--time"] {
            assert_eq!(normal(name), "mcp-server-time");
        }
    }
}

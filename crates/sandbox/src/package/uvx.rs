//! `uvx` and what does the same (`uv tool run`, `pipx run`), read from their words. Nothing is run here.

use super::flags::Table;

/// What is to be installed from a Python index, and what of it is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The program that the person wrote.
    pub(super) launcher: String,
    /// What is installed, the package with the program first; may be empty when it is Python itself that runs.
    pub(super) requirements: Vec<String>,
    /// The name of the program.
    pub(super) command: String,
    /// What it is given.
    pub(super) arguments: Vec<String>,
    /// The version of Python: `3.12`.
    pub(super) python: Option<String>,
    /// The index that was named in the command.
    pub(super) index: Option<String>,
    /// Further ones.
    pub(super) extra: Vec<String>,
    /// Options that `uv pip install` has as well.
    pub(super) options: Vec<String>,
}

const UVX: Table = Table {
    launcher: "uvx",
    bare: &[
        "-q",
        "--quiet",
        "-v",
        "--verbose",
        "--isolated",
        "-n",
        "--no-cache",
        "--refresh",
        "-U",
        "--upgrade",
        "--reinstall",
        "--no-progress",
        "--offline",
        "--native-tls",
        "--system-certs",
        "--no-config",
        "--managed-python",
        "--no-managed-python",
        "--no-python-downloads",
        "--no-env-file",
        "--compile-bytecode",
        "--no-build",
        "--no-sources",
    ],
    valued: &[
        "--from",
        "--with",
        "-w",
        "-p",
        "--python",
        "--python-preference",
        "--color",
        "--refresh-package",
        "--upgrade-package",
        "-P",
        "--prerelease",
        "--resolution",
        "--exclude-newer",
        "--index-strategy",
        "-i",
        "--index-url",
        "--default-index",
        "--index",
        "--extra-index-url",
        "--link-mode",
        "--cache-dir",
        "--allow-insecure-host",
    ],
};

const PIPX: Table = Table {
    launcher: "pipx run",
    bare: &["-q", "--quiet", "-v", "--verbose", "--no-cache"],
    valued: &["--spec", "--with", "--python", "-i", "--index-url"],
};

/// Those that `uv pip install` is given too.
const PASSED_ON: &[&str] = &[
    "--no-build",
    "--prerelease",
    "--resolution",
    "--exclude-newer",
    "--index-strategy",
];

/// Whether the words are those of such a launcher: then what is behind the launcher's own words.
pub(super) fn recognise<'a>(program: &str, words: &'a [String]) -> Option<&'a [String]> {
    let first = words.first().map(String::as_str);
    let second = words.get(1).map(String::as_str);
    match (program, first, second) {
        ("uvx", ..) => Some(words),
        ("uv", Some("tool"), Some("run")) => words.get(2..),
        ("pipx", Some("run"), _) => words.get(1..),
        _ => None,
    }
}

/// Reads what stands behind the launcher.
///
/// # Errors
/// In words: what cannot be run in a cage so, and what to write instead.
pub(super) fn read(launcher: &str, words: &[String]) -> Result<Wanted, String> {
    let table = if launcher == "pipx" { &PIPX } else { &UVX };
    let (given, rest) = table.read(words)?;
    let mut from = None;
    let mut wanted = Wanted {
        launcher: launcher.to_owned(),
        requirements: Vec::new(),
        command: String::new(),
        arguments: Vec::new(),
        python: None,
        index: None,
        extra: Vec::new(),
        options: Vec::new(),
    };
    for option in given {
        let text = option.text();
        match option.name {
            "--from" | "--spec" => from = Some(requirement(text)?),
            "--with" | "-w" => {
                for one in list(text) {
                    wanted.requirements.push(requirement(one)?);
                }
            }
            "-p" | "--python" => wanted.python = Some(python(text)?),
            "-i" | "--index-url" | "--default-index" => wanted.index = Some(unnamed(text)),
            "--index" | "--extra-index-url" => wanted.extra.push(unnamed(text)),
            name if PASSED_ON.contains(&name) => {
                wanted.options.push(name.to_owned());
                wanted.options.extend(option.value);
            }
            _ => {}
        }
    }
    let [first, arguments @ ..] = rest else {
        return Err(format!(
            "`{launcher}` is told no package to run: write its name behind it"
        ));
    };
    wanted.arguments = arguments.to_vec();
    let main = match from {
        Some(from) => {
            wanted.command = program(first)?;
            Some(from)
        }
        None if is_python(first) => {
            wanted.command.clone_from(first);
            None
        }
        None => {
            let main = requirement(&at_sign(first))?;
            wanted.command = name_of(&main).to_owned();
            Some(main)
        }
    };
    if let Some(main) = main {
        wanted.requirements.insert(0, main);
    }
    Ok(wanted)
}

/// Whether it is the interpreter itself that is to run.
pub(super) fn is_python(command: &str) -> bool {
    matches!(command, "python" | "python3")
}

/// The name at the head of a requirement (PEP 508).
pub(super) fn name_of(requirement: &str) -> &str {
    let end = requirement.find(|letter: char| !in_name(letter));
    end.and_then(|end| requirement.get(..end)).unwrap_or(requirement)
}

/// Whether a requirement can only ever mean one version.
pub(super) fn is_exact(requirement: &str) -> bool {
    requirement
        .split_once("==")
        .is_some_and(|(_, version)| !version.contains(['*', ',', '=']))
}

fn in_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

/// uv's own `name@version`.
fn at_sign(word: &str) -> String {
    match word.split_once('@') {
        Some((name, "latest")) => name.to_owned(),
        Some((name, version)) if !version.contains(['/', ':', ' ']) => format!("{name}=={version}"),
        _ => word.to_owned(),
    }
}

/// `a,b>=1,<2` is two requirements: no part of a version begins with a letter.
fn list(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut within = false;
    for (at, letter) in text.char_indices() {
        within = match letter {
            '[' => true,
            ']' => false,
            _ => within,
        };
        let next = text.get(at.saturating_add(1)..).unwrap_or_default().trim_start();
        let begins = next.starts_with(|letter: char| letter.is_ascii_alphanumeric());
        if letter == ',' && !within && begins {
            parts.push(text.get(start..at).unwrap_or_default().trim());
            start = at.saturating_add(1);
        }
    }
    parts.push(text.get(start..).unwrap_or_default().trim());
    parts
}

/// A name with extras and versions (PEP 508), and nothing that is fetched from elsewhere than an index.
fn requirement(text: &str) -> Result<String, String> {
    let elsewhere = || {
        format!(
            "`{text}` is no package of an index, and in a cage packages come from the index only: install it \
             yourself (`uv venv`, `uv pip install`), then write the program as the command and grant its folder (`read`)"
        )
    };
    let lower = text.to_ascii_lowercase();
    let archive = [".whl", ".zip", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar"];
    if text.len() > 200 || archive.iter().any(|end| lower.ends_with(end)) {
        return Err(elsewhere());
    }
    let name = name_of(text);
    let good = |letter: char| letter.is_ascii_alphanumeric();
    if !name.starts_with(good) || !name.ends_with(good) {
        return Err(elsewhere());
    }
    let rest = text.get(name.len()..).unwrap_or_default().trim_start();
    let versions = match rest.strip_prefix('[') {
        Some(extras) => {
            let (extras, versions) = extras.split_once(']').ok_or_else(elsewhere)?;
            if !extras
                .chars()
                .all(|letter| in_name(letter) || matches!(letter, ',' | ' '))
            {
                return Err(elsewhere());
            }
            versions.trim_start()
        }
        None => rest,
    };
    let fine = |letter: char| {
        in_name(letter) || matches!(letter, '<' | '>' | '=' | '!' | '~' | ',' | '*' | '+' | ' ')
    };
    if !versions.chars().all(fine)
        || !(versions.is_empty() || versions.starts_with(['<', '>', '=', '!', '~']))
    {
        return Err(elsewhere());
    }
    Ok(text.to_owned())
}

/// The name of a program, not a path to one.
fn program(word: &str) -> Result<String, String> {
    if word.starts_with(['-', '.']) || !word.chars().all(in_name) || word.is_empty() {
        return Err(format!(
            "`{word}` is no name of a program that a package brings along"
        ));
    }
    Ok(word.to_owned())
}

fn python(text: &str) -> Result<String, String> {
    let version = text.trim_start_matches("python").trim_start_matches("cpython@");
    let digits = |part: &str| !part.is_empty() && part.chars().all(|letter| letter.is_ascii_digit());
    if version.split('.').all(digits) && version.split('.').count() <= 3 {
        return Ok(version.to_owned());
    }
    Err(format!(
        "`{text}`: only a version of Python can be asked for here, as `3.12`"
    ))
}

/// `name=https://…` of uv, without the name.
fn unnamed(index: &str) -> String {
    match index.split_once('=') {
        Some((name, address)) if name.chars().all(in_name) => address.to_owned(),
        _ => index.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> Result<String, String> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let rest = recognise(&words[0], &words[1..]).ok_or("not recognised")?;
        let wanted = read(&words[0], rest)?;
        Ok(format!(
            "{} | {} | {} | {} | {} | {} | {}",
            wanted.requirements.join(" "),
            wanted.command,
            wanted.arguments.join(" "),
            wanted.python.unwrap_or_default(),
            wanted.index.unwrap_or_default(),
            wanted.extra.join(" "),
            wanted.options.join(" "),
        ))
    }

    #[test]
    fn forms_that_people_write() {
        for (text, read) in [
            (
                "uvx mcp-server-time --local-timezone UTC",
                "mcp-server-time | mcp-server-time | --local-timezone UTC |  |  |  | ",
            ),
            (
                "uvx mcp-server-git@latest -v",
                "mcp-server-git | mcp-server-git | -v |  |  |  | ",
            ),
            ("uvx ruff@0.3.0 check", "ruff==0.3.0 | ruff | check |  |  |  | "),
            ("uvx mcp[cli]@1.2 run", "mcp[cli]==1.2 | mcp | run |  |  |  | "),
            (
                "uvx --from mcp-atlassian>=0.5,<1 mcp-atlassian x",
                "mcp-atlassian>=0.5,<1 | mcp-atlassian | x |  |  |  | ",
            ),
            (
                "uvx --from=a --with b,c>=1,<2 --with d[e,f] run",
                "a b c>=1,<2 d[e,f] | run |  |  |  |  | ",
            ),
            ("uvx -q --python 3.12 a", "a | a |  | 3.12 |  |  | "),
            ("uvx -p python3.12 a", "a | a |  | 3.12 |  |  | "),
            (
                "uvx --default-index https://i.example.com/simple --index x=https://j.example.com/s a",
                "a | a |  |  | https://i.example.com/simple | https://j.example.com/s | ",
            ),
            (
                "uvx --prerelease allow --no-build a",
                "a | a |  |  |  |  | --prerelease allow --no-build",
            ),
            ("uvx --with a python -m a", "a | python | -m a |  |  |  | "),
            ("uvx --from a python -m a", "a | python | -m a |  |  |  | "),
            ("uv tool run --from a b -- c", "a | b | -- c |  |  |  | "),
            ("pipx run a==1.0 --x", "a==1.0 | a | --x |  |  |  | "),
            ("pipx run --spec a[b]==1 c", "a[b]==1 | c |  |  |  |  | "),
        ] {
            assert_eq!(read_all(text).as_deref(), Ok(read), "{text}");
        }
    }

    #[test]
    fn what_comes_from_elsewhere_is_refused() {
        for package in [
            "git+https://example.com/x",
            "https://example.com/x.whl",
            "./x",
            "../x",
            "/srv/x",
            ".",
            "x.whl",
            "x.tar.gz",
            "x @ https://example.com/x",
            "x@git+https://example.com/x",
            "x@https://example.com",
            "file:x",
            "~/x",
            "x/y",
            "x;python_version<'3'",
            "x[y",
            "x[$]",
            "-x",
            "x y",
            "x==1/2",
            "x==1;y",
            "$(x)",
            "x\\y",
            "-",
        ] {
            let from = ["--from".to_owned(), package.to_owned(), "run".to_owned()];
            assert!(read("uvx", &from).is_err(), "--from {package}");
            assert!(read("uvx", &[package.to_owned()]).is_err(), "{package}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in [
            "uvx",
            "uvx -q",
            "uvx --from a",
            "uvx --from a ../b",
            "uvx --new a",
            "uvx --env-file .env a",
            "uvx --python /usr/bin/python3 a",
            "uvx --with-editable . a",
            "uvx --find-links . a",
            "uvx --with ./a b",
            "uvx --directory / a",
            "pipx run",
            "pipx run --path a",
            "pipx run --pip-args x a",
        ] {
            assert!(read_all(text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_commands_are_not_ours() {
        for text in [
            "uv run x",
            "uv pip install x",
            "pipx install x",
            "python x",
            "uv tool install x",
        ] {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            assert_eq!(recognise(&words[0], &words[1..]), None, "{text}");
        }
    }

    #[test]
    fn exact_versions() {
        for (text, exact) in [
            ("a==1.2", true),
            ("a[b]==1", true),
            ("a==1.*", false),
            ("a>=1", false),
            ("a", false),
        ] {
            assert_eq!(is_exact(text), exact, "{text}");
        }
    }
}

//! `npx` and what does the same (`npm exec`, `pnpm dlx`, `yarn dlx`, `bunx`), read from their words. Nothing is run here.

use super::flags::{Given, Table};

/// What is to be installed from an npm registry, and what of it is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The program that the person wrote.
    pub(super) launcher: String,
    /// Never empty; the first is the one whose program runs where no command is named.
    pub(super) packages: Vec<Named>,
    /// The name of the program in `node_modules/.bin`.
    pub(super) command: Option<String>,
    /// What it is given.
    pub(super) arguments: Vec<String>,
    /// The registry that was named in the command.
    pub(super) registry: Option<String>,
    /// Options that `npm install` has as well.
    pub(super) options: Vec<String>,
}

/// A package with what was said of its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// As in a registry: `name`, `@scope/name`.
    pub(super) name: String,
    /// A version, a range or a tag.
    pub(super) version: Option<String>,
}

impl Named {
    /// As npm reads it.
    pub(super) fn written(&self) -> String {
        match &self.version {
            Some(version) => format!("{}@{version}", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether it can only ever mean one version.
    pub(super) fn is_exact(&self) -> bool {
        self.version.as_deref().is_some_and(|version| {
            let main = version.split(['-', '+']).next().unwrap_or_default();
            let mut parts = main.split('.');
            parts.clone().count() == 3 && parts.all(|part| part.parse::<u64>().is_ok())
        })
    }

    /// `@scope`.
    pub(super) fn scope(&self) -> Option<&str> {
        self.name.split_once('/').map(|(scope, _)| scope)
    }
}

/// Options of npm, npx, pnpm, yarn and bun that matter here, or do not.
const TABLE: Table = Table {
    launcher: "npx",
    bare: &[
        "-y",
        "--yes",
        "-q",
        "--quiet",
        "-s",
        "--silent",
        "-d",
        "--verbose",
        "--offline",
        "--prefer-offline",
        "--prefer-online",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--no-progress",
        "--no-color",
        "--ignore-scripts",
        "--legacy-peer-deps",
        "--strict-peer-deps",
        "--force",
        "-f",
        "--no-install",
        "--no",
        "-n",
        "--bun",
    ],
    valued: &[
        "-p",
        "--package",
        "-c",
        "--call",
        "--shell-mode",
        "--registry",
        "--loglevel",
        "--cache",
        "--node-options",
        "--before",
    ],
};

/// Those that `npm install` is given too.
const PASSED_ON: &[&str] = &[
    "--ignore-scripts",
    "--legacy-peer-deps",
    "--strict-peer-deps",
    "--before",
];

/// Whether the words are those of such a launcher: then what is behind the launcher's own words.
pub(super) fn recognise<'a>(program: &str, words: &'a [String]) -> Option<&'a [String]> {
    let first = words.first().map(String::as_str);
    match (program, first) {
        ("npx" | "bunx" | "pnpx", _) => Some(words),
        ("npm", Some("exec" | "x")) | ("pnpm" | "yarn", Some("dlx")) | ("bun", Some("x")) => words.get(1..),
        _ => None,
    }
}

/// Reads what stands behind the launcher.
///
/// # Errors
/// In words: what cannot be run in a cage so, and what to write instead.
pub(super) fn read(launcher: &str, words: &[String]) -> Result<Wanted, String> {
    let (given, rest) = TABLE.read(words)?;
    let mut packages = Vec::new();
    let mut options = Vec::new();
    let mut registry = None;
    for option in given {
        match option.name {
            "-p" | "--package" => packages.push(named(option.text())?),
            "--registry" => registry = option.value,
            name if PASSED_ON.contains(&name) => options.push(written(&option)),
            name => fits(name)?,
        }
    }
    let (command, arguments) = match (packages.is_empty(), rest) {
        (_, []) => {
            return Err(format!(
                "`{launcher}` is told no package to run: write its name behind it"
            ));
        }
        (true, [package, arguments @ ..]) => {
            packages.push(named(package)?);
            (None, arguments)
        }
        (false, [command, arguments @ ..]) => (Some(plain(command)?), arguments),
    };
    // `npm exec` takes options behind the package too, unless `--` ends them; the others hand on all of it.
    let ended = words.len().saturating_sub(rest.len());
    let ended = words
        .get(..ended)
        .and_then(<[String]>::last)
        .is_some_and(|word| word == "--");
    let arguments = match arguments {
        arguments if launcher != "npm" || ended => arguments,
        [first, arguments @ ..] if first == "--" => arguments,
        arguments if arguments.iter().any(|word| word.starts_with('-')) => {
            return Err(
                "behind `npm exec PACKAGE`, options are npm's own: write `npm exec -- PACKAGE OPTIONS`, or `npx`"
                    .to_owned(),
            );
        }
        arguments => arguments,
    };
    Ok(Wanted {
        launcher: launcher.to_owned(),
        packages,
        command,
        arguments: arguments.to_vec(),
        registry,
        options,
    })
}

fn written(option: &Given) -> String {
    match &option.value {
        Some(value) => format!("{}={value}", option.name),
        None => option.name.to_owned(),
    }
}

/// Options that would change what is run.
fn fits(name: &str) -> Result<(), String> {
    match name {
        "-c" | "--call" | "--shell-mode" => Err(format!(
            "`{name}` runs a line of shell: name the package with `--package`, and write the command as words"
        )),
        "-n" | "--node-options" => Err(format!(
            "`{name}` is not supported: give the server the variable `NODE_OPTIONS` instead"
        )),
        "--no" | "--no-install" => Err(format!(
            "with `{name}` nothing is installed: leave it out, or write the path of the program that is there"
        )),
        "--bun" => Err(
            "`--bun` is not supported: leave it out, and the package's own interpreter runs it".to_owned(),
        ),
        _ => Ok(()),
    }
}

/// The name of a program, not a path to one.
fn plain(command: &str) -> Result<String, String> {
    let good = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    if command.starts_with(['-', '.']) || !command.chars().all(good) || command.is_empty() {
        return Err(format!(
            "`{command}` is no name of a program that a package brings along"
        ));
    }
    Ok(command.to_owned())
}

/// Reads `name`, `@scope/name`, either with `@version`. Everything else that npm would install (folders, files, Git
/// repositories, addresses) is refused: none of it comes from a registry.
fn named(text: &str) -> Result<Named, String> {
    let elsewhere = || {
        format!(
            "`{text}` is no package of a registry, and in a cage packages come from the registry only: install it \
             yourself, then write the program as the command and grant its folder (`read`)"
        )
    };
    let (scope, rest) = match text.strip_prefix('@') {
        Some(scoped) => {
            let (scope, rest) = scoped.split_once('/').ok_or_else(elsewhere)?;
            (Some(scope), rest)
        }
        None => (None, text),
    };
    let (name, version) = match rest.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (rest, None),
    };
    let letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_' | '~');
    let word = |word: &str| {
        (1..=214).contains(&word.len()) && !word.starts_with(['.', '-', '_']) && word.chars().all(letter)
    };
    let archive = |word: &str| [".tgz", ".tar.gz", ".tar"].iter().any(|end| word.ends_with(end));
    let range = |version: &str| {
        (1..=100).contains(&version.len())
            && version
                .chars()
                .all(|it| letter(it) || matches!(it, '^' | '<' | '>' | '=' | '|' | '*' | '+' | ' '))
            && !version.starts_with(['.', '-'])
    };
    let lower = text.to_ascii_lowercase();
    if !word(name) || !scope.is_none_or(word) || !version.is_none_or(range) || archive(&lower) {
        return Err(elsewhere());
    }
    Ok(Named {
        name: match scope {
            Some(scope) => format!("@{scope}/{name}"),
            None => name.to_owned(),
        },
        version: version.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn read_all(text: &str) -> Result<String, String> {
        let words = words(text);
        let rest = recognise(&words[0], &words[1..]).ok_or("not recognised")?;
        let wanted = read(&words[0], rest)?;
        let packages: Vec<String> = wanted.packages.iter().map(Named::written).collect();
        Ok(format!(
            "{} | {} | {} | {} | {}",
            packages.join(" "),
            wanted.command.unwrap_or_default(),
            wanted.arguments.join(" "),
            wanted.registry.unwrap_or_default(),
            wanted.options.join(" "),
        ))
    }

    #[test]
    fn forms_that_people_write() {
        for (text, read) in [
            (
                "npx -y @modelcontextprotocol/server-filesystem /srv",
                "@modelcontextprotocol/server-filesystem |  | /srv |  | ",
            ),
            (
                "npx --yes --quiet pkg@1.2.3 --port 3 -y",
                "pkg@1.2.3 |  | --port 3 -y |  | ",
            ),
            ("npx pkg", "pkg |  |  |  | "),
            ("npx -y pkg@latest", "pkg@latest |  |  |  | "),
            ("npx -y pkg@^2 -- x", "pkg@^2 |  | -- x |  | "),
            ("npx -y -- pkg --flag", "pkg |  | --flag |  | "),
            ("npx -p a@1 --package=@b/c -- run -x", "a@1 @b/c | run | -x |  | "),
            ("npx -yp a run", "a | run |  |  | "),
            ("npx --package a --prefer-offline run x", "a | run | x |  | "),
            (
                "npx --registry=https://npm.example.com/ -y a",
                "a |  |  | https://npm.example.com/ | ",
            ),
            (
                "npx --ignore-scripts --legacy-peer-deps a",
                "a |  |  |  | --ignore-scripts --legacy-peer-deps",
            ),
            ("npm exec -y -- a --flag", "a |  | --flag |  | "),
            ("npm x a", "a |  |  |  | "),
            ("npm exec a -- --flag", "a |  | --flag |  | "),
            ("pnpm dlx a --flag", "a |  | --flag |  | "),
            ("yarn dlx -q -p a b c", "a | b | c |  | "),
            ("bunx a@2.0.0-beta.1", "a@2.0.0-beta.1 |  |  |  | "),
            ("bun x a", "a |  |  |  | "),
            ("pnpx a", "a |  |  |  | "),
        ] {
            assert_eq!(read_all(text).as_deref(), Ok(read), "{text}");
        }
    }

    #[test]
    fn what_comes_from_elsewhere_is_refused() {
        for package in [
            "github:x/y",
            "x/y",
            "gitlab:x/y",
            "git+https://example.com/x.git",
            "git@example.com:x/y.git",
            "https://example.com/x.tgz",
            "http://example.com/x",
            "file:../x",
            "./x",
            "../x",
            "/srv/x",
            "~/x",
            ".",
            "x.tgz",
            "X.TAR.GZ",
            "a@npm:b@1",
            "a@github:x/y",
            "a@file:x",
            "a@./x",
            "a@https://example.com",
            "@a",
            "@a/",
            "@/b",
            "@a/b/c",
            "@a/../b",
            "a@",
            "workspace:a",
            "a b",
            "-",
            "a@1;x",
            "a@$(x)",
            "_a",
            ".a",
            "@.a/b",
        ] {
            let words = ["-y".to_owned(), package.to_owned()];
            assert!(read("npx", &words).is_err(), "{package}");
        }
    }

    #[test]
    fn what_changes_what_is_run_is_refused() {
        for text in [
            "npx",
            "npx -y",
            "npx -p a",
            "npx -c x",
            "npx -p a --call=x",
            "npx --no-install a",
            "npx --new a",
            "npx -p a ../x",
            "npx -p a -- --x",
            "npx --node-options=--inspect a",
            "bunx --bun a",
            "npm exec a --flag",
            "npx -p",
            "npx --userconfig x a",
            "npx -w x a",
        ] {
            assert!(read_all(text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_commands_are_not_ours() {
        for text in [
            "npm install x",
            "npm",
            "pnpm install",
            "yarn",
            "bun run x",
            "node x",
            "npm run x",
        ] {
            let words = words(text);
            assert_eq!(recognise(&words[0], &words[1..]), None, "{text}");
        }
    }

    #[test]
    fn exact_versions() {
        for (text, exact) in [
            ("a@1.2.3", true),
            ("a@1.2.3-rc.1+b", true),
            ("a@1.2", false),
            ("a@^1.2.3", false),
            ("a@latest", false),
            ("a", false),
            ("a@1.x.3", false),
        ] {
            assert_eq!(named(text).unwrap().is_exact(), exact, "{text}");
        }
    }
}

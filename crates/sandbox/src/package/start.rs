//! How an installed program is started: by what it says in its first line, but never by anything that the package could
//! not have been given. The person grants a server's files; a package that names an interpreter, or is a link, must not.

use std::path::{Path, PathBuf};

use super::store::read_within;

/// What is read of a program.
const HEAD: u64 = 1_024;
/// Folders whose programs every cage has.
const SYSTEM: &[&str] = &["/usr/", "/bin/"];

/// By what the scripts of a tree are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Interpreter {
    /// The machine's node.
    Node,
    /// The Python of an environment within the tree: its path.
    Python(PathBuf),
}

/// The words that start a program of a tree. `entry` is its path within the tree, which it may be a link in.
pub(super) fn program(tree: &Path, entry: &Path, interpreter: &Interpreter) -> Result<Vec<String>, String> {
    let shown = entry
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let real = tree
        .join(entry)
        .canonicalize()
        .map_err(|_| format!("the package brings no program `{shown}` along"))?;
    let within = real
        .strip_prefix(tree)
        .map_err(|_| format!("the program `{shown}` of the package leads out of its folder"))?;
    let head = read_within(tree, within, HEAD)
        .map_err(|error| format!("the program `{shown}` cannot be read: {error}"))?;
    let path = real
        .to_str()
        .ok_or_else(|| format!("the path of the program `{shown}` is not UTF-8"))?
        .to_owned();
    match (interpreter, first_line(&head)) {
        // Also behind `#!/bin/sh`, where the path is too long for a first line.
        (Interpreter::Python(python), Some(_)) if holds(&head, python) => {
            Ok(vec![python.display().to_string(), path])
        }
        (_, Some(line)) => by_line(line, path).ok_or_else(|| {
            format!(
                "the program `{shown}` of the package is run by `{line}`, which is no program of the system"
            )
        }),
        (_, None) if head.starts_with(b"\x7fELF") => Ok(vec![path]),
        (Interpreter::Node, None) if is_script(&real) => Ok(vec!["node".to_owned(), path]),
        (_, None) => Err(format!(
            "the program `{shown}` of the package is nothing that can be run"
        )),
    }
}

fn is_script(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "js" || extension == "cjs" || extension == "mjs")
}

fn holds(head: &[u8], python: &Path) -> bool {
    let python = python.as_os_str().as_encoded_bytes();
    !python.is_empty() && head.windows(python.len()).any(|part| part == python)
}

/// What is behind `#!`.
fn first_line(head: &[u8]) -> Option<&str> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    std::str::from_utf8(line).ok().map(str::trim)
}

fn by_line(line: &str, path: String) -> Option<Vec<String>> {
    let mut words = line.split_whitespace();
    let first = words.next()?;
    let from_env = first.ends_with("/env");
    let name = if from_env {
        words.find(|word| *word != "-S" && *word != "--")?
    } else {
        first
    };
    let plain = !name.starts_with('-') && !name.contains('=') && !name.contains("..");
    let of_system = SYSTEM.iter().any(|folder| first.starts_with(folder)) && plain;
    let base = name.rsplit('/').next().unwrap_or(name);
    if matches!(base, "node" | "nodejs") && plain && (from_env || of_system) {
        let node = std::iter::once("node").chain(words).map(str::to_owned);
        return Some(node.chain([path]).collect());
    }
    let known = of_system && (!from_env || !name.contains('/'));
    known.then(|| vec![path])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines() {
        for (line, words) in [
            ("/usr/bin/env node", Some("node P")),
            (
                "/usr/bin/env -S node --no-warnings --x=1",
                Some("node --no-warnings --x=1 P"),
            ),
            ("/usr/bin/node", Some("node P")),
            ("/usr/bin/env bun", Some("P")),
            ("/bin/sh", Some("P")),
            ("/usr/bin/env python3", Some("P")),
            ("/home/a/.secret/bin/x", None),
            ("/usr/bin/env /home/a/x", None),
            ("/usr/bin/../../home/a/x", None),
            ("/usr/bin/env A=b node", None),
            ("/usr/bin/env -i node", None),
            ("/home/a/env node", Some("node P")),
            ("/home/a/env ruby", None),
            ("node", None),
            ("", None),
        ] {
            let found = by_line(line, "P".to_owned()).map(|words| words.join(" "));
            assert_eq!(found.as_deref(), words, "{line}");
        }
    }

    #[test]
    fn programs_of_a_tree() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().canonicalize().unwrap().join("tree");
        std::fs::create_dir(&tree).unwrap();
        std::fs::write(folder.path().join("outside"), "#!/bin/sh\n").unwrap();
        let python = tree.join("venv/bin/python");
        let p = python.display();
        for (name, text, node, with_python) in [
            ("a.js", "console.log(1)".to_owned(), Some("node a.js"), None),
            ("a.txt", "text".to_owned(), None, None),
            ("elf", "\x7fELF…".to_owned(), Some("elf"), Some("elf")),
            ("short", format!("#!{p}\n"), None, Some("venv/bin/python short")),
            (
                "long",
                format!("#!/bin/sh\n'''exec' \"{p}\" \"$0\" \"$@\"\n"),
                Some("long"),
                Some("venv/bin/python long"),
            ),
            ("sh", "#!/bin/sh\n".to_owned(), Some("sh"), Some("sh")),
            ("far", "#!/opt/x/bin/python\n".to_owned(), None, None),
        ] {
            std::fs::write(tree.join(name), text).unwrap();
            let words = |interpreter: &Interpreter| {
                let words = program(&tree, Path::new(name), interpreter).ok()?.join(" ");
                Some(words.replace(&format!("{}/", tree.display()), ""))
            };
            assert_eq!(words(&Interpreter::Node).as_deref(), node, "{name}");
            assert_eq!(
                words(&Interpreter::Python(python.clone())).as_deref(),
                with_python,
                "{name}"
            );
        }
        std::os::unix::fs::symlink("../outside", tree.join("out")).unwrap();
        for name in ["out", "none", "../outside", "/bin/sh"] {
            assert!(
                program(&tree, Path::new(name), &Interpreter::Node).is_err(),
                "{name}"
            );
        }
    }
}

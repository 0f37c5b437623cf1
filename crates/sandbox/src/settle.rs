//! From what a person wrote to what the cage needs: finds the program, what it is run by, and what those need of the
//! machine beyond `/usr`; finds where granted paths really are. Reads the machine; changes nothing.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use crate::spec::Spec;

/// What is visible in every cage.
const VISIBLE: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/nix/store",
    "/gnu/store",
];
/// Folders of programs that are in every cage's `PATH`.
const STANDARD: &[&str] = &[
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
];
/// Folders in a home that hold runtimes and nothing else.
const MANAGERS: &[&str] = &[
    ".asdf",
    ".bun",
    ".deno",
    ".fnm",
    ".local/share/fnm",
    ".local/share/mise",
    ".local/share/rtx",
    ".local/share/uv/python",
    ".nodenv",
    ".nvm",
    ".pyenv",
    ".rbenv",
    ".rye",
    ".sdkman",
    ".volta",
    "anaconda3",
    "miniconda3",
    "miniforge3",
    "mambaforge",
];
/// Programs whose first argument is a program.
const INTERPRETERS: &[&str] = &[
    "node", "nodejs", "python", "python3", "bun", "deno", "ruby", "php", "perl", "bash", "sh",
];
/// Programs that are run by programs, at most: a script by a script by a script.
const CHAIN: u32 = 6;

/// Where things are on the machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The folders in which programs are looked for (`PATH`).
    pub path: Vec<PathBuf>,
    /// The home of the user.
    pub home: Option<PathBuf>,
    /// The folder from which relative paths count.
    pub directory: PathBuf,
}

/// Something that the person should know.
pub type Hint = String;

/// Completes a specification.
///
/// # Errors
/// In words: what is not there, or must not be granted so.
pub fn settle(spec: &mut Spec, machine: &Machine) -> Result<Vec<Hint>, String> {
    let mut links = Vec::new();
    for path in spec.read.iter_mut().chain(&mut spec.write) {
        *path = really(path, &mut links)?;
    }
    spec.links.append(&mut links);
    let program = spec.argv.first().cloned().unwrap_or_default();
    let found = find(&program, machine).ok_or_else(|| {
        if program.contains('/') {
            format!("`{program}` is not there, or cannot be run")
        } else {
            format!("`{program}` was not found in any folder of PATH: install it, or write its full path")
        }
    })?;
    spec.program.clone_from(&found);
    admit(spec, machine, &found, 0)?;
    script(spec, machine, &found);
    if let Some(directory) = &spec.directory
        && !covered(spec, directory)
    {
        return Err(format!(
            "the directory to start in, `{}`, is in no grant: grant it",
            directory.display()
        ));
    }
    Ok(hints(spec))
}

/// Where a granted path really is. A link that a user can make is not followed: who may write the folder that it is in
/// could have put it there, to be granted something else by the next start (CVE-2024-42472 and its kind).
fn really(path: &Path, links: &mut Vec<(PathBuf, PathBuf)>) -> Result<PathBuf, String> {
    let shown = path.display();
    let mut so_far = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir | Component::CurDir => {
                return Err(format!(
                    "`{shown}` must not hold `..` or `.`: write the path in full"
                ));
            }
            other => so_far.push(other),
        }
        let found = so_far
            .symlink_metadata()
            .map_err(|error| format!("`{shown}` cannot be granted: `{}`: {error}", so_far.display()))?;
        if found.is_symlink() && found.uid() != 0 {
            let target = so_far.canonicalize().unwrap_or_default();
            return Err(format!(
                "`{shown}` cannot be granted: `{}` is a link to `{}`; write where it leads",
                so_far.display(),
                target.display()
            ));
        }
    }
    let real = path
        .canonicalize()
        .map_err(|error| format!("`{shown}` cannot be granted: {error}"))?;
    if real != path {
        links.push((path.to_owned(), real.clone()));
    }
    Ok(real)
}

/// Where a program is: its path, or the first folder of `PATH` that has it.
pub(crate) fn find(program: &str, machine: &Machine) -> Option<PathBuf> {
    if program.contains('/') {
        let path = tidy(&machine.directory.join(program));
        return runs(&path).then_some(path);
    }
    let folders = machine.path.iter().filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(program)).find(|path| runs(path))
}

fn runs(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Without `.` and `..`, as text: links are looked at elsewhere.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                tidy.pop();
            }
            other => tidy.push(other),
        }
    }
    tidy
}

fn covered(spec: &Spec, path: &Path) -> bool {
    let visible = VISIBLE.iter().map(Path::new);
    let granted = spec
        .read
        .iter()
        .chain(&spec.write)
        .chain(&spec.runtime)
        .map(PathBuf::as_path);
    visible.chain(granted).any(|folder| path.starts_with(folder))
}

/// Makes a program visible with what it needs, and what it is run by.
pub(crate) fn admit(spec: &mut Spec, machine: &Machine, program: &Path, depth: u32) -> Result<(), String> {
    if depth > CHAIN {
        return Err(format!(
            "`{}` is run by a chain of scripts without end",
            program.display()
        ));
    }
    let real = program
        .canonicalize()
        .map_err(|error| format!("`{}` cannot be run: {error}", program.display()))?;
    for path in [program, &real] {
        if covered(spec, path) {
            continue;
        }
        match runtime_of(path, machine) {
            Some(folder) => spec.runtime.push(folder),
            None if path == real => spec.runtime.push(real.clone()),
            None => spec.links.push((path.to_owned(), real.clone())),
        }
    }
    for path in [program, &real] {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let known = STANDARD.iter().any(|known| folder == Path::new(known));
        if !known && !spec.path.iter().any(|known| known == folder) && covered(spec, folder) {
            spec.path.push(folder.to_owned());
        }
    }
    if let Some(interpreter) = interpreter(&real) {
        let found = find(&interpreter, machine).ok_or_else(|| {
            format!(
                "`{}` is run by `{interpreter}`, which is not there",
                program.display()
            )
        })?;
        user_packages(spec, machine, program, &found);
        admit(spec, machine, &found, depth.saturating_add(1))?;
    }
    Ok(())
}

/// The folder that a program's runtime is in; `None` for a program that stands alone.
fn runtime_of(program: &Path, machine: &Machine) -> Option<PathBuf> {
    if let Some(home) = &machine.home {
        let managers = MANAGERS.iter().map(|folder| home.join(folder));
        if let Some(folder) = managers.into_iter().find(|folder| program.starts_with(folder)) {
            return folder.canonicalize().ok();
        }
    }
    // A package finds its dependencies beside itself and in every `node_modules` above.
    let modules = program
        .ancestors()
        .skip(1)
        .filter(|folder| folder.ends_with("node_modules"))
        .last();
    if let Some(modules) = modules {
        return modules.canonicalize().ok();
    }
    let folder = program.parent()?;
    let prefix = folder
        .parent()
        .filter(|_| folder.file_name().is_some_and(|name| name == "bin"))?;
    let too_much = |path: &Path| {
        let home = machine.home.as_deref();
        path.components().count() < 3 && home.is_none_or(|home| home.starts_with(path))
            || home.is_some_and(|home| home.starts_with(path) || path == home.join(".local"))
    };
    let is_runtime = [
        "pyvenv.cfg",
        "conda-meta",
        "lib/node_modules",
        "lib/ruby",
        "lib/jvm",
    ]
    .iter()
    .any(|mark| prefix.join(mark).exists())
        || fs::read_dir(prefix.join("lib")).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
        });
    (is_runtime && !too_much(prefix)).then(|| prefix.canonicalize().ok())?
}

/// `pip install --user` puts a program's modules beside, not below, its own folder.
fn user_packages(spec: &mut Spec, machine: &Machine, program: &Path, interpreter: &Path) {
    let Some(home) = &machine.home else { return };
    let python = interpreter
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("python"));
    let packages = home.join(".local/lib");
    if python
        && program.starts_with(home.join(".local/bin"))
        && packages.is_dir()
        && !covered(spec, &packages)
    {
        spec.runtime.extend(packages.canonicalize());
    }
}

/// What a script says that it is run by: the program that `env` would look for, or a full path.
fn interpreter(program: &Path) -> Option<String> {
    let mut head = [0; 256];
    let read = fs::File::open(program)
        .and_then(|mut file| file.read(&mut head))
        .ok()?;
    let line = head
        .get(..read)?
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_whitespace();
    let first = words.next()?;
    if Path::new(first).file_name().is_some_and(|name| name == "env") {
        return words
            .find(|word| !word.starts_with('-') && !word.contains('='))
            .map(str::to_owned);
    }
    Some(first.to_owned())
}

/// The script that an interpreter is given is the program: it is made visible with its package.
fn script(spec: &mut Spec, machine: &Machine, program: &Path) {
    let name = program
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let plain = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    if !INTERPRETERS.contains(&name.as_str()) && !INTERPRETERS.contains(&plain) {
        return;
    }
    let Some((at, given)) = spec
        .argv
        .iter()
        .enumerate()
        .skip(1)
        .find(|(_, word)| !word.starts_with('-'))
        .map(|(at, word)| (at, word.clone()))
    else {
        return;
    };
    let path = tidy(&machine.directory.join(&given));
    // The word behind an option may be its value, and no file.
    if !path.is_file() {
        return;
    }
    let Ok(real) = path.canonicalize() else { return };
    if let Some(word) = spec.argv.get_mut(at) {
        *word = real.display().to_string();
    }
    if covered(spec, &real) {
        return;
    }
    let home = machine.home.as_deref();
    let fit = |folder: &&Path| {
        folder.components().count() > 2 && !home.is_some_and(|home| home.starts_with(folder))
    };
    let above: Vec<&Path> = real.ancestors().skip(1).take(8).collect();
    let package = above
        .iter()
        .copied()
        .filter(fit)
        .find(|folder| folder.join("package.json").is_file() || folder.join("pyproject.toml").is_file());
    let beside = real.parent().filter(|folder| fit(folder));
    let mut visible = vec![package.or(beside).unwrap_or(&real).to_owned()];
    // Modules are looked for in every folder above (Node.js, "Loading from node_modules folders").
    let modules = above.iter().map(|folder| folder.join("node_modules"));
    visible.extend(modules.filter(|modules| modules.is_dir()));
    for folder in visible {
        if !covered(spec, &folder) {
            spec.runtime.push(folder);
        }
    }
}

/// Arguments that name something which the program will not find.
fn hints(spec: &Spec) -> Vec<Hint> {
    let words = spec.argv.iter().skip(1).map(Path::new);
    words
        .filter(|path| path.is_absolute() && path.exists() && !covered(spec, path))
        .filter(|path| !spec.links.iter().any(|(link, _)| path.starts_with(link)))
        .map(|path| {
            let path = path.display();
            format!("`{path}` is an argument, but not granted: the program will not find it")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A machine with a home and a folder of programs.
    fn machine(home: &Path) -> Machine {
        Machine {
            path: vec![home.join("tools/bin"), "/usr/bin".into()],
            home: Some(home.to_owned()),
            directory: home.to_owned(),
        }
    }

    fn script(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn settled(home: &Path, argv: &[&str]) -> Result<(Spec, Vec<Hint>), String> {
        let mut spec = Spec::new(argv.iter().map(|&word| word.to_owned()).collect());
        let hints = settle(&mut spec, &machine(home))?;
        Ok((spec, hints))
    }

    fn home() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().canonicalize().unwrap().join("home/ada");
        fs::create_dir_all(&home).unwrap();
        (directory, home)
    }

    #[test]
    fn a_program_alone_is_all_that_is_shown_of_its_folder() {
        let (_kept, home) = home();
        let program = home.join("tools/bin/alone");
        script(&program, "#!/bin/sh\n");
        let (spec, _) = settled(&home, &["alone"]).unwrap();
        assert_eq!(spec.program, program);
        assert_eq!(spec.runtime, [program]);
    }

    #[test]
    fn a_runtime_is_shown_with_its_modules_and_never_a_home() {
        let (_kept, home) = home();
        let real = home.join("python/bin/python3.12");
        script(&real, "");
        fs::create_dir_all(home.join("python/lib/python3.12")).unwrap();
        fs::create_dir_all(home.join("venv/bin")).unwrap();
        fs::write(home.join("venv/pyvenv.cfg"), "").unwrap();
        symlink(&real, home.join("venv/bin/python")).unwrap();
        script(
            &home.join("venv/bin/serve"),
            &format!("#!{}\n", home.join("venv/bin/python").display()),
        );
        let program = home.join("venv/bin/serve");
        let (spec, _) = settled(&home, &[program.to_str().unwrap()]).unwrap();
        assert_eq!(spec.runtime, [home.join("venv"), home.join("python")]);

        script(&home.join("bin/own"), "#!/bin/sh\n");
        fs::create_dir_all(home.join("lib/python3.12")).unwrap();
        let own = home.join("bin/own");
        let (spec, _) = settled(&home, &[own.to_str().unwrap()]).unwrap();
        assert_eq!(spec.runtime, [own]);
    }

    #[test]
    fn a_script_is_shown_with_its_package() {
        let (_kept, home) = home();
        script(&home.join("work/server/dist/index.js"), "");
        fs::write(home.join("work/server/package.json"), "{}").unwrap();
        fs::create_dir_all(home.join("work/node_modules")).unwrap();
        script(&home.join("tools/bin/node"), "");
        let (spec, _) = settled(&home, &["node", "work/server/dist/index.js"]).unwrap();
        assert!(spec.runtime.contains(&home.join("work/server")));
        assert!(spec.runtime.contains(&home.join("work/node_modules")));
        assert_eq!(
            spec.argv[1],
            home.join("work/server/dist/index.js").display().to_string()
        );

        script(&home.join("loose.js"), "");
        let (spec, _) = settled(&home, &["node", "loose.js"]).unwrap();
        assert!(spec.runtime.contains(&home.join("loose.js")));
        assert!(!spec.runtime.contains(&home));
    }

    #[test]
    fn a_program_of_a_package_finds_what_is_beside_it() {
        let (_kept, home) = home();
        let modules = home.join("work/node_modules");
        script(&modules.join("server/cli.js"), "#!/bin/sh\n");
        fs::create_dir_all(modules.join(".bin")).unwrap();
        symlink("../server/cli.js", modules.join(".bin/server")).unwrap();
        let program = modules.join(".bin/server");
        let (spec, _) = settled(&home, &[program.to_str().unwrap()]).unwrap();
        assert_eq!(spec.runtime, [modules]);
    }

    #[test]
    fn what_is_not_there_is_said() {
        let (_kept, home) = home();
        assert!(settled(&home, &["no-such-program"]).unwrap_err().contains("PATH"));
        assert!(settled(&home, &["./none"]).unwrap_err().contains("not there"));
        let mut spec = Spec::new(vec!["/bin/true".to_owned()]);
        spec.read.push(home.join("missing"));
        assert!(
            settle(&mut spec, &machine(&home))
                .unwrap_err()
                .contains("missing")
        );
        script(&home.join("tools/bin/broken"), "#!/no/such/interpreter\n");
        assert!(
            settled(&home, &["broken"])
                .unwrap_err()
                .contains("/no/such/interpreter")
        );
    }

    #[test]
    fn an_argument_that_will_not_be_found_is_hinted_at() {
        let (_kept, home) = home();
        let (_, hints) = settled(&home, &["/bin/true", home.to_str().unwrap()]).unwrap();
        assert_eq!(hints.len(), 1);
        let (_, hints) = settled(&home, &["/bin/true", "/usr/bin", "plain"]).unwrap();
        assert!(hints.is_empty());
    }

    #[test]
    fn a_link_that_a_user_can_make_is_not_followed() {
        let (_kept, home) = home();
        let (real, link) = (home.join("real"), home.join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        let mut spec = Spec::new(vec!["/bin/true".to_owned()]);
        spec.write.push(link.clone());
        let outcome = settle(&mut spec, &machine(&home));
        if rustix::process::geteuid().is_root() {
            // Root's links are the machine's: the real place is granted, and known by both names.
            outcome.unwrap();
            assert_eq!(spec.write, std::slice::from_ref(&real));
            assert_eq!(spec.links, [(link, real)]);
        } else {
            assert!(outcome.unwrap_err().contains("write where it leads"));
        }
        let mut spec = Spec::new(vec!["/bin/true".to_owned()]);
        spec.read.push(home.join("real/../real"));
        assert!(settle(&mut spec, &machine(&home)).unwrap_err().contains("`..`"));
    }
}

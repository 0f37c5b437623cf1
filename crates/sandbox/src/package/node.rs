//! Packages of npm: installed by npm in a cage, started without it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::npx::{Named, Wanted};
use super::phase::{self, Step};
use super::registry::{self, Npm, Registry};
use super::start::{self, Interpreter};
use super::store::{Installed, read_within};
use super::{Context, Hint};
use crate::settle::find;
use crate::spec::Grant;

/// What is read of a `package.json`, and of a `package-lock.json`.
const CAPS: (u64, u64) = (4 << 20, 64 << 20);

/// Installs into the tree and finds what is to be started.
pub(super) async fn install(
    wanted: &Wanted,
    context: &Context<'_>,
    tree: &Path,
    hints: &mut Vec<Hint>,
) -> Result<Installed, String> {
    let told = Npm::read(context.machine, context.ask.variable);
    let (flags, mut network) = registries(wanted, &told, context, hints).await?;
    network.extend(context.ask.further.iter().cloned());
    let cache = tree.join(".cache");
    let mut argv: Vec<String> = [
        "npm",
        "install",
        "--omit=dev",
        "--loglevel=error",
        "--no-progress",
    ]
    .into_iter()
    .chain(["--no-audit", "--no-fund", "--no-update-notifier", "--logs-max=0"])
    .map(str::to_owned)
    .collect();
    argv.push(format!("--prefix={}", tree.display()));
    argv.push(format!("--cache={}", cache.display()));
    argv.extend(flags);
    argv.extend(wanted.options.iter().cloned());
    let (mut environment, mut read) = registry::authorities(
        context.machine,
        context.ask.variable,
        &["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"],
    );
    if let Some(file) = told.authorities.as_deref().and_then(registry::certificates) {
        argv.push(format!("--cafile={}", file.display()));
        read.push(file);
    }
    argv.push("--".to_owned());
    argv.extend(wanted.packages.iter().map(Named::written));
    environment.extend(headers(context));
    let step = Step {
        argv,
        environment,
        write: Some(tree),
        read,
        network,
        programs: Vec::new(),
        runtime: Vec::new(),
    };
    phase::run(step, context.machine, context.witness).await?;
    // Only a copy of what is installed.
    let _stays = std::fs::remove_dir_all(&cache);
    found(wanted, tree)
}

/// The registries of the packages, as npm's own flags, and the grants to reach them.
async fn registries(
    wanted: &Wanted,
    told: &Npm,
    context: &Context<'_>,
    hints: &mut Vec<Hint>,
) -> Result<(Vec<String>, Vec<Grant>), String> {
    let all = match wanted.registry.clone().or_else(|| told.all.clone()) {
        Some(all) => all,
        None => ask(context).await?,
    };
    let all = Registry::parse(&all, hints)?;
    let mut flags = vec![format!("--registry={}", all.address)];
    let mut network = all.grants();
    for (scope, address) in &told.scoped {
        if !wanted
            .packages
            .iter()
            .any(|package| package.scope() == Some(scope))
        {
            continue;
        }
        let registry = Registry::parse(address, hints)?;
        flags.push(format!("--{scope}:registry={}", registry.address));
        for grant in registry.grants() {
            if !network.contains(&grant) {
                network.push(grant);
            }
        }
    }
    for grant in &network {
        let host = grant.host.to_string();
        if told
            .secret
            .iter()
            .any(|known| *known == host || *known == grant.to_string())
        {
            hints.push(format!(
                "npm has a token or password for `{host}`, which is not handed on: an installation runs the code of \
                 strangers. What can only be had with it cannot be installed in a cage"
            ));
        }
    }
    Ok((flags, network))
}

/// npm itself knows its registry, be it from the machine's own configuration or built in. No network for that.
async fn ask(context: &Context<'_>) -> Result<String, String> {
    let words = ["npm", "config", "get", "registry"];
    let step = Step {
        argv: words.map(str::to_owned).to_vec(),
        environment: Vec::new(),
        write: None,
        read: Vec::new(),
        network: Vec::new(),
        programs: Vec::new(),
        runtime: Vec::new(),
    };
    let output = phase::run(step, context.machine, context.witness).await?;
    let last = output.out.lines().map(str::trim).rfind(|line| !line.is_empty());
    Ok(last.unwrap_or_default().to_owned())
}

/// Native parts are compiled against the headers of the machine's node where they lie beside it, for there is no way to
/// the host where they would be fetched.
fn headers(context: &Context<'_>) -> Option<(String, String)> {
    let node = find("node", context.machine)?.canonicalize().ok()?;
    let prefix = node.parent()?.parent()?;
    let there = prefix.join("include/node/node.h").is_file();
    there.then(|| ("npm_config_nodedir".to_owned(), prefix.display().to_string()))
}

/// What is to be started of an installed tree.
fn found(wanted: &Wanted, tree: &Path) -> Result<Installed, String> {
    let main = wanted.packages.first().ok_or("there is no package")?;
    let manifest = manifest(tree, &main.name)?;
    let entry = match &wanted.command {
        Some(command) => PathBuf::from("node_modules/.bin").join(command),
        None => entry(&manifest, &main.name)?,
    };
    Ok(Installed {
        package: main.name.clone(),
        version: text(&manifest, "version").unwrap_or_default(),
        integrity: integrity(tree, &main.name),
        program: start::program(tree, &entry, &Interpreter::Node)?,
        interpreter: None,
    })
}

/// What is to be started of a package that is in this folder's own `node_modules`, as npx prefers it; with the folder
/// that it needs. Only where that is the user's own.
pub(super) fn local(wanted: &Wanted, folder: &Path) -> Option<Result<(Vec<String>, PathBuf), String>> {
    use std::os::unix::fs::MetadataExt as _;
    let ([main], None) = (wanted.packages.as_slice(), &wanted.command) else {
        return None;
    };
    if main.version.is_some() {
        return None;
    }
    let folder = folder.canonicalize().ok()?;
    let modules = folder.join("node_modules");
    let owner = modules
        .symlink_metadata()
        .ok()
        .filter(std::fs::Metadata::is_dir)?
        .uid();
    let manifest = manifest(&folder, &main.name).ok()?;
    if owner != 0 && owner != rustix::process::getuid().as_raw() {
        return None;
    }
    let program =
        entry(&manifest, &main.name).and_then(|entry| start::program(&folder, &entry, &Interpreter::Node));
    Some(program.map(|program| (program, modules)))
}

fn manifest(tree: &Path, name: &str) -> Result<Value, String> {
    let path = Path::new("node_modules").join(name).join("package.json");
    parsed(tree, &path, CAPS.0)
        .ok_or_else(|| format!("`{name}` was installed without a `package.json` to read"))
}

fn parsed(tree: &Path, path: &Path, cap: u64) -> Option<Value> {
    let bytes = read_within(tree, path, cap).ok()?;
    #[expect(
        clippy::disallowed_methods,
        reason = "a file of npm, and no message of MCP; what is wrong in it costs its package only"
    )]
    serde_json::from_slice(&bytes).ok()
}

fn text(value: &Value, key: &str) -> Option<String> {
    Some(
        value
            .get(key)?
            .as_str()?
            .chars()
            .filter(|letter| !letter.is_control())
            .take(100)
            .collect(),
    )
}

/// The program of a package, as npx chooses: its only one, else the one with the name of the package.
fn entry(manifest: &Value, name: &str) -> Result<PathBuf, String> {
    let unscoped = name.rsplit('/').next().unwrap_or(name);
    let none = || format!("`{name}` brings no program along: it is a library, or misspelled");
    let bins: Vec<(&str, &str)> = match manifest.get("bin") {
        Some(Value::String(path)) => vec![(unscoped, path.as_str())],
        Some(Value::Object(bins)) => bins
            .iter()
            .filter_map(|(name, path)| Some((name.as_str(), path.as_str()?)))
            .collect(),
        _ => return Err(none()),
    };
    let (_, first) = bins.first().ok_or_else(none)?;
    let only = bins.iter().all(|(_, path)| path == first).then_some(*first);
    let named = || {
        bins.iter()
            .find(|(bin, _)| *bin == unscoped)
            .map(|(_, path)| *path)
    };
    let path = only.or_else(named).ok_or_else(|| {
        let names: Vec<&str> = bins.iter().map(|(bin, _)| *bin).take(8).collect();
        format!(
            "`{name}` has several programs ({}): write `--package={name}` and the one to run",
            names.join(", ")
        )
    })?;
    Ok(Path::new("node_modules")
        .join(name)
        .join(path.trim_start_matches('/')))
}

/// What npm verified the archive by (Subresource Integrity).
fn integrity(tree: &Path, name: &str) -> Option<String> {
    let lock = parsed(tree, Path::new("package-lock.json"), CAPS.1)?;
    text(
        lock.get("packages")?.get(format!("node_modules/{name}"))?,
        "integrity",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_program_is_the_one_that_npx_chooses() {
        for (bin, name, path) in [
            (json!("dist/x.js"), "@a/b", Some("node_modules/@a/b/dist/x.js")),
            (json!({"other": "./x.js"}), "b", Some("node_modules/b/./x.js")),
            (
                json!({"one": "x.js", "two": "x.js"}),
                "b",
                Some("node_modules/b/x.js"),
            ),
            (
                json!({"one": "x.js", "b": "y.js"}),
                "@a/b",
                Some("node_modules/@a/b/y.js"),
            ),
            (json!({"one": "x.js", "two": "y.js"}), "b", None),
            (json!({}), "b", None),
            (json!(null), "b", None),
            (json!({"b": 1}), "b", None),
            (json!("/etc/x"), "b", Some("node_modules/b/etc/x")),
        ] {
            let found = entry(&json!({"bin": bin}), name).ok();
            assert_eq!(found, path.map(PathBuf::from), "{bin}");
        }
    }

    #[test]
    fn an_installed_tree_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().canonicalize().unwrap();
        let package = tree.join("node_modules/@a/b");
        std::fs::create_dir_all(package.join("dist")).unwrap();
        std::fs::write(package.join("dist/x.js"), "#!/usr/bin/env node\n").unwrap();
        std::fs::write(
            package.join("package.json"),
            r#"{"version":"1.2.3","bin":"dist/x.js"}"#,
        )
        .unwrap();
        let lock = r#"{"packages":{"node_modules/@a/b":{"integrity":"sha512-x"}}}"#;
        std::fs::write(tree.join("package-lock.json"), lock).unwrap();
        let words = ["-y".to_owned(), "@a/b".to_owned()];
        let wanted = super::super::npx::read("npx", &words).unwrap();
        let installed = found(&wanted, &tree).unwrap();
        assert_eq!(installed.version, "1.2.3");
        assert_eq!(installed.integrity.as_deref(), Some("sha512-x"));
        let entry = package.join("dist/x.js").display().to_string();
        assert_eq!(installed.program, ["node".to_owned(), entry.clone()]);
        let (program, modules) = local(&wanted, &tree).unwrap().unwrap();
        assert_eq!(program, ["node".to_owned(), entry]);
        assert_eq!(modules, tree.join("node_modules"));
        assert!(local(&super::super::npx::read("npx", &["c".to_owned()]).unwrap(), &tree).is_none());
        assert!(
            local(
                &super::super::npx::read("npx", &["@a/b@1.2.3".to_owned()]).unwrap(),
                &tree
            )
            .is_none()
        );
    }
}

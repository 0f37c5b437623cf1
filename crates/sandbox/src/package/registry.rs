//! Where packages come from: what the person configured for npm, pip and uv, read without running any of them. The
//! network of an installation is exactly that host. Passwords and tokens are not handed on: an installation runs the
//! code of strangers.

use std::path::{Path, PathBuf};

use crate::settle::{Hint, Machine};
use crate::spec::{Grant, Host};

/// A variable of the environment that the command would have had.
pub(super) type Variable<'a> = &'a (dyn Fn(&str) -> Option<String> + Send + Sync);

/// The index that pip and uv have built in, and the host with the files that it names (PEP 503 lets an index name any).
/// Those of another index are on the same host, or it is told so in the failure.
const PUBLIC_INDEX: &str = "https://pypi.org/simple";
const COMPANIONS: &[(&str, &str)] = &[("pypi.org", "files.pythonhosted.org")];

/// No configuration is larger.
const CAP: u64 = 1 << 20;

/// An address, without a user in it, and the grant to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registry {
    /// As it is given to the installer.
    pub(super) address: String,
    /// Its host and port.
    pub(super) grant: Grant,
}

impl Registry {
    /// Reads an address. The person chose it, so it may be one that is not public.
    ///
    /// # Errors
    /// In words: it is none that a cage can be opened for.
    pub(super) fn parse(text: &str, hints: &mut Vec<Hint>) -> Result<Self, String> {
        let unfit = || {
            format!(
                "the registry `{}` is no http or https address",
                without_user(text)
            )
        };
        let uri: http::Uri = text.trim().parse().map_err(|_| unfit())?;
        let port = match uri.scheme_str() {
            Some("https") => 443,
            Some("http") => 80,
            _ => return Err(unfit()),
        };
        let port = uri.port_u16().unwrap_or(port);
        let name = uri.host().unwrap_or_default().to_ascii_lowercase();
        let name = name.trim_end_matches('.').to_owned();
        let fine = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_');
        if name.is_empty() || port == 0 || !name.chars().all(fine) {
            return Err(unfit());
        }
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            hints.push(format!(
                "the registry `{name}` is asked without the user and password of its address: a cage is given none"
            ));
        }
        let host = name
            .parse()
            .map_or_else(|_| Host::Name(name.clone()), Host::Address);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let scheme = uri.scheme_str().unwrap_or_default();
        Ok(Self {
            address: match uri.port_u16() {
                Some(port) => format!("{scheme}://{name}:{port}{path}"),
                None => format!("{scheme}://{name}{path}"),
            },
            grant: Grant {
                host,
                port,
                dial: None,
                internal: true,
            },
        })
    }

    /// The grants for this registry, with the host of its files where that is another.
    pub(super) fn grants(&self) -> Vec<Grant> {
        let companions = COMPANIONS
            .iter()
            .filter(|(index, _)| self.grant.host == Host::Name((*index).to_owned()))
            .map(|(_, files)| Grant {
                host: Host::Name((*files).to_owned()),
                ..self.grant.clone()
            });
        std::iter::once(self.grant.clone()).chain(companions).collect()
    }
}

fn without_user(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, behind))) => format!("{scheme}://{behind}"),
        _ => text.to_owned(),
    }
}

/// What the person told npm.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Npm {
    /// The registry of all packages; without it, npm is asked.
    pub(super) all: Option<String>,
    /// The registries of scopes: `@scope` and the address.
    pub(super) scoped: Vec<(String, String)>,
    /// A file with certificates.
    pub(super) authorities: Option<PathBuf>,
    /// Hosts for which there is a password or token.
    pub(super) secret: Vec<String>,
}

impl Npm {
    /// Reads variables and the person's own file. A file in the folder of a project is left out: it belongs to whoever
    /// wrote the project.
    pub(super) fn read(machine: &Machine, variable: Variable<'_>) -> Self {
        let file = variable("npm_config_userconfig").map(PathBuf::from);
        let file = file.or_else(|| Some(machine.home.as_ref()?.join(".npmrc")));
        let text = file.map(|file| text_of(&file)).unwrap_or_default();
        let mut found = Self::of(&text, variable);
        let set = |name: &str| {
            let upper = name.to_ascii_uppercase();
            variable(name)
                .or_else(|| variable(&upper))
                .filter(|value| !value.is_empty())
        };
        found.all = set("npm_config_registry").or(found.all);
        found.authorities = set("npm_config_cafile").map(PathBuf::from).or(found.authorities);
        found
    }

    fn of(text: &str, variable: Variable<'_>) -> Self {
        let mut found = Self::default();
        for (key, value) in pairs(text) {
            let value = expanded(value, variable);
            if value.is_empty() {
                continue;
            }
            if key == "registry" {
                found.all = Some(value);
            } else if key == "cafile" {
                found.authorities = Some(PathBuf::from(value));
            } else if let Some(scope) = key
                .strip_suffix(":registry")
                .filter(|scope| scope.starts_with('@'))
            {
                found.scoped.push((scope.to_owned(), value));
            } else if let Some((host, _)) = key
                .strip_prefix("//")
                .and_then(|rest| rest.split_once(['/', ':']))
            {
                let last = key.rsplit(':').next().unwrap_or_default();
                if matches!(last, "_authToken" | "_auth" | "_password") {
                    found.secret.push(host.to_owned());
                }
            }
        }
        found
    }
}

/// What the person told uv and pip.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// The index that replaces the public one.
    pub(super) main: Option<String>,
    /// Further ones.
    pub(super) extra: Vec<String>,
}

impl Index {
    /// Reads variables and files: uv's before pip's, since where there is uv it does the installing.
    pub(super) fn read(machine: &Machine, variable: Variable<'_>) -> Self {
        let folder = variable("XDG_CONFIG_HOME").map(PathBuf::from);
        let folder = folder.or_else(|| Some(machine.home.as_ref()?.join(".config")));
        let read = |path: &str| {
            folder
                .as_ref()
                .map(|folder| text_of(&folder.join(path)))
                .unwrap_or_default()
        };
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let list = |name: &str| -> Vec<String> {
            let value = set(name).unwrap_or_default();
            value.split_whitespace().map(str::to_owned).collect()
        };
        let mut of_uv = Self::of_uv(&read("uv/uv.toml"));
        of_uv.main = set("UV_DEFAULT_INDEX")
            .or_else(|| set("UV_INDEX_URL"))
            .or(of_uv.main);
        of_uv.extra.extend(list("UV_INDEX"));
        of_uv.extra.extend(list("UV_EXTRA_INDEX_URL"));
        let mut of_pip = Self::of_pip(&read("pip/pip.conf"));
        if of_pip == Self::default() {
            of_pip = Self::of_pip(&text_of(Path::new("/etc/pip.conf")));
        }
        of_pip.main = set("PIP_INDEX_URL").or(of_pip.main);
        of_pip.extra.extend(list("PIP_EXTRA_INDEX_URL"));
        let mut both = Self {
            main: of_uv.main.or(of_pip.main),
            extra: of_uv.extra,
        };
        both.extra.extend(of_pip.extra);
        both
    }

    /// The index that replaces the public one, or that.
    pub(super) fn main(&self) -> &str {
        self.main.as_deref().unwrap_or(PUBLIC_INDEX)
    }

    fn of_pip(text: &str) -> Self {
        let mut found = Self::default();
        let mut more = false;
        for line in text.lines() {
            let continued = more && line.starts_with([' ', '\t']);
            let (key, value) = match line.split_once(['=', ':']) {
                _ if continued => ("extra-index-url", line.trim()),
                Some((key, value)) => (key.trim(), value.trim()),
                None => ("", ""),
            };
            more = key == "extra-index-url";
            match key {
                "index-url" => found.main = Some(value.to_owned()).filter(|value| !value.is_empty()),
                "extra-index-url" => found.extra.extend(value.split_whitespace().map(str::to_owned)),
                _ => {}
            }
        }
        found
    }

    /// The keys of `uv.toml` that name an index; the rest of TOML is read over.
    fn of_uv(text: &str) -> Self {
        let mut found = Self::default();
        let (mut address, mut default, mut within) = (None, false, false);
        let mut put = |address: &mut Option<String>, default: &mut bool| {
            if let Some(address) = address.take() {
                if *default {
                    found.main = Some(address);
                } else {
                    found.extra.push(address);
                }
            }
            *default = false;
        };
        let mut main = None;
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                put(&mut address, &mut default);
                within = line.starts_with("[[index]]");
                continue;
            }
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let value = value.split(" #").next().unwrap_or_default().trim();
            let text = value.trim_matches(['"', '\'']).to_owned();
            match (key.trim(), within) {
                ("url", true) => address = Some(text),
                ("default", true) => default = value == "true",
                ("index-url", false) => main = Some(text),
                _ => {}
            }
        }
        put(&mut address, &mut default);
        found.main = found.main.or(main);
        found
    }
}

/// Files with the certificates of authorities that the person added, as variables that the installers know. Each file is
/// looked at, so that no other secret is given away as one: returned are variables, and files that must be granted.
pub(super) fn authorities(
    machine: &Machine,
    variable: Variable<'_>,
    names: &[&str],
) -> (Vec<(String, String)>, Vec<PathBuf>) {
    let (mut variables, mut files) = (Vec::new(), Vec::new());
    for name in names {
        let Some(path) = variable(name).filter(|path| !path.is_empty()) else {
            continue;
        };
        if let Some(real) = certificates(&machine.directory.join(path)) {
            variables.push(((*name).to_owned(), real.display().to_string()));
            files.push(real);
        }
    }
    files.sort();
    files.dedup();
    (variables, files)
}

/// Where this file really is, when it holds certificates and no key.
pub(super) fn certificates(path: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().ok()?;
    let text = text_of(&real);
    (text.contains("-----BEGIN CERTIFICATE") && !text.contains("PRIVATE KEY")).then_some(real)
}

fn text_of(path: &Path) -> String {
    use std::io::Read as _;
    let regular = path.metadata().is_ok_and(|found| found.is_file());
    let mut bytes = Vec::new();
    if let Some(file) = regular.then(|| std::fs::File::open(path).ok()).flatten() {
        // What cannot be read is as if it were not there.
        let _partly = file.take(CAP).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The lines of an `.npmrc`.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim().trim_matches(['"', '\''])))
}

/// `${NAME}` in an `.npmrc`; one that is not set stays, as with npm.
fn expanded(value: &str, variable: Variable<'_>) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, behind)) = rest.split_once("${") {
        let Some((name, after)) = behind.split_once('}') else {
            break;
        };
        out.push_str(before);
        match variable(name.trim_end_matches('?')) {
            Some(value) => out.push_str(&value),
            None if name.ends_with('?') => {}
            None => out.push_str(&format!("${{{name}}}")),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_their_grants() {
        for (text, address, grant, hints) in [
            (
                "https://npm.example.com/",
                "https://npm.example.com/",
                "npm.example.com:443",
                0,
            ),
            (
                "https://NPM.example.com./a/b?c",
                "https://npm.example.com/a/b?c",
                "npm.example.com:443",
                0,
            ),
            (
                "http://localhost:4873",
                "http://localhost:4873/",
                "localhost:4873",
                0,
            ),
            (
                "http://10.0.0.1/simple",
                "http://10.0.0.1/simple",
                "10.0.0.1:80",
                0,
            ),
            (
                "https://u:p@npm.example.com:8443/x/",
                "https://npm.example.com:8443/x/",
                "npm.example.com:8443",
                1,
            ),
        ] {
            let mut told = Vec::new();
            let registry = Registry::parse(text, &mut told).unwrap();
            assert_eq!(registry.address, address);
            assert_eq!(registry.grant.to_string(), grant);
            assert!(registry.grant.internal && told.len() == hints, "{text}");
            assert_eq!(registry.grants().len(), 1);
        }
        for text in [
            "",
            "npm.example.com",
            "ftp://example.com",
            "file:///x",
            "https://[::1]/",
            "https://a b/",
            "https://a:0/",
            "https://${X}/",
            "https://*.example.com/",
            "undefined",
        ] {
            assert!(Registry::parse(text, &mut Vec::new()).is_err(), "{text}");
        }
        let told = Registry::parse("ftp://user:password@example.com/", &mut Vec::new()).unwrap_err();
        assert!(!told.contains("password"), "{told}");
        let public = Registry::parse(PUBLIC_INDEX, &mut Vec::new()).unwrap();
        assert_eq!(public.grants().len(), 2);
    }

    #[test]
    fn what_npm_was_told() {
        let variable = |name: &str| (name == "HOST").then(|| "npm.example.com".to_owned());
        let text = "; a comment\n# another\nregistry = \"https://${HOST}/x/\"\n@corp:registry=https://corp.example.com/\n\
                    //corp.example.com/:_authToken=${TOKEN}\n//h.example.com:8443/a/:_password=x\n//h.example.com/:email=x\n\
                    cafile=/etc/corp.pem\nfund=false\n";
        let found = Npm::of(text, &variable);
        assert_eq!(found.all.as_deref(), Some("https://npm.example.com/x/"));
        assert_eq!(
            found.scoped,
            [("@corp".to_owned(), "https://corp.example.com/".to_owned())]
        );
        assert_eq!(found.secret, ["corp.example.com", "h.example.com"]);
        assert_eq!(found.authorities, Some(PathBuf::from("/etc/corp.pem")));
        assert_eq!(Npm::of("", &variable), Npm::default());
        assert_eq!(
            expanded("a${X}b${Y?}c${HOST}", &variable),
            "a${X}bcnpm.example.com"
        );
    }

    #[test]
    fn what_comes_before_what() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join(".npmrc"),
            "registry=https://file.example.com/\n",
        )
        .unwrap();
        std::fs::create_dir_all(folder.path().join(".config/pip")).unwrap();
        std::fs::create_dir_all(folder.path().join(".config/uv")).unwrap();
        std::fs::write(
            folder.path().join(".config/pip/pip.conf"),
            "[global]\nindex-url = https://pip.example.com/\n",
        )
        .unwrap();
        let machine = Machine {
            path: Vec::new(),
            home: Some(folder.path().to_owned()),
            directory: folder.path().to_owned(),
        };
        let none = |_: &str| None;
        assert_eq!(
            Npm::read(&machine, &none).all.as_deref(),
            Some("https://file.example.com/")
        );
        let set = |name: &str| (name == "NPM_CONFIG_REGISTRY").then(|| "https://set.example.com/".to_owned());
        assert_eq!(
            Npm::read(&machine, &set).all.as_deref(),
            Some("https://set.example.com/")
        );
        assert_eq!(Index::read(&machine, &none).main(), "https://pip.example.com/");
        std::fs::write(
            folder.path().join(".config/uv/uv.toml"),
            "index-url = \"https://uv.example.com/\"\n",
        )
        .unwrap();
        assert_eq!(Index::read(&machine, &none).main(), "https://uv.example.com/");
        let set = |name: &str| (name == "UV_INDEX_URL").then(|| "https://set.example.com/".to_owned());
        assert_eq!(Index::read(&machine, &set).main(), "https://set.example.com/");
    }

    #[test]
    fn what_pip_and_uv_were_told() {
        let pip = Index::of_pip(
            "[global]\nindex-url = https://a.example.com/simple\nextra-index-url =\n    https://b.example.com/s\n    https://c.example.com/s\ntimeout = 3\n",
        );
        assert_eq!(pip.main(), "https://a.example.com/simple");
        assert_eq!(pip.extra, ["https://b.example.com/s", "https://c.example.com/s"]);
        let uv = Index::of_uv(
            "offline = false\n\n[[index]]\nname = \"x\"\nurl = \"https://x.example.com/s\"\n\n[[index]]\nurl = 'https://y.example.com/s' # why\ndefault = true\n\n[pip]\nurl = \"z\"\n",
        );
        assert_eq!(uv.main(), "https://y.example.com/s");
        assert_eq!(uv.extra, ["https://x.example.com/s"]);
        assert_eq!(Index::of_uv("").main(), PUBLIC_INDEX);
    }

    #[test]
    fn certificates_are_told_from_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pem");
        let begin = "-----BEGIN CERTIFICATE-----\n";
        for (text, fine) in [
            (begin.to_owned(), true),
            (format!("{begin}-----BEGIN PRIVATE KEY-----\n"), false),
            ("x".to_owned(), false),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(certificates(&path).is_some(), fine);
        }
        assert_eq!(certificates(folder.path()), None);
    }
}

//! A configuration of puppets: scripted servers whose input and processes a test can look at.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::processes::{self, MARK};
use crate::{binary, http};

/// Scripted servers, and what the gateway is told of them.
#[derive(Debug)]
pub struct Puppets {
    directory: TempDir,
    configuration: Value,
}

impl Default for Puppets {
    fn default() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            configuration: json!({"listen": {"address": "127.0.0.1:0"}, "servers": {}}),
        }
    }
}

impl Puppets {
    /// One puppet with a script.
    #[must_use]
    pub fn one(name: &str, script: &Value) -> Self {
        let mut puppets = Self::default();
        puppets.add(name, script);
        puppets
    }

    /// Adds a puppet.
    pub fn add(&mut self, name: &str, script: &Value) {
        let own = self.own(name);
        std::fs::create_dir_all(&own).unwrap();
        let file = own.join("script.json");
        std::fs::write(&file, script.to_string()).unwrap();
        self.configuration["servers"][name] = json!({
            "command": [binary("mantlet-puppet"), file, self.seen_file(name)],
            "environment": {MARK: self.mark()},
            "sandbox": {"write": [own]},
        });
    }

    /// Adds or changes members of the configuration, at a place such as `/timeouts` or `/servers/a/allow`.
    pub fn set(&mut self, pointer: &str, value: Value) {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        self.configuration.pointer_mut(parent).unwrap()[member] = value;
    }

    /// Takes a server out.
    pub fn remove(&mut self, name: &str) {
        let servers = self.configuration["servers"].as_object_mut().unwrap();
        servers.remove(name).unwrap();
    }

    /// The configuration file's text; JSON is YAML.
    #[must_use]
    pub fn configuration(&self) -> String {
        format!("{}\n", self.configuration)
    }

    /// Where a configuration file for `wrap` is.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        let file = self.directory.path().join("mantlet.yaml");
        std::fs::write(&file, self.configuration()).unwrap();
        file
    }

    /// A directory of the test's own.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The messages that a puppet has got so far.
    #[must_use]
    pub fn seen(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.seen_file(name)).unwrap_or_default();
        text.lines().filter_map(|line| http::parse(line).ok()).collect()
    }

    /// Those of a method.
    #[must_use]
    pub fn seen_of(&self, name: &str, method: &str) -> Vec<Value> {
        let mut seen = self.seen(name);
        seen.retain(|message| message["method"] == method);
        seen
    }

    /// What marks the processes of these puppets and of their descendants.
    #[must_use]
    pub fn mark(&self) -> String {
        self.directory.path().to_string_lossy().into_owned()
    }

    /// These processes.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        processes::marked(&self.mark())
    }

    /// The same, by the numbers that they know themselves by.
    #[must_use]
    pub fn processes_within(&self) -> Vec<u32> {
        processes::marked_within(&self.mark())
    }

    /// The puppets as they are with `sandbox: off`.
    #[must_use]
    pub fn without_cages(mut self) -> Self {
        let servers = self.configuration["servers"].as_object_mut().unwrap();
        for server in servers.values_mut() {
            server["sandbox"] = json!("off");
        }
        self
    }

    fn seen_file(&self, name: &str) -> PathBuf {
        self.own(name).join("seen")
    }

    /// The folder of a puppet, which is all that it is granted.
    fn own(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("puppet-{name}"))
    }
}

impl Drop for Puppets {
    fn drop(&mut self) {
        // A test that fails must not leave anything running either.
        drop(processes::left(&self.mark(), std::time::Duration::ZERO));
    }
}

//! What a server's tools are: their schemas, compiled once per definition, and the table that a call's name is
//! looked up in. A tool that the server does not list cannot be called.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use mantlet_inspect::headers::{Mirror, mirrored};
use mantlet_inspect::schema::Schema;
use mantlet_wire::Raw;

use crate::client::lock;

/// Tools of one server that are kept; the list of a server with more is refused.
pub(crate) const MAX_TOOLS: usize = 10_000;
/// Compiled definitions kept per server, and the bytes of their text.
const MAX_FACTS: usize = 4_096;
const MAX_FACTS_BYTES: usize = 16 * 1024 * 1024;

/// One tool as its definition says.
#[derive(Debug)]
pub(crate) struct ToolFacts {
    pub(crate) name: String,
    pub(crate) input: Result<Schema, String>,
    pub(crate) output: Option<Result<Schema, String>>,
    /// Arguments that are mirrored into HTTP headers, or why the annotations are invalid.
    pub(crate) mirrors: Result<Vec<Mirror>, String>,
}

impl ToolFacts {
    fn read(definition: Raw<'_>) -> Option<Self> {
        let name = definition.get("name").and_then(Raw::text)?.into_owned();
        let input = definition.get("inputSchema").filter(|schema| !schema.is_null());
        let output = definition.get("outputSchema").filter(|schema| !schema.is_null());
        let compile = |schema: Raw<'_>| Schema::compile(schema).map_err(|error| error.to_string());
        Some(Self {
            name,
            input: input.map_or_else(|| Err("the tool has no `inputSchema`".to_owned()), compile),
            output: output.map(compile),
            mirrors: input.map_or_else(
                || Ok(Vec::new()),
                |schema| mirrored(schema).map_err(|error| error.to_string()),
            ),
        })
    }
}

/// Compiled definitions by their exact text, shared by all links to a server.
#[derive(Debug, Default)]
pub(crate) struct FactsCache {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    facts: HashMap<Box<str>, Arc<ToolFacts>>,
    bytes: usize,
}

impl FactsCache {
    /// The facts of a definition; `None` when it has no name.
    pub(crate) fn of(&self, definition: Raw<'_>) -> Option<Arc<ToolFacts>> {
        if let Some(facts) = lock(&self.known).facts.get(definition.as_str()) {
            return Some(Arc::clone(facts));
        }
        let facts = Arc::new(ToolFacts::read(definition)?);
        let text = definition.as_str();
        let mut known = lock(&self.known);
        if known.facts.len() >= MAX_FACTS || known.bytes.saturating_add(text.len()) > MAX_FACTS_BYTES {
            *known = Known::default();
        }
        if text.len() <= MAX_FACTS_BYTES && known.facts.insert(text.into(), Arc::clone(&facts)).is_none() {
            known.bytes = known.bytes.saturating_add(text.len());
        }
        Some(facts)
    }
}

/// The tools seen on one link.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    tools: RwLock<HashMap<String, Arc<ToolFacts>>>,
    /// Names with two definitions: nobody can say which of them a call means.
    ambiguous: RwLock<HashSet<String>>,
    listed: Mutex<Option<Instant>>,
    /// One whole listing at a time.
    pub(crate) listing: tokio::sync::Mutex<()>,
}

impl Catalog {
    pub(crate) fn tool(&self, name: &str) -> Option<Arc<ToolFacts>> {
        self.tools
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// Whether the server listed this name with two different definitions.
    pub(crate) fn is_ambiguous(&self, name: &str) -> bool {
        self.ambiguous
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(name)
    }

    pub(crate) fn tools(&self) -> Vec<Arc<ToolFacts>> {
        self.tools
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Takes in one page that passed by.
    pub(crate) fn learn(&self, facts: &[Arc<ToolFacts>]) {
        let mut twice = self.ambiguous.write().unwrap_or_else(PoisonError::into_inner);
        let mut tools = self.tools.write().unwrap_or_else(PoisonError::into_inner);
        for tool in facts {
            if tools.len() < MAX_TOOLS || tools.contains_key(&tool.name) {
                tools.insert(tool.name.clone(), Arc::clone(tool));
            }
        }
        // Only what is in the table can be called.
        let named_twice = ambiguous(facts).into_iter();
        twice.extend(named_twice.filter(|name| tools.contains_key(name)));
    }

    /// Replaces everything: the server was listed from the first page to the last, and has no more than `MAX_TOOLS`.
    pub(crate) fn replace(&self, facts: Vec<Arc<ToolFacts>>, now: Instant) {
        *self.ambiguous.write().unwrap_or_else(PoisonError::into_inner) = ambiguous(&facts);
        let fresh = facts.into_iter().map(|tool| (tool.name.clone(), tool)).collect();
        *self.tools.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        *lock(&self.listed) = Some(now);
    }

    /// The server said that its list changed: nothing that was seen counts any more.
    pub(crate) fn forget(&self) {
        self.tools.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.ambiguous
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        *lock(&self.listed) = None;
    }

    /// When the whole list was last read; `None` when it never was or has changed since.
    pub(crate) fn listed_at(&self) -> Option<Instant> {
        *lock(&self.listed)
    }
}

/// Names that come more than once, not always with the same definition.
fn ambiguous(facts: &[Arc<ToolFacts>]) -> HashSet<String> {
    let mut first: HashMap<&str, &Arc<ToolFacts>> = HashMap::new();
    let twice = facts.iter().filter(|tool| {
        let before = *first.entry(&tool.name).or_insert(tool);
        // The same definition gives the same facts.
        !Arc::ptr_eq(before, tool)
    });
    twice.map(|tool| tool.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::json;

    #[test]
    fn compiled_definitions_are_bounded_by_the_bytes_of_their_text() {
        let cache = FactsCache::default();
        for number in 0..40 {
            let pad = "x".repeat(MAX_FACTS_BYTES / 16);
            let tool = serde_json::json!({"name": format!("t{number}"), "description": pad, "inputSchema": {"type": "object"}});
            assert!(cache.of(json(&tool).raw()).is_some());
        }
        let known = lock(&cache.known);
        assert!(known.bytes <= MAX_FACTS_BYTES && !known.facts.is_empty());
        let text: usize = known.facts.keys().map(|text| text.len()).sum();
        assert_eq!(known.bytes, text);
    }
}

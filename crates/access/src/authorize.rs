//! Decisions, by Cedar. Default deny; a refusal beats a permission; a policy that errs refuses. One evaluation
//! gives the verdict and its reasons together.

use std::collections::{HashMap, HashSet};
use std::str::FromStr as _;
use std::sync::{Mutex, PoisonError};

use cedar_policy::{
    Authorizer as Engine, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId,
    PolicySet, Request, RestrictedExpression, Schema, ValidationMode, Validator,
};

use crate::cedar_text::{SCHEMA, ServerRules, policies};
use crate::identity::{Caller, Means};
use crate::spelling;

/// What a caller wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the protocol's operations")]
pub enum Action {
    CallTool,
    Complete,
    Elicit,
    GetPrompt,
    ListPrompts,
    ListResources,
    ListRoots,
    ListTools,
    /// A method that the specification does not know.
    Other,
    ReadResource,
    Sample,
    SubscribeResource,
    /// What needs no more than that the server may be used: handshake, ping, log level, cancelling.
    UseServer,
    UseTask,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::CallTool => "CallTool",
            Self::Complete => "Complete",
            Self::Elicit => "Elicit",
            Self::GetPrompt => "GetPrompt",
            Self::ListPrompts => "ListPrompts",
            Self::ListResources => "ListResources",
            Self::ListRoots => "ListRoots",
            Self::ListTools => "ListTools",
            Self::Other => "Other",
            Self::ReadResource => "ReadResource",
            Self::Sample => "Sample",
            Self::SubscribeResource => "SubscribeResource",
            Self::UseServer => "UseServer",
            Self::UseTask => "UseTask",
        }
    }
}

/// What it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Item<'a> {
    /// The server itself.
    Server,
    /// A tool, by the server's own name for it.
    Tool(&'a str),
    /// A resource, by URI.
    Resource(&'a str),
    /// A prompt, by name.
    Prompt(&'a str),
    /// A method beyond the specification.
    Method(&'a str),
}

/// One question to the policy.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// What for.
    pub action: Action,
    /// On which server.
    pub server: &'a str,
    /// On what of it.
    pub item: Item<'a>,
}

/// The answer, with what decided it.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Permitted.
    Allow {
        /// By these policies.
        policies: Vec<String>,
    },
    /// Refused.
    Refuse {
        /// By these policies; by none when nothing permits it.
        policies: Vec<String>,
        /// What went wrong while deciding.
        errors: Vec<String>,
    },
}

/// The policies could not be built.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(String);

/// The longest name that is decided on.
const MAX_NAME: usize = 8 * 1024;
/// Verdicts kept: a verdict depends on nothing but its question, until the policies are built anew.
const MAX_KNOWN: usize = 4_096;

type Known = (Means, String, Action, Box<str>, u8, Box<str>);

/// The policies of all servers, each with its own set, so that a decision does not grow with their number.
pub struct Authorizer {
    engine: Engine,
    sets: HashMap<String, PolicySet>,
    names: Names,
    known: Mutex<HashMap<Known, Verdict>>,
    text: String,
}

impl std::fmt::Debug for Authorizer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Authorizer")
            .field("servers", &self.sets.len())
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Names {
    caller: EntityTypeName,
    server: EntityTypeName,
    tool: EntityTypeName,
    resource: EntityTypeName,
    prompt: EntityTypeName,
    method: EntityTypeName,
    action: EntityTypeName,
}

impl Names {
    fn new() -> Result<Self, PolicyError> {
        let name =
            |text: &str| EntityTypeName::from_str(text).map_err(|error| PolicyError(error.to_string()));
        Ok(Self {
            caller: name("Caller")?,
            server: name("Server")?,
            tool: name("Tool")?,
            resource: name("Resource")?,
            prompt: name("Prompt")?,
            method: name("Method")?,
            action: name("Action")?,
        })
    }
}

impl Authorizer {
    /// Builds the policies and validates them against the schema.
    ///
    /// # Errors
    /// A list makes no valid policy.
    pub fn new(rules: &[ServerRules]) -> Result<Self, PolicyError> {
        let fail = |error: &dyn std::fmt::Display| PolicyError(error.to_string());
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|error| fail(&error))?;
        let validator = Validator::new(schema);
        let (mut sets, mut all) = (HashMap::new(), String::new());
        for rules in rules {
            let text = policies(rules);
            let parsed = PolicySet::from_str(&text).map_err(|error| fail(&error))?;
            let result = validator.validate(&parsed, ValidationMode::Strict);
            if let Some(error) = result.validation_errors().next() {
                return Err(fail(&error));
            }
            all.push_str(&text);
            sets.insert(rules.name.clone(), named(&parsed)?);
        }
        Ok(Self {
            engine: Engine::new(),
            sets,
            names: Names::new()?,
            known: Mutex::default(),
            text: all,
        })
    }

    /// The policies as Cedar text.
    #[must_use]
    pub fn cedar(&self) -> &str {
        &self.text
    }

    /// The schema of the policies.
    #[must_use]
    pub fn schema(&self) -> &str {
        SCHEMA
    }

    /// Decides.
    pub fn decide(&self, question: &Question<'_>) -> Verdict {
        let key = key(question);
        if let Some(verdict) = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return verdict.clone();
        }
        let verdict = self.judge(question).unwrap_or_else(|error| Verdict::Refuse {
            policies: Vec::new(),
            errors: vec![error],
        });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(key, verdict.clone());
        verdict
    }

    /// INVARIANT: what a policy refuses is refused in every spelling; a permission counts for its own only.
    fn judge(&self, question: &Question<'_>) -> Result<Verdict, String> {
        let verdict = self.evaluate(question)?;
        if let (Verdict::Allow { .. }, Item::Resource(uri)) = (&verdict, question.item) {
            for spelling in spelling::others(uri) {
                let other = Question {
                    item: Item::Resource(&spelling),
                    ..*question
                };
                match self.evaluate(&other)? {
                    Verdict::Refuse { policies, errors } if !policies.is_empty() || !errors.is_empty() => {
                        return Ok(Verdict::Refuse { policies, errors });
                    }
                    // Permitted, or named by no policy: that is for the URI as it is written to settle.
                    Verdict::Allow { .. } | Verdict::Refuse { .. } => {}
                }
            }
        }
        Ok(verdict)
    }

    fn evaluate(&self, question: &Question<'_>) -> Result<Verdict, String> {
        let Some(set) = self.sets.get(question.server) else {
            return Err(format!("server `{}` has no policies", question.server));
        };
        let (kind, name) = item(question.item);
        if name.is_some_and(|name| name.len() > MAX_NAME) {
            return Err(format!("the name is longer than {MAX_NAME} bytes"));
        }
        let server = uid(&self.names.server, question.server);
        let resource = match (kind, name) {
            (0, _) | (_, None) => server.clone(),
            (1, Some(name)) => uid(&self.names.tool, name),
            (2, Some(name)) => uid(&self.names.resource, name),
            (3, Some(name)) => uid(&self.names.prompt, name),
            (_, Some(name)) => uid(&self.names.method, name),
        };
        let principal = uid(&self.names.caller, &question.caller.key());
        let action = uid(&self.names.action, question.action.name());
        let entities = self.entities(question, &principal, &server, &resource, name)?;
        let request = Request::new(principal, action, resource, Context::empty(), None)
            .map_err(|error| error.to_string())?;
        let response = self.engine.is_authorized(&request, set, &entities);
        let mut policies: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        policies.sort();
        let errors: Vec<String> = response.diagnostics().errors().map(ToString::to_string).collect();
        // A policy that errs is left out by Cedar; it might have been the one that refuses.
        Ok(if response.decision() == Decision::Allow && errors.is_empty() {
            Verdict::Allow { policies }
        } else {
            Verdict::Refuse { policies, errors }
        })
    }

    fn entities(
        &self,
        question: &Question<'_>,
        principal: &EntityUid,
        server: &EntityUid,
        resource: &EntityUid,
        name: Option<&str>,
    ) -> Result<Entities, String> {
        let owner = RestrictedExpression::new_bool(question.caller.is_owner());
        let caller = Entity::new(
            principal.clone(),
            HashMap::from([("owner".to_owned(), owner)]),
            HashSet::new(),
        )
        .map_err(|error| error.to_string())?;
        let mut all = vec![caller, Entity::new_no_attrs(server.clone(), HashSet::new())];
        if let Some(name) = name.filter(|_| resource != server) {
            let name = RestrictedExpression::new_string(name.to_owned());
            let attributes = HashMap::from([("name".to_owned(), name)]);
            let parents = HashSet::from([server.clone()]);
            all.push(Entity::new(resource.clone(), attributes, parents).map_err(|error| error.to_string())?);
        }
        Entities::from_entities(all, None).map_err(|error| error.to_string())
    }
}

/// Names come from outside: they become entity ids as they are, never by being parsed.
fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn item<'a>(item: Item<'a>) -> (u8, Option<&'a str>) {
    match item {
        Item::Server => (0, None),
        Item::Tool(name) => (1, Some(name)),
        Item::Resource(name) => (2, Some(name)),
        Item::Prompt(name) => (3, Some(name)),
        Item::Method(name) => (4, Some(name)),
    }
}

fn key(question: &Question<'_>) -> Known {
    let (kind, name) = item(question.item);
    let caller = question.caller;
    (
        caller.means,
        caller.subject.clone(),
        question.action,
        question.server.into(),
        kind,
        name.unwrap_or_default().into(),
    )
}

/// The same policies under their `@id`s, which are what the log names.
fn named(parsed: &PolicySet) -> Result<PolicySet, PolicyError> {
    let mut set = PolicySet::new();
    for policy in parsed.policies() {
        let id = policy.annotation("id").unwrap_or_default();
        set.add(policy.new_id(PolicyId::new(id)))
            .map_err(|error| PolicyError(error.to_string()))?;
    }
    Ok(set)
}

//! Decision tests as data: each file of `tests/decisions` has rules and questions with their verdicts.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use mantlet_access::{Action, Authorizer, Caller, Item, Lists, Means, Question, ServerRules, Verdict};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rules: Vec<Rules>,
    questions: Vec<Asked>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    server: String,
    allow: Option<Set>,
    #[serde(default)]
    refuse: Set,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Set {
    tools: Vec<String>,
    resources: Vec<String>,
    prompts: Vec<String>,
    methods: Vec<String>,
    asks: Vec<String>,
}

impl From<Set> for Lists {
    fn from(set: Set) -> Self {
        Self {
            tools: set.tools,
            resources: set.resources,
            prompts: set.prompts,
            methods: set.methods,
            asks: set.asks,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    who: String,
    action: String,
    server: String,
    name: Option<String>,
    verdict: String,
    by: Option<Vec<String>>,
}

fn action(name: &str) -> Action {
    match name {
        "CallTool" => Action::CallTool,
        "Complete" => Action::Complete,
        "Elicit" => Action::Elicit,
        "GetPrompt" => Action::GetPrompt,
        "ListPrompts" => Action::ListPrompts,
        "ListResources" => Action::ListResources,
        "ListRoots" => Action::ListRoots,
        "ListTools" => Action::ListTools,
        "Other" => Action::Other,
        "ReadResource" => Action::ReadResource,
        "Sample" => Action::Sample,
        "SubscribeResource" => Action::SubscribeResource,
        "UseServer" => Action::UseServer,
        "UseTask" => Action::UseTask,
        other => panic!("unknown action {other}"),
    }
}

fn caller(who: &str) -> Caller {
    let means = match who {
        "user" => Means::LocalUser,
        "token" => Means::Token,
        "anonymous" => Means::Anonymous,
        other => panic!("unknown caller {other}"),
    };
    Caller {
        means,
        subject: "test".to_owned(),
    }
}

#[test]
fn every_decision_is_as_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/decisions");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let file: File =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        check(&path.display().to_string(), file);
        files += 1;
    }
    assert!(files >= 5, "the decision tests were not found");
}

fn check(path: &str, file: File) {
    let rules: Vec<ServerRules> = file
        .rules
        .into_iter()
        .map(|rules| ServerRules {
            name: rules.server,
            allow: rules.allow.map(Lists::from),
            refuse: rules.refuse.into(),
        })
        .collect();
    let authorizer = Authorizer::new(&rules).unwrap();
    for asked in file.questions {
        let (caller, action) = (caller(&asked.who), action(&asked.action));
        let name = asked.name.as_deref();
        let item = match (action, name) {
            (_, None) => Item::Server,
            (Action::CallTool, Some(name)) => Item::Tool(name),
            (Action::ReadResource | Action::SubscribeResource, Some(name)) => Item::Resource(name),
            (Action::Other, Some(name)) => Item::Method(name),
            (_, Some(name)) => Item::Prompt(name),
        };
        let question = Question {
            caller: &caller,
            action,
            server: &asked.server,
            item,
        };
        // Twice: the second time out of the memory of verdicts.
        for _ in 0..2 {
            let (verdict, policies) = match authorizer.decide(&question) {
                Verdict::Allow { policies } => ("allow", policies),
                Verdict::Refuse { policies, .. } => ("refuse", policies),
            };
            assert_eq!(verdict, asked.verdict, "{path}: {question:?}");
            if let Some(by) = &asked.by {
                assert_eq!(&policies, by, "{path}: {question:?}");
            }
        }
    }
}

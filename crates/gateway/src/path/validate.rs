//! Stage: validate. Tool arguments against the schema that the server published, mirrored headers against the
//! arguments, resource URIs against tricks. A tool that the server does not list cannot be called.

mod uri;

use std::ops::Deref;
use std::sync::Arc;

use mantlet_inspect::headers::matches;
use mantlet_wire::{Json, Kind, Message, Raw, Shape};

use super::authorise::Granted;
use super::decode::Face;
use super::route::Target;
use crate::refusal::{Reason, Refusal};
use crate::trail::Trail;
use crate::upstream::catalog::ToolFacts;
use crate::{Gateway, links};

/// A message whose contents are what they should be.
#[derive(Debug)]
pub(crate) struct Valid {
    granted: Granted,
    tool: Option<Arc<ToolFacts>>,
    /// The message as it goes on, where it is not as it came.
    mended: Option<Message>,
}

impl Deref for Valid {
    type Target = Granted;

    fn deref(&self) -> &Granted {
        &self.granted
    }
}

impl Valid {
    /// The definition of the tool that is called.
    pub(crate) fn tool(&self) -> Option<&Arc<ToolFacts>> {
        self.tool.as_ref()
    }

    /// The message that is forwarded: the one that was found valid.
    pub(crate) fn message(&self) -> &Message {
        self.mended.as_ref().unwrap_or_else(|| self.granted.message())
    }
}

/// Validates.
pub(crate) async fn arguments(
    gateway: &Arc<Gateway>,
    granted: Granted,
    trail: &mut Trail,
) -> Result<Valid, Refusal> {
    trail.enter("validate");
    let mut valid = Valid {
        granted,
        tool: None,
        mended: None,
    };
    if valid.message().kind() != Kind::Request {
        return Ok(valid);
    }
    match (valid.target(), valid.message().method()) {
        (Target::Tool(name), _) => {
            let (tool, mended) = call(gateway, &valid.granted, name).await?;
            (valid.tool, valid.mended) = (Some(tool), mended);
        }
        (Target::Resource(uri), Some("completion/complete")) => uri::printable(uri)?,
        (Target::Resource(uri), _) => uri::resource(uri)?,
        (Target::Prompt(_), Some("prompts/get")) => prompt(valid.message().params())?,
        _ => {}
    }
    Ok(valid)
}

async fn call(
    gateway: &Arc<Gateway>,
    granted: &Granted,
    name: &str,
) -> Result<(Arc<ToolFacts>, Option<Message>), Refusal> {
    let Some(server) = granted.server() else {
        return Err(Refusal::new(Reason::Internal, "the call has no server"));
    };
    let tool = links::tool(gateway, granted.client(), server, name).await?;
    let none = Json::from_value(&serde_json::json!({}));
    let given = granted
        .message()
        .params()
        .and_then(|params| params.get("arguments"));
    let arguments = given
        .filter(|value| !value.is_null())
        .unwrap_or_else(|| none.raw());
    if !matches!(arguments.shape(), Shape::Object) {
        return Err(Refusal::new(
            Reason::InvalidParams,
            "`arguments` must be an object",
        ));
    }
    if granted.face() == Face::Modern
        && let Some(head) = granted.via().head()
    {
        mirrored(&tool, &head.parameters, arguments)?;
    }
    let schema = tool.input.as_ref().map_err(|why| {
        Refusal::new(
            Reason::SchemaUnusable,
            "the server's schema for this tool cannot be used, so its arguments cannot be checked: do not call it",
        )
        .because(why.clone())
    })?;
    let Err(violations) = schema.check(arguments) else {
        return Ok((tool, None));
    };
    let mended = without_nulls(arguments).filter(|mended| schema.check(mended.raw()).is_ok());
    let mended = mended.map(|mended| {
        let mut edit = granted.message().edit();
        edit.replace(arguments, &mended);
        edit.finish()
    });
    match mended {
        Some(message) => Ok((tool, Some(message))),
        None => Err(Refusal::new(Reason::InvalidArguments, violations.to_string())),
    }
}

/// A model that is made to fill in every argument sends `null` for those that it has nothing for. Where the schema has
/// no `null`, such an argument is left out, as it was meant; so what is forwarded is what was checked.
fn without_nulls(arguments: Raw<'_>) -> Option<Json> {
    let nulls: Vec<_> = arguments.members().filter(|(_, value)| value.is_null()).collect();
    if nulls.is_empty() {
        return None;
    }
    let whole = arguments.to_json();
    let mut edit = whole.edit();
    for (name, _) in &nulls {
        edit.remove(whole.raw(), name);
    }
    Some(edit.finish())
}

/// MCP 2026-07-28 streamable-http §Custom Headers: a recognised `Mcp-Param-*` header equals its argument, and is
/// there when the argument is. Headers that the tool does not know pass unread.
fn mirrored(tool: &ToolFacts, headers: &[(String, String)], arguments: Raw<'_>) -> Result<(), Refusal> {
    let Ok(mirrors) = &tool.mirrors else { return Ok(()) };
    for mirror in mirrors {
        let path: Vec<&str> = mirror.path.iter().map(String::as_str).collect();
        let value = arguments.pointer(&path).filter(|value| !value.is_null());
        let header = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(&mirror.header))
            .map(|(_, value)| value);
        let wrong = |what: &str| {
            Err(Refusal::new(
                Reason::HeaderMismatch,
                format!(
                    "the header `Mcp-Param-{}` {what}: mirror the argument exactly",
                    mirror.header
                ),
            ))
        };
        match (header, value) {
            (None, None) => {}
            (Some(header), Some(value)) if matches(header, value, mirror.kind) => {}
            (Some(_), Some(_)) => return wrong("says something else than the argument"),
            (Some(_), None) => return wrong("is there without its argument"),
            (None, Some(_)) => return wrong("is missing"),
        }
    }
    Ok(())
}

fn prompt(params: Option<Raw<'_>>) -> Result<(), Refusal> {
    let arguments = params
        .and_then(|params| params.get("arguments"))
        .filter(|value| !value.is_null());
    let Some(arguments) = arguments else { return Ok(()) };
    let texts = matches!(arguments.shape(), Shape::Object)
        && arguments
            .members()
            .all(|(_, value)| matches!(value.shape(), Shape::Text));
    if texts {
        Ok(())
    } else {
        Err(Refusal::new(
            Reason::InvalidParams,
            "`arguments` of a prompt must be an object of texts",
        ))
    }
}

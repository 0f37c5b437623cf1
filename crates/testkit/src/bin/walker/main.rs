//! Walks through everything an MCP server offers with the official Rust SDK and prints what it saw as JSON. The one
//! argument is the walk as JSON: the same as `tests/peers/walk.py` takes, with the same answers to questions.

#![expect(
    deprecated,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a driver of tests: it starts servers, prints, and the old features must be walked as well"
)]

use std::future::Future;

use anyhow::{Context as _, Result};
use rmcp::model::{
    CallToolRequestParams, ClientConfig, CreateMessageRequestParams, CreateMessageResult,
    ElicitRequestParams, ElicitResult, ErrorData, GetPromptRequestParams, ListRootsResult, ProtocolVersion,
    ReadResourceRequestParams,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt as _, RequestContext, RoleClient, RunningService, ServiceError,
};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientHandler, Peer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

struct Walker {
    root: Value,
}

impl ClientHandler for Walker {
    async fn create_message(
        &self,
        _params: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        made(json!({
            "role": "assistant", "content": {"type": "text", "text": "sampled"},
            "model": "none", "stopReason": "endTurn",
        }))
    }

    async fn create_elicitation(
        &self,
        _params: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        made(json!({"action": "decline"}))
    }

    async fn list_roots(&self, _context: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        made(json!({"roots": [{"uri": self.root, "name": "walk"}]}))
    }

    fn get_info(&self) -> ClientConfig {
        let capabilities = made(json!({"sampling": {}, "elicitation": {}, "roots": {}}));
        ClientConfig::new(
            capabilities.unwrap_or_default(),
            rmcp::model::Implementation::new("walk", "1.0.0"),
        )
    }
}

fn made<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

type Client = RunningService<RoleClient, Walker>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let text = std::env::args().nth(1).context("the walk is missing")?;
    let task: Value = serde_json::from_str(&text)?;
    let client = connect(&task).await?;
    let seen = walk(&client, &task).await?;
    client.cancel().await?;
    println!("\n{seen}");
    Ok(())
}

async fn connect(task: &Value) -> Result<Client> {
    let walker = Walker {
        root: member(task, "root").clone(),
    };
    let lifecycle = match member(task, "era").as_str() {
        Some("legacy") => ClientLifecycleMode::Initialize,
        Some("modern") => ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        },
        _ => ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: None,
        },
    };
    if let Some(url) = member(task, "url").as_str() {
        let mut config = StreamableHttpClientTransportConfig::with_uri(url);
        if let Some(token) = member(task, "token").as_str() {
            config = config.auth_header(token);
        }
        let transport = StreamableHttpClientTransport::from_config(config);
        return Ok(walker.serve_with_lifecycle(transport, lifecycle).await?);
    }
    let words: Vec<String> = serde_json::from_value(member(task, "command").clone())?;
    let (program, arguments) = words.split_first().context("the command is empty")?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments);
    for (name, value) in member(task, "environment").as_object().into_iter().flatten() {
        command.env(name, value.as_str().unwrap_or_default());
    }
    let transport = TokioChildProcess::new(command)?;
    Ok(walker.serve_with_lifecycle(transport, lifecycle).await?)
}

async fn walk(client: &Client, task: &Value) -> Result<Value> {
    let peer: &Peer<RoleClient> = client;
    let version = peer.peer_info().map(|info| info.protocol_version.to_string());
    let resources = seen(peer.list_all_resources()).await;
    let mut all = json!({
        "version": version,
        "tools": seen(peer.list_all_tools()).await,
        "prompts": seen(peer.list_all_prompts()).await,
        "templates": seen(peer.list_all_resource_templates()).await,
    });
    let calls = each(member(task, "calls"), async |call| {
        let params = json!({"name": member(call, "tool"), "arguments": member(call, "arguments")});
        Ok(seen(client.call_tool(serde_json::from_value::<CallToolRequestParams>(params)?)).await)
    });
    let calls = calls.await?;
    let gets = each(member(task, "prompts"), async |prompt| {
        Ok(seen(client.get_prompt(serde_json::from_value::<GetPromptRequestParams>(prompt.clone())?)).await)
    });
    let gets = gets.await?;
    let read = async |uri: &Value| {
        let params = serde_json::from_value::<ReadResourceRequestParams>(json!({"uri": uri}))?;
        Ok(seen(client.read_resource(params)).await)
    };
    let reads = each(member(task, "reads"), read).await?;
    let mut put = |name: &str, value: Value| {
        if let Some(all) = all.as_object_mut() {
            all.insert(name.to_owned(), value);
        }
    };
    if *member(task, "read_all") == true && resources.is_array() {
        let uris: Value = resources
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| member(one, "uri").clone())
            .collect();
        put("all", each(&uris, read).await?);
    }
    put("resources", resources);
    put("calls", calls);
    put("gets", gets);
    put("reads", reads);
    Ok(all)
}

/// One after the other, as they are given.
async fn each(list: &Value, act: impl AsyncFn(&Value) -> Result<Value>) -> Result<Value> {
    let mut found = Vec::new();
    for item in list.as_array().into_iter().flatten() {
        found.push(act(item).await?);
    }
    Ok(found.into())
}

/// What came back, or the error's code and message.
async fn seen<T: Serialize>(asked: impl Future<Output = Result<T, ServiceError>>) -> Value {
    match asked.await {
        Ok(value) => serde_json::to_value(value).unwrap_or_default(),
        Err(ServiceError::McpError(error)) => json!({"error": error.code.0, "message": error.message}),
        Err(error) => json!({"error": null, "message": error.to_string()}),
    }
}

fn member<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&Value::Null)
}

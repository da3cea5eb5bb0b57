//! AI-API: its configuration, and how it is started.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Setup;
use crate::cli::Log;
use crate::fake::Endpoint;

/// The key that clients send: one that the gateway has issued, so that whatever hangs on it is part of what is measured.
pub(crate) const CLIENT_KEY: &str = "sk-bench-0123456789abcdef";
/// The key that issues it.
pub(crate) const MASTER_KEY: &str = "sk-bench-master-0123456789abcdef";

/// How long the gateway may take to issue a key.
const PATIENCE: Duration = Duration::from_secs(10);

/// The model that clients ask for to get to an endpoint.
pub(crate) fn model_of(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::OpenAiChat | Endpoint::Denied => "native",
        Endpoint::OpenAiEmbeddings => "embeddings",
        Endpoint::Anthropic => "anthropic",
        Endpoint::Gemini => "gemini",
    }
}

/// What the binary calls itself.
pub(crate) fn version(binary: &Path) -> Result<String> {
    let output = Command::new(binary).arg("--version").output();
    let output = output.with_context(|| format!("{} can't be run", binary.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub(super) fn command(setup: &Setup, address: SocketAddr, cache: &str) -> Result<Command> {
    let file = setup.folder.join("ai-api.yml");
    fs::write(&file, config(setup.fake)).with_context(|| format!("{} can't be written", file.display()))?;
    let mut command = Command::new(&setup.gateway);
    command.arg("--config").arg(&file);
    command.args(["--host", "127.0.0.1", "--port", &address.port().to_string()]);
    // Nothing of who runs this: no proxies, no keys of providers.
    command.env_clear().env("AI_API_CACHE_DIR", setup.folder.join(cache));
    if setup.log == Log::Off {
        command.env("LITELLM_LOG", "WARNING");
    }
    let (out, err) = match setup.log {
        Log::Off | Log::Null => (Stdio::null(), Stdio::null()),
        Log::File => {
            let log = fs::File::create(setup.folder.join("ai-api.log"))?;
            (log.try_clone()?.into(), log.into())
        }
    };
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    Ok(command)
}

/// Has the clients' key issued, with every limit there is, none of which is ever reached. One that an earlier start has
/// issued is still there.
pub(super) fn issue_key(address: SocketAddr) -> Result<()> {
    let body = format!(
        "{{\"key\": \"{CLIENT_KEY}\", \"key_alias\": \"bench\", \"rpm_limit\": 1000000000, \"tpm_limit\": 1000000000000, \
         \"max_parallel_requests\": 1000000, \"max_budget\": 1000000, \"budget_duration\": \"30d\"}}"
    );
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    write!(
        connection,
        "POST /key/generate HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {MASTER_KEY}\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let is_known = answer.contains("already exists");
    ensure!(answer.starts_with("HTTP/1.1 200") || is_known, "the gateway issues no key: {answer}");
    Ok(())
}

fn config(fake: SocketAddr) -> String {
    format!(
        "model_list:
  - {{model_name: native, litellm_params: {{model: openai/gpt-4o-mini, api_base: \"http://{fake}/v1\", api_key: sk-fake}}}}
  - {{model_name: embeddings, litellm_params: {{model: openai/text-embedding-3-small, api_base: \"http://{fake}/v1\", api_key: sk-fake}}}}
  - {{model_name: anthropic, litellm_params: {{model: anthropic/claude-sonnet-4-6, api_base: \"http://{fake}\", api_key: sk-fake}}}}
  - {{model_name: gemini, litellm_params: {{model: gemini/gemini-2.5-flash, api_base: \"http://{fake}/v1beta\", api_key: sk-fake}}}}
general_settings: {{master_key: {MASTER_KEY}}}
"
    )
}

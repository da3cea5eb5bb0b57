//! A gateway in memory: its configuration, and a connection to it that is no socket.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ai_api::api::Gateway;
use ai_api::auth::Authenticator;
use ai_api::config::{self, Config, Environment, Loaded, Origin};
use ai_api::pipeline::Pipeline;
use ai_api::plugin::Registry;
use ai_api::reload::{ConfigStatus, Live, State};
use ai_api::upstream::Upstream;
use anyhow::Context;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// What clients show.
pub const MASTER_KEY: &str = "sk-master-4f9c1d7e2b";
/// What providers are shown.
pub const PROVIDER_KEY: &str = "sk-provider-0a1b2c3d4e5f6a7b8c9d";

/// A configuration whose providers are at `upstream`, an origin.
///
/// # Errors
/// The temporary folder can't be written to.
pub fn configuration(upstream: &str) -> anyhow::Result<Loaded> {
    let text = format!(
        "model_list:
  - model_name: native
    litellm_params: {{model: openai/gpt-4o, api_base: '{upstream}/openai/v1', api_key: {PROVIDER_KEY}}}
  - model_name: anthropic
    litellm_params: {{model: anthropic/claude-sonnet-4-5, api_base: '{upstream}/anthropic', api_key: {PROVIDER_KEY}}}
  - model_name: gemini
    litellm_params: {{model: gemini/gemini-2.5-flash, api_base: '{upstream}/gemini', api_key: {PROVIDER_KEY}}}
  - model_name: signed
    litellm_params:
      {{model: bedrock/anthropic.claude-sonnet-4-5, aws_access_key_id: AKIDEXAMPLEAKIDEXAMP, aws_region_name: us-east-1,
      aws_secret_access_key: {PROVIDER_KEY}}}
  - model_name: canned
    litellm_params: {{model: openai/gpt-4o, api_key: {PROVIDER_KEY}, mock_response: Because of the air}}
  - model_name: 'groq/*'
    litellm_params: {{model: 'groq/*', api_key: {PROVIDER_KEY}}}
  - model_name: '*'
    litellm_params: {{model: 'openai/*', api_key: {PROVIDER_KEY}}}
general_settings: {{master_key: {MASTER_KEY}}}
"
    );
    let file = TemporaryFile::new(&text)?;
    Ok(config::load(Origin::File(file.0.clone()), &Environment::default())?)
}

/// A gateway without plugins: nothing is compiled for it. It serves what needs no provider.
///
/// # Errors
/// The configuration can't be loaded.
pub fn gateway_without_plugins() -> anyhow::Result<Arc<Gateway>> {
    let Loaded { config, .. } = configuration("http://127.0.0.1:9")?;
    Ok(Arc::new(Gateway { live: Arc::new(Live::still(state(config)?)), health: Arc::default() }))
}

fn state(config: Config) -> anyhow::Result<State> {
    Ok(State {
        authenticator: Authenticator::new(&config.general),
        pipeline: Arc::new(Pipeline::new(
            config,
            Registry::default(),
            Upstream::new(std::time::Duration::from_secs(10))?,
        )),
        plugins: Vec::new(),
        folder: None,
        config: ConfigStatus { loaded_at: SystemTime::UNIX_EPOCH, files: Vec::new(), error: None },
    })
}

/// A file that is removed when it has been read.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(text: &str) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("ai-api-bench-stages-{}.yml", std::process::id()));
        std::fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A runtime that does everything on the calling thread.
///
/// # Errors
/// The system gives none.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// A client's connection that is kept open, with the gateway at its other end.
#[derive(Debug)]
pub struct Connection {
    client: DuplexStream,
    answer: Vec<u8>,
}

impl Connection {
    /// Connects; within a runtime, whose tasks serve it. HTTP is spoken as `api::server` speaks it.
    pub fn open(gateway: Arc<Gateway>) -> Self {
        let (client, server) = tokio::io::duplex(1 << 20);
        let mut protocol = http1::Builder::new();
        protocol.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(120)).max_buf_size(64 << 10);
        let service = service_fn(move |request| {
            let gateway = Arc::clone(&gateway);
            async move { Ok::<_, Infallible>(gateway.answer_one(request).await) }
        });
        tokio::spawn(protocol.serve_connection(TokioIo::new(server), service));
        Self { client, answer: Vec::new() }
    }

    /// Sends a request and reads its answer to the end; returns the answer's status line.
    ///
    /// # Errors
    /// The gateway closed the connection.
    pub async fn ask(&mut self, request: &[u8]) -> anyhow::Result<&str> {
        self.client.write_all(request).await?;
        self.answer.clear();
        while !is_whole(&self.answer) {
            anyhow::ensure!(self.client.read_buf(&mut self.answer).await? > 0, "the gateway hung up");
        }
        let line = self.answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
        Ok(std::str::from_utf8(line)?)
    }
}

/// Whether an answer is here to its end, by its length or by its last chunk.
fn is_whole(answer: &[u8]) -> bool {
    if answer.ends_with(b"\r\n0\r\n\r\n") {
        return true;
    }
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = std::str::from_utf8(answer.get(..end).unwrap_or_default()).unwrap_or_default();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= end + 4 + length)
}

/// A client's request, byte by byte as it comes.
pub fn request(method: &str, path: &str, key: &str, body: &[u8]) -> Vec<u8> {
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: gateway:4000\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         accept: application/json\r\nuser-agent: OpenAI/Python 1.99.9\r\nx-stainless-lang: python\r\n{length}\r\n"
    );
    [head.as_bytes(), body].concat()
}

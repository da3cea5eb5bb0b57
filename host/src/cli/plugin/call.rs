//! `ai-api plugin call`: one request through a plugin, and its provider's answer back.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::canonical::{Edits, RequestBody};
use crate::cli::paint::Paint;
use crate::config::Environment;
use crate::plugin::Manifest;
use crate::record::{RecordedOperation, RecordedResponse, Recording};
use crate::replay::{Answer, Cuts, End, Played, Scene, play, view};

/// What to ask.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CallOnce {
    /// The plugin
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// The request's body in the OpenAI API's form; `-` reads standard input
    #[arg(value_name = "REQUEST.json")]
    request: PathBuf,
    /// The provider's name of the model
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// Ask for a stream [default: what the request says]
    #[arg(long)]
    stream: bool,
    /// Which endpoint the request is for
    #[arg(long, value_name = "OPERATION", default_value = "chat-completions")]
    operation: RecordedOperation,
    /// The provider's answer: a recording, or {"status", "headers", "body" | "body_text" | "body_base64"}; one for each
    /// request where a plugin asks several times
    #[arg(long, value_name = "FILE.json")]
    upstream: Vec<PathBuf>,
    /// A parameter of the deployment; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = super::parameter)]
    param: Vec<(String, String)>,
    /// How many events of a stream come in one network read
    #[arg(long, value_name = "N", default_value_t = 1)]
    events_per_read: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl CallOnce {
    /// Prints the request and the answer; a failure where the plugin breaks.
    pub(in crate::cli) fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let scene = self.scene()?;
        super::lines::print();
        let engine = super::engine(environment)?;
        let played = crate::cli::runtime()?.block_on(async {
            let plugin = super::load_for_replay(&engine, &self.file).await?;
            note_what_is_special(&plugin.manifest, &scene)?;
            anyhow::Ok(play(&plugin, &scene, Cuts::Every(self.events_per_read)).await)
        })?;
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{:#}", played.to_json())?;
        } else {
            print(&mut out, &played, &scene, Paint::stdout(environment))?;
        }
        Ok(if matches!(played.end, End::Broke(_)) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn scene(&self) -> anyhow::Result<Scene> {
        let body = RequestBody::parse(read_request(&self.request)?.into())
            .with_context(|| format!("{} is no request", self.request.display()))?;
        let streaming = self.stream || body.boolean("stream")?.unwrap_or(false);
        let requested_model = body.string("model")?.map_or_else(|| self.model.clone(), |model| model.into_owned());
        let mut edits = Edits::default();
        edits.set("model", Value::from(self.model.as_str()).to_string());
        if self.stream {
            edits.set("stream", "true");
        }
        let answers: Vec<Vec<Answer>> = self.upstream.iter().map(|file| answers(file)).collect::<Result<_, _>>()?;
        Ok(Scene {
            id: "plugin-call".to_owned(),
            created: 1_700_000_000,
            operation: self.operation.into(),
            model: self.model.clone(),
            requested_model,
            streaming,
            body: edits.apply(&body).to_vec(),
            params: self.param.clone(),
            answers: answers.concat(),
            expected: None,
        })
    }
}

fn read_request(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file.as_os_str() != "-" {
        return super::read(file);
    }
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body).context("can't read standard input")?;
    Ok(body)
}

/// The answers in a file: those of a recording, or one that somebody wrote down.
fn answers(file: &Path) -> anyhow::Result<Vec<Answer>> {
    let shown = file.display();
    let bytes = super::read(file)?;
    let mut json: Value = serde_json::from_slice(&bytes).with_context(|| format!("{shown} is no JSON"))?;
    let recorded = if json.get("call").is_some() {
        Recording::parse(&bytes).with_context(|| shown.to_string())?.responses
    } else {
        let response = json.get_mut("response").map(Value::take).unwrap_or(json);
        let parsed = serde_json::from_value::<RecordedResponse>(response);
        vec![parsed.with_context(|| format!("{shown} is neither a recording nor an answer with a status"))?]
    };
    recorded.iter().map(Answer::of).collect::<Result<_, _>>().with_context(|| shown.to_string())
}

/// The gateway would not ask the plugin, or for nothing of the kind.
fn note_what_is_special(manifest: &Manifest, scene: &Scene) -> anyhow::Result<()> {
    let Some(support) = manifest.support(scene.operation) else {
        bail!("the plugin {} does not serve {}", manifest.name, scene.operation.path());
    };
    if let Some(path) = support.native_path(&scene.model) {
        writeln!(
            std::io::stderr(),
            "note: for this model the gateway sends the request to {} as it is, without asking the plugin",
            path.escape_debug()
        )?;
    }
    Ok(())
}

fn print(out: &mut impl Write, played: &Played, scene: &Scene, paint: Paint) -> std::io::Result<()> {
    let mut answers = scene.answers.iter();
    for request in &played.requests {
        let query: Vec<String> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let line = format!("→ {} {}{query}", request.method, request.path);
        writeln!(out, "{}", paint.head(line.escape_debug().to_string().replace("\\'", "'")))?;
        for header in &request.headers {
            writeln!(out, "  {}: {}", header.name.escape_debug(), header.value.escape_debug())?;
        }
        indented(out, &view::body(&request.body))?;
        if let Some(answer) = answers.next() {
            writeln!(out, "{}", paint.dim(format_args!("← {}", answer.status)))?;
        }
    }
    for warning in played.warnings_json().as_array().into_iter().flatten() {
        writeln!(out, "{} {}", paint.head("warning"), line(warning))?;
    }
    for chunk in played.chunks_json() {
        writeln!(out, "{} {chunk}", paint.dim("chunk"))?;
    }
    match &played.end {
        End::Answer(answer) => {
            writeln!(out, "{}", paint.head("answer"))?;
            indented(out, &view::body(answer))?;
        }
        End::Stream => writeln!(out, "{}", paint.good("the stream is complete"))?,
        End::Verbatim => writeln!(out, "the provider's answer goes to the client as it is")?,
        End::Sent => writeln!(out, "{}", paint.dim("give the provider's answer with --upstream to see the way back"))?,
        End::Left => writeln!(out, "the recording ends here: the client went away")?,
        End::Cut => writeln!(out, "the provider broke off; the client gets an error")?,
        End::Failed(failure) => {
            writeln!(out, "{}", paint.bad("failure"))?;
            indented(out, &view::failure(failure))?;
        }
        End::Broke(what) => writeln!(out, "{} {what}", paint.bad("BROKEN"))?,
    }
    if played.usage.is_some() {
        writeln!(out, "{} {}", paint.head("usage"), played.usage_json())?;
    }
    Ok(())
}

fn line(warning: &Value) -> String {
    let text = |key: &str| warning.get(key).and_then(Value::as_str).unwrap_or_default().escape_debug().to_string();
    format!("{} ({})", text("path"), text("loss"))
}

fn indented(out: &mut impl Write, value: &Value) -> std::io::Result<()> {
    match value {
        Value::String(text) if text.is_empty() => Ok(()),
        _ => format!("{value:#}").lines().try_for_each(|line| writeln!(out, "  {line}")),
    }
}

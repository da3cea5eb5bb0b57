//! `ai-api plugin inspect`: what a component is, what it asks for and what it gets, also where it would not load.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::paint::Paint;
use crate::config::Environment;
use crate::plugin::{Digest, Manifest, Plugin, Shape, Support, capabilities};
use crate::upstream::Placement;

/// What to look at.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Inspect {
    /// The component
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was found.
struct Found {
    bytes: usize,
    digest: Digest,
    shape: Option<Shape>,
    /// Its manifest, or why it doesn't load.
    loaded: Result<Manifest, String>,
}

impl Inspect {
    /// Prints what the file is; a failure where the gateway would not load it.
    pub(in crate::cli) fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        let engine = super::engine(environment)?;
        let runtime = crate::cli::runtime()?;
        let bytes = runtime.block_on(Plugin::read(&engine, &self.file))?;
        let loaded = runtime.block_on(Plugin::load(&engine, &self.file.display().to_string(), &bytes));
        let found = Found {
            bytes: bytes.len(),
            digest: Digest::of(&bytes),
            shape: Shape::read(&engine, "", &bytes).ok(),
            loaded: loaded.map(|plugin| plugin.manifest).map_err(|error| error.in_one_line()),
        };
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{:#}", found.to_json())?;
        } else {
            found.print(&mut out, Paint::stdout(environment))?;
        }
        Ok(if found.loaded.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Found {
    /// `ai-api:plugin@0.1.0`, by what it exports.
    fn interface(&self) -> Option<String> {
        let exports = &self.shape.as_ref()?.exports;
        exports.iter().find_map(|name| {
            let (role, version) = name.split_once('@')?;
            let (package, _) = role.split_once('/')?;
            (package == "ai-api:plugin").then(|| format!("{package}@{version}"))
        })
    }

    fn to_json(&self) -> Value {
        let manifest = self.loaded.as_ref().ok().map(manifest_json);
        let imports = self.shape.as_ref().map(|shape| shape.imports.iter().map(import_json).collect::<Value>());
        json!({
            "bytes": self.bytes,
            "sha256": self.digest.to_string(),
            "interface": self.interface(),
            "manifest": manifest,
            "imports": imports,
            "exports": self.shape.as_ref().map(|shape| &shape.exports),
            "loads": self.loaded.is_ok(),
            "reason": self.loaded.as_ref().err(),
        })
    }

    fn print(&self, out: &mut impl Write, paint: Paint) -> std::io::Result<()> {
        match &self.loaded {
            Ok(manifest) => {
                writeln!(out, "{} {}", paint.head(&manifest.name), manifest.version.escape_debug())?;
                writeln!(out, "loads       {}", paint.good("yes"))?;
            }
            Err(reason) => writeln!(out, "loads       {}: {reason}", paint.bad("NO"))?,
        }
        writeln!(out, "interface   {}", self.interface().as_deref().unwrap_or("none that the gateway knows"))?;
        writeln!(out, "size        {} bytes", self.bytes)?;
        writeln!(out, "sha256      {}", self.digest)?;
        if let Ok(manifest) = &self.loaded {
            print_manifest(out, manifest)?;
        }
        let Some(shape) = &self.shape else { return Ok(()) };
        // A URL as a name may hold anything.
        let shown = |names: &[String]| names.iter().map(|name| name.escape_debug().to_string()).collect::<Vec<_>>();
        let (imports, exports) = (shown(&shape.imports), shown(&shape.exports));
        let width = imports.iter().chain(&exports).map(String::len).max().unwrap_or(0);
        writeln!(out, "{}", if imports.is_empty() { "imports     nothing" } else { "imports" })?;
        for name in &imports {
            let gets = match capabilities::of(name) {
                Ok(import) => import.gets.to_owned(),
                Err(reason) => paint.bad(format_args!("REFUSED: {reason}")),
            };
            writeln!(out, "  {name:width$}  {gets}")?;
        }
        writeln!(out, "{}", if exports.is_empty() { "exports     nothing" } else { "exports" })?;
        exports.iter().try_for_each(|name| writeln!(out, "  {name}"))
    }
}

fn print_manifest(out: &mut impl Write, manifest: &Manifest) -> std::io::Result<()> {
    let base = manifest.base_url.as_ref().map_or("none: the operator gives api_base", |base| base.template());
    writeln!(out, "base URL    {base}")?;
    writeln!(out, "credential  {}", credential(&manifest.placement))?;
    let parameters = if manifest.parameters.is_empty() { "none".to_owned() } else { manifest.parameters.join(", ") };
    writeln!(out, "parameters  {parameters}")?;
    let reusable = if manifest.reusable { "yes, one instance serves many calls" } else { "no, an instance a call" };
    writeln!(out, "reusable    {reusable}")?;
    writeln!(out, "operations")?;
    manifest
        .operations
        .iter()
        .try_for_each(|support| writeln!(out, "  {:22}  {}", support.operation.path(), served(support)))
}

fn served(support: &Support) -> String {
    let Some(path) = &support.native else { return "translated".to_owned() };
    let mut text = format!("as it is, at {}", path.escape_debug());
    if !support.translated.is_empty() {
        let prefixes: Vec<String> =
            support.translated.iter().map(|prefix| format!("{}*", prefix.escape_debug())).collect();
        text.push_str(&format!("; translated for {}", prefixes.join(", ")));
    }
    text
}

/// How the key goes onto a request, in one line.
fn credential(placement: &Placement) -> String {
    match placement {
        Placement::None => "none".to_owned(),
        Placement::Bearer => "authorization: Bearer KEY".to_owned(),
        Placement::Header(name) => format!("{name}: KEY"),
        Placement::Query(name) => format!("?{}=KEY", name.escape_debug()),
        Placement::AwsSigV4 { service } => format!("AWS Signature Version 4 for {}", service.escape_debug()),
        Placement::GoogleServiceAccount { scope } => {
            format!("a Google service account's token for {}", scope.escape_debug())
        }
    }
}

fn manifest_json(manifest: &Manifest) -> Value {
    let operations: Value = (manifest.operations.iter())
        .map(|support| {
            json!({"path": support.operation.path(), "native": support.native, "translated": support.translated})
        })
        .collect();
    json!({
        "name": manifest.name,
        "version": manifest.version,
        "base_url": manifest.base_url.as_ref().map(|base| base.template()),
        "credential": credential(&manifest.placement),
        "operations": operations,
        "parameters": manifest.parameters,
        "reusable": manifest.reusable,
    })
}

fn import_json(name: &String) -> Value {
    let found = capabilities::of(name);
    json!({"name": name, "gets": found.as_ref().ok().map(|import| import.gets), "refused": found.err()})
}

//! `ai-api explain`: what the router would do with a request, and why, without sending it anywhere.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::canonical::RequestBody;
use crate::config::{self, Config, Deployment, Environment, Origin, retirement};
use crate::plugin::Operation;
use crate::precall::Needs;
use crate::precall::tags::RequestTags;
use crate::router::{Cure, FailureKind, FallbackPlan, Misfit, Query, Resolved, Router, Target};

/// Which request, and by which configuration.
#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// The model that the request names [default: the request's own]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The request's JSON, `-` for standard input: for its size, its tags and what it needs
    #[arg(value_name = "REQUEST.json")]
    request: Option<PathBuf>,
    /// The configuration [default: the one that would be served]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    /// Prints it; an error where no deployment has such a name.
    pub(super) fn run(self, environment: &Environment) -> anyhow::Result<()> {
        let bytes = self.bytes()?;
        let body = RequestBody::parse(bytes.into()).map_err(|error| anyhow::anyhow!("the request: {error}"))?;
        let named = body.string("model").map_err(|error| anyhow::anyhow!("the request: {error}"))?;
        let Some(model) = self.model.or(named.map(|named| named.into_owned())) else {
            bail!("which model? Give --model NAME, or a request that names one");
        };
        let origin = self.config.map_or_else(|| config::find(None, environment), Origin::File);
        let config = config::load(origin, environment)?.config;
        let explained = explain(&config, environment, &model, &body)?;
        let text = if self.json { format!("{explained:#}\n") } else { told(&explained) };
        std::io::stdout().write_all(text.as_bytes()).context("writing to standard output")
    }

    fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        match &self.request {
            None => Ok(b"{}".to_vec()),
            Some(path) if path.as_os_str() == "-" => {
                let mut bytes = Vec::new();
                std::io::stdin().read_to_end(&mut bytes).context("reading the request from standard input")?;
                Ok(bytes)
            }
            Some(path) => std::fs::read(path).with_context(|| format!("can't read the request {}", path.display())),
        }
    }
}

fn explain(config: &Config, environment: &Environment, model: &str, body: &RequestBody) -> anyhow::Result<Value> {
    let router = Router::new(config, None);
    let resolved = router.resolve(model).map_err(|unknown| {
        let hint = unknown.suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        anyhow::anyhow!("no deployment serves the model `{model}`{hint}")
    })?;
    let group = &resolved.group;
    let (order, excluded) = order(config, &router, &resolved, body)?;
    let shown = |target: &Target| deployment(target, &resolved.model(target), environment);
    let deployments = order.iter().map(|(target, reason)| {
        let mut shown = shown(target);
        shown.insert("chosen".to_owned(), json!(reason));
        Value::Object(shown)
    });
    let left_out = excluded.iter().map(|(target, reason)| {
        let mut shown = shown(target);
        shown.insert("left_out".to_owned(), json!(reason));
        Value::Object(shown)
    });
    let first = order.first().map_or(&*group.first, |(target, _)| target);
    let retries = &config.routing.retries;
    let budget = &retries.budget;
    Ok(json!({
        "model": model,
        "named_by": named_by(config, &router, &resolved, model),
        "model_group": group.name,
        "routing_strategy": config.routing.strategy.name(),
        "deployments": deployments.collect::<Vec<_>>(),
        "left_out": left_out.collect::<Vec<_>>(),
        "after_a_failure": FailureKind::ALL.map(|kind| after(config, &group.name, model, first, kind)),
        "max_wait": retries.max_wait.as_secs_f64(),
        "retry_budget": {"percent": budget.share * 100.0, "min_per_second": budget.min_per_second},
    }))
}

/// How the name leads to its group.
fn named_by(config: &Config, router: &Router, resolved: &Resolved, model: &str) -> String {
    if let Some(alias) = config.aliases.get(model) {
        return format!("an alias of `{}`", alias.target);
    }
    let group = &resolved.group;
    let is_group = router.groups().any(|known| known.name == group.name);
    match () {
        () if !is_group => "a deployment's id".to_owned(),
        () if group.name == model => "its own name".to_owned(),
        () => format!("the wildcard `{}`", group.name),
    }
}

/// A deployment, and a reason.
type Judged<'a> = (&'a Target, String);

/// The deployments in the order in which this call would go to them if each failed, as the router itself chooses; and
/// those that it wouldn't go to.
fn order<'a>(
    config: &Config,
    router: &Router,
    resolved: &'a Resolved,
    body: &RequestBody,
) -> anyhow::Result<(Vec<Judged<'a>>, Vec<Judged<'a>>)> {
    let targets = &resolved.group.targets;
    let checks = &config.routing.checks;
    let operation = if body.raw("messages").is_none() && body.raw("input").is_some() {
        Operation::Embeddings
    } else {
        Operation::ChatCompletions
    };
    let needs = checks.before_calls.then(|| Needs::read(body, operation));
    let tags = RequestTags::read(body, std::iter::empty());
    let open = targets.iter().filter(|target| !target.deployment.routing.blocked);
    let rule = checks.tags.map(|kind| tags.rule(open.map(|target| target.deployment.routing.tags.as_slice()), kind));
    let fits = |target: &Target, model: &str| -> Result<(), Misfit> {
        if rule.is_some_and(|rule| !rule.permits(&target.deployment.routing.tags)) {
            return Err(Misfit::Tags);
        }
        needs.as_ref().map_or(Ok(()), |needs| needs.fits(&target.deployment, model, config.models()))
    };
    let streaming = body.boolean("stream").map_err(|error| anyhow::anyhow!("the request: {error}"))?.unwrap_or(false);
    let (mut tried, mut order) = (Vec::new(), Vec::new());
    let tokens = body.bytes().len() as u64 / 4;
    loop {
        let query = Query { streaming, tried: &tried, again: false, fits: &fits, tokens };
        let Ok(pick) = router.choose(resolved, &query, Instant::now()) else { break };
        let position = pick.route.target.position;
        tried.push(position);
        let target = targets.iter().find(|target| target.position == position);
        order.extend(target.map(|target| (&**target, pick.reason.to_string())));
    }
    // Where none can be called the router picks one that tells why.
    order.retain(|(target, _)| unusable(&target.deployment).is_none());
    let called = |target: &Target| order.iter().any(|(other, _)| other.position == target.position);
    let left_out = targets.iter().filter(|target| !called(target)).map(|target| {
        let misfit = || fits(target, &resolved.model(target)).err().map(|misfit| words(&misfit));
        let reason = unusable(&target.deployment).or_else(misfit);
        (&**target, reason.unwrap_or_else(|| "it can't be called now".to_owned()))
    });
    let left_out = left_out.collect();
    Ok((order, left_out))
}

fn unusable(deployment: &Deployment) -> Option<String> {
    if deployment.routing.blocked {
        return Some("blocked: model_info.blocked is true".to_owned());
    }
    deployment.unusable.clone()
}

fn words(misfit: &Misfit) -> String {
    match misfit {
        Misfit::ContextWindow { tokens, limit } => {
            format!("its model takes {limit} tokens, and the prompt has {tokens}")
        }
        Misfit::Lacks(what) => format!("its model doesn't {what}"),
        Misfit::Spent { .. } => "its budget is spent".to_owned(),
        Misfit::Tags => "its tags are others than the request's".to_owned(),
        Misfit::Unusable => "it doesn't serve such requests".to_owned(),
    }
}

fn deployment(target: &Target, model: &str, environment: &Environment) -> Map<String, Value> {
    let own = &target.deployment;
    let routing = &own.routing;
    let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64());
    let retired = retirement(&own.provider, model, environment.today()).map(|told| told.to_string());
    let timeouts = json!({
        "timeout": own.timeout.as_secs_f64(),
        "stream_timeout": seconds(own.stream_timeout),
        "idle_timeout": seconds(routing.idle_timeout),
        "max_stream_duration": seconds(routing.max_stream_duration),
    });
    Map::from_iter([
        ("model_id".to_owned(), json!(own.id)),
        ("provider".to_owned(), json!(own.provider)),
        ("model".to_owned(), json!(model)),
        ("place".to_owned(), json!(format!("{}:{}", own.file, own.line))),
        ("weight".to_owned(), json!(own.weight)),
        ("order".to_owned(), json!(routing.order)),
        ("tags".to_owned(), json!(routing.tags)),
        ("timeouts".to_owned(), timeouts),
        ("retirement".to_owned(), json!(retired)),
        ("succeeds".to_owned(), json!(own.succeeds)),
    ])
}

/// What follows a failure of this kind at the first deployment, and at all of them.
fn after(config: &Config, group: &str, asked: &str, first: &Target, kind: FailureKind) -> Value {
    let allowed = kind.retries(&config.routing.retries, group, first.deployment.routing.num_retries);
    let (next, retries) = match kind.cure() {
        Cure::Nothing => ("no other deployment", 0),
        Cure::AnotherDeployment => ("another deployment", allowed),
        Cure::Time => ("another deployment, or the same one later", allowed),
    };
    let mut plan = FallbackPlan::new(&config.routing.fallbacks, None);
    let mut chain: Vec<&str> = Vec::new();
    while let Some(fallback) = plan.after(chain.last().copied().unwrap_or(asked), &[group], kind) {
        chain.push(&fallback.model);
    }
    json!({
        "kind": kind.name(),
        "retries": retries,
        "next": next,
        "fallbacks": chain,
        "counts_against_the_deployment": kind.counts(),
    })
}

/// The same for people.
fn told(explained: &Value) -> String {
    let text = |value: &Value, key: &str| match value.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let list = |key: &str| explained.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut out = String::new();
    // Writing to a text never fails, here and below.
    let _ = writeln!(
        out,
        "{} → model group {} (by {}), strategy {}",
        text(explained, "model"),
        text(explained, "model_group"),
        text(explained, "named_by"),
        text(explained, "routing_strategy"),
    );
    let one = |out: &mut String, own: &Value, lead: &str, why: &str| {
        let _ = writeln!(out, "{lead}{}/{}: {}", text(own, "provider"), text(own, "model"), text(own, why));
        let _ = writeln!(out, "     id {}, at {}", text(own, "model_id"), text(own, "place"));
        for notice in ["retirement", "succeeds"].map(|key| text(own, key)).iter().filter(|told| !told.is_empty()) {
            let _ = writeln!(out, "     {notice}");
        }
    };
    let called = list("deployments");
    if called.is_empty() {
        out.push_str("\nNo deployment can be called.\n");
    } else {
        out.push_str("\nDeployments, in the order of their turn should each fail:\n");
    }
    for (index, own) in called.iter().enumerate() {
        one(&mut out, own, &format!("  {}. ", index + 1), "chosen");
        let timeouts = own.get("timeouts").and_then(Value::as_object).into_iter().flatten();
        let timeouts = timeouts.filter(|(_, time)| !time.is_null()).map(|(key, time)| format!("{key} {time} s"));
        let _ = writeln!(out, "     {}", timeouts.collect::<Vec<_>>().join(", "));
    }
    if !list("left_out").is_empty() {
        out.push_str("\nLeft out:\n");
    }
    list("left_out").iter().for_each(|own| one(&mut out, own, "  -  ", "left_out"));
    out.push_str("\nAfter a failure:\n");
    for row in list("after_a_failure") {
        let retries = match text(row, "retries").as_str() {
            "0" => "no retry".to_owned(),
            "1" => format!("1 retry: {}", text(row, "next")),
            count => format!("{count} retries: {}", text(row, "next")),
        };
        let chain: Vec<&str> =
            row.get("fallbacks").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let chain = if chain.is_empty() { String::new() } else { format!("; then {}", chain.join(", then ")) };
        let _ = writeln!(out, "  {:<16} {retries}{chain}", text(row, "kind"));
    }
    let budget = explained.get("retry_budget").unwrap_or(&Value::Null);
    let _ = writeln!(
        out,
        "\nA call waits {} s at most for back-offs and cooldowns; retries are {} % of calls and {} a second at most.",
        text(explained, "max_wait"),
        text(budget, "percent"),
        text(budget, "min_per_second"),
    );
    out
}

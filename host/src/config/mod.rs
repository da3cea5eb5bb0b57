//! The configuration: LiteLLM's `config.yml`, unchanged, checked and resolved once at start-up.
//!
//! ```text
//! find -> include (read, parse, merge) -> substitute (os.environ/) -> model_list, general, … -> Config
//!                                                                 \-> review (every key)    -> Report
//! ```
//!
//! A [`Config`] is valid by construction: nothing behind it parses a setting again. What LiteLLM takes
//! and we don't support yet is in the [`Report`], never silently dropped and never fatal; what is no
//! sensible value is an error with its file and line, and all errors are told at once.
//!
//! No value of a key that may hold a secret is in any message, and keys are [`Secret`]s from here on.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

mod aliases;
mod at;
mod attribution;
mod base_url;
mod budgets;
pub mod callbacks;
mod catch_all;
mod cloud;
mod credential;
mod database;
mod date;
mod deployment;
mod endpoint;
mod entry;
mod environment;
mod fingerprint;
mod general;
mod headers;
mod health;
mod include;
mod key_defaults;
mod known;
mod known_keys;
mod load;
mod model_list;
mod models;
mod node;
mod origin;
pub mod otlp;
mod params;
mod plugin_limits;
mod pricing;
mod providers;
mod redis;
mod report;
mod retirements;
mod review;
mod root_path;
pub mod routing;
mod secret;
mod service_account;
mod substitute;
mod succession;
mod target;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod yaml;

pub use aliases::Alias;
pub use attribution::Attribution;
pub use budgets::Budgets;
pub use callbacks::Callbacks;
pub use cloud::{AwsKeys, Cloud, Found, Lack};
pub use database::{StorePlace, StoreSettings, Where};
pub use date::{Date, NotADate};
pub use deployment::{Credential, Deployment};
pub use endpoint::Endpoint;
pub use environment::Environment;
pub use fingerprint::{Changes, Fingerprint};
pub use general::{General, Logging};
pub use health::{DeploymentHealth, HealthChecks, Probe};
pub use key_defaults::KeyDefaults;
pub use load::{AdmissionLimits, ClientLimits, Load};
pub use models::{Capabilities, ModelLimits, ModelTable};
pub use node::holds_a_secret as may_hold_a_secret;
pub use origin::{Folders, Origin, find, find_in};
pub use plugin_limits::{PluginLimits, PluginLimitsTable};
pub use providers::{Provider, Providers};
pub use redis::{FailClosed, Redis, RedisAddress};
pub use report::{Finding, Report, Severity};
pub use retirements::{Retirement, Successor, retirement, successor};
pub use root_path::RootPath;
pub use routing::{DeploymentRouting, Routing};
pub use secret::Secret;
pub use service_account::ServiceAccount;
pub use target::inferred as provider_of_bare_name;

use at::At;
use model_list::Context;
use node::Place;
use pricing::CostSettings;

use crate::prices::Prices;
use routing::{Defaults, Names, Settings};

/// The configuration that is compiled in.
const BUILT_IN: &str = include_str!("../../../config/config.yml");

/// A configuration that can be used, and what there is to say about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Its report, without errors.
    pub report: Report,
}

/// Everything that the gateway is told from outside.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it came from.
    pub origin: Origin,
    /// `model_list`, in the order of the file.
    pub deployments: Vec<Deployment>,
    /// `router_settings.model_group_alias`.
    pub aliases: BTreeMap<String, Alias>,
    /// How calls are routed: `router_settings`.
    pub routing: Routing,
    /// `general_settings`.
    pub general: General,
    /// Who is told of calls.
    pub callbacks: Callbacks,
    /// Where calls say whose they are.
    pub attribution: Attribution,
    /// Money that calls may cost.
    pub budgets: Arc<Budgets>,
    /// Where several gateways count together.
    pub redis: Option<Redis>,
    /// What keys, users and teams get that nobody says.
    pub key_defaults: KeyDefaults,
    /// The database, and what is written to it.
    pub store: StoreSettings,
    /// How deployments are probed.
    pub health: HealthChecks,
    /// How much is taken on at a time.
    pub load: Load,
    /// How to log.
    pub logging: Logging,
    /// `SERVER_ROOT_PATH`: the path that the gateway is mounted under.
    pub root_path: RootPath,
    /// The providers known by name.
    pub providers: Providers,
    /// What models cost.
    pub prices: Arc<Prices>,
    /// `ai_api_settings.plugin_limits`.
    pub plugin_limits: PluginLimitsTable,
    /// `ai_api_settings.plugins`: the folder of plugins, relative to the configuration's file.
    pub plugins: Option<PathBuf>,
    /// What tells it from another.
    pub fingerprint: Fingerprint,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("can't read the configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was read, and has errors. The message lists them all, one a line.
    #[error("{}", errors(.0))]
    Invalid(Report),
}

// === impl Config ===

impl Config {
    /// What is wrong with the master key and how to put it right, in one line; `None` when all is well
    /// or the operator said that it doesn't matter.
    pub fn master_key_problem(&self) -> Option<String> {
        self.general.master_key_problem()
    }

    /// The table of models, for a deployment's limits and for what a wildcard stands for.
    pub fn models(&self) -> &'static ModelTable {
        ModelTable::embedded()
    }
}

/// Reads, checks and resolves a configuration.
///
/// # Errors
/// [`ConfigError::Read`] when the file can't be read, [`ConfigError::Invalid`] when something in it, in a
/// file that it includes, or in a variable that it needs, is wrong.
pub fn load(origin: Origin, environment: &Environment) -> Result<Loaded, ConfigError> {
    let mut report = Report::default();
    let mut tree = match &origin {
        Origin::File(path) => {
            include::read(path, &mut report).map_err(|source| ConfigError::Read { path: path.clone(), source })?
        }
        Origin::BuiltIn => {
            let name = "built-in config.yml".into();
            let root = include::parse_root(BUILT_IN, &name, &mut report);
            include::Tree { root, files: vec![name], paths: Vec::new() }
        }
    };
    report.was_read(std::mem::take(&mut tree.paths));
    // A file that can't be parsed has no keys: errors about those would be wrong.
    if report.has_errors() {
        return Err(ConfigError::Invalid(report.finish(&tree.files)));
    }
    let environment = substitute::substitute(&mut tree.root, environment, &mut report);
    let config = resolve(origin, &At::root(&tree.root), &environment, &mut report);
    let report = report.finish(&tree.files);
    if report.has_errors() { Err(ConfigError::Invalid(report)) } else { Ok(Loaded { config, report }) }
}

fn resolve(origin: Origin, root: &At<'_>, environment: &Environment, report: &mut Report) -> Config {
    review::review(root, report);
    let providers = Providers::read(root, report);
    let logging = Logging::read(root, environment, report);
    let general = General::read(root, environment, report);
    let redis = Redis::read(root, environment, report);
    let store = StoreSettings::read(root, &origin, environment, report);
    let load = Load::read(root, report);
    let settings = Settings::of(root);
    let costs = CostSettings::read(root, &origin, environment, report);
    let prices = costs.prices.clone();
    let context = Context::read(root, environment, &providers, (Defaults::read(&settings, report), costs), report);
    let deployments = model_list::read(&context, report);
    let budgets = Arc::new(Budgets::read(root, &deployments, report));
    let aliases = aliases::read(root, &deployments, report);
    let names = Names::of(&deployments, &aliases);
    let routing = Routing::read(&settings, context.defaults, &names, report);
    let health = HealthChecks::read(root, report);
    let callbacks = Callbacks::read(root, environment, report);
    let attribution = Attribution::read(root, report);
    let key_defaults = KeyDefaults::read(root, report);
    let root_path = RootPath::read(environment, report);
    let plugin_limits = PluginLimitsTable::read(root, report);
    let plugins = plugins(root, &origin, report);
    let fingerprint = Fingerprint::of(root.node);
    Config {
        origin,
        deployments,
        aliases,
        routing,
        general,
        callbacks,
        attribution,
        budgets,
        redis,
        store,
        key_defaults,
        health,
        load,
        logging,
        root_path,
        providers,
        prices,
        plugin_limits,
        plugins,
        fingerprint,
    }
}

/// The folder of plugins, if the configuration names one.
fn plugins(root: &At<'_>, origin: &Origin, report: &mut Report) -> Option<PathBuf> {
    let at = root.map("ai_api_settings", report)?.get("plugins")?;
    let folder = at.text(report).filter(|folder| !folder.trim().is_empty())?;
    Some(origin.folder().join(folder))
}

/// Where to point at for what no file says.
fn environment_place() -> Place {
    Place { file: "environment".into(), line: 0 }
}

fn errors(report: &Report) -> String {
    report.of(Severity::Error).map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

//! What decides which deployment serves a call, and what happens when it can't: `router_settings`, the keys of the same
//! names in `litellm_settings`, and those of a deployment.

mod by_kind;
mod checks;
mod cooldowns;
mod deployment;
mod fallbacks;
mod names;
mod read;
mod retries;
mod settings;
mod strategy;
mod timeouts;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map as JsonMap, Value as Json};

pub(super) use deployment::Keys;
pub(super) use names::Names;
pub(super) use read::Defaults;
pub(super) use settings::Settings;
pub(super) use timeouts::Timeouts;

use crate::limits::Allowance;

/// LiteLLM's, and that of its documentation's examples.
const DEFAULT_RETRIES: u32 = 2;

/// Everything that the router is told. `router_settings` win over `litellm_settings`.
#[derive(Clone, Debug, PartialEq)]
pub struct Routing {
    /// `routing_strategy`.
    pub strategy: StrategyKind,
    /// `routing_strategy_args`.
    pub strategy_args: StrategyArgs,
    /// How often, and after which wait, a call is tried again.
    pub retries: Retries,
    /// When a deployment is left alone, and for how long.
    pub cooldowns: Cooldowns,
    /// What serves a call that its own model group can't.
    pub fallbacks: Fallbacks,
    /// What is looked at before a deployment is called.
    pub checks: Checks,
    /// `hedging`, AI-API's own: a second attempt beside a slow first one.
    pub hedging: Option<Hedging>,
    /// `enable_mid_stream_fallback_continuation`: another deployment goes on with a stream that broke.
    pub continues_streams: bool,
    /// `model_successors`, AI-API's own: a model that its provider has shut down is served by its successor.
    pub model_successors: bool,
    /// `connect_timeout`, AI-API's own: how long it may take until a provider's server is connected, its name looked up and
    /// TLS agreed on.
    pub connect_timeout: Duration,
}

/// How one of several healthy deployments is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StrategyKind {
    /// By weight, else by rpm, else by tpm, else evenly.
    #[default]
    SimpleShuffle,
    /// The one with the fewest calls under way.
    LeastBusy,
    /// The one with the least time for an output token; of streams, to the first piece.
    Latency,
    /// The one that has used the fewest tokens in this minute (LiteLLM's v1 and v2).
    Usage,
    /// The cheapest.
    Cost,
    /// The better of two drawn ones: calls under way times a moving average of their latency. AI-API's own,
    /// `power-of-two-choices`.
    PowerOfTwo,
}

/// `routing_strategy_args`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StrategyArgs {
    /// How long a measured latency counts.
    pub ttl: Duration,
    /// How far above the lowest latency a deployment still shares calls: 0.5 is half as much again.
    pub lowest_latency_buffer: f64,
}

/// How often, and after which wait, a call is tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Retries {
    /// `num_retries`.
    pub count: u32,
    /// `retry_policy`.
    pub policy: ByKind,
    /// `model_group_retry_policy`, by the name of the group: before `policy`, for the kinds that it has a number for.
    pub group_policies: BTreeMap<String, ByKind>,
    /// `retry_after`: the least wait before the same deployment is called again.
    pub min_wait: Duration,
    /// `max_wait`, AI-API's own: what one call may spend on waiting (for a back-off, a `Retry-After`, a cooldown or a
    /// free slot) before its caller is told instead.
    pub max_wait: Duration,
    /// `retry_budget`, AI-API's own.
    pub budget: RetryBudget,
}

/// `retry_budget: {percent: 20, min_per_second: 10}`: how many calls may be retries, so that retries don't feed an outage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudget {
    /// Retries for each first attempt: 0.2 is one for five.
    pub share: f64,
    /// So many are always free, for a gateway with little traffic.
    pub min_per_second: f64,
}

/// A number for some kinds of failure: LiteLLM's `…ErrorRetries` and `…ErrorAllowedFails`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByKind {
    /// `AuthenticationError…`
    pub authentication: Option<u32>,
    /// `BadRequestError…`
    pub bad_request: Option<u32>,
    /// `TimeoutError…`
    pub timeout: Option<u32>,
    /// `RateLimitError…`
    pub rate_limit: Option<u32>,
    /// `ContentPolicyViolationError…`
    pub content_policy: Option<u32>,
    /// `InternalServerError…`
    pub internal_server: Option<u32>,
}

/// When a deployment is left alone, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Cooldowns {
    /// Not `disable_cooldowns`.
    pub enabled: bool,
    /// `allowed_fails`: failures within a minute that are forgiven. It says nothing to a deployment that is alone.
    pub allowed_fails: Option<u32>,
    /// `allowed_fails_policy`: the same for kinds of failures.
    pub policy: ByKind,
    /// `cooldown_time`.
    pub time: Duration,
}

/// Model groups by name, and the ones that take their place, in order.
pub type Chains = BTreeMap<String, Vec<Fallback>>;

/// What serves a call that its own model group can't.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallbacks {
    /// `fallbacks`.
    pub general: Chains,
    /// `default_fallbacks`, and `"*"` of `fallbacks`.
    pub default: Vec<Fallback>,
    /// `context_window_fallbacks`; `"*"` stands for every model that has none of its own.
    pub context_window: Chains,
    /// `content_policy_fallbacks`, in the same way.
    pub content_policy: Chains,
    /// `max_fallbacks`.
    pub max: u32,
    /// `fallback_on_unsupported_params`: a request that the model's deployments can't serve for what it asks for goes on, too.
    pub on_unsupported_params: bool,
}

/// A model group that takes another's place.
#[derive(Clone, Default, PartialEq)]
pub struct Fallback {
    /// Its name.
    pub model: String,
    /// Parameters of the request that it gets instead of the client's own: `{model: …, max_tokens: …}`.
    pub overrides: JsonMap<String, Json>,
}

/// What is looked at before a deployment is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// `enable_pre_call_checks`: whether the prompt fits the model's context window, and the model has what the request
    /// needs (pictures, tools, a schema).
    pub before_calls: bool,
    /// `optional_pre_call_checks: [enforce_model_rate_limits]`: `rpm` and `tpm` bind.
    pub rate_limits: bool,
    /// `enable_tag_filtering`, and `tag_filtering_match_any` (true by default).
    pub tags: Option<TagMatch>,
}

/// Which deployments a tagged request may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagMatch {
    /// Those with one of its tags.
    Any,
    /// Those with all of its tags.
    All,
}

/// `hedging: {quantile: 0.95, min_delay: 0.05}`, AI-API's own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedging {
    /// A second attempt begins when the first has shown nothing for longer than this share of its deployment's calls.
    pub quantile: f64,
    /// But not before this.
    pub min_delay: Duration,
}

/// What a deployment says of its own routing; where it doesn't, what its group and the router say. Retries and allowed
/// failures are its own only: whose number counts depends on more than who has one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeploymentRouting {
    /// Calls in a minute.
    pub rpm: Option<u64>,
    /// Tokens in a minute.
    pub tpm: Option<u64>,
    /// Lower ones are tried first; without one it comes after those that have one.
    pub order: Option<i64>,
    /// `tags`; `default` is for calls without tags.
    pub tags: Vec<String>,
    /// `max_parallel_requests`, else `router_settings.default_max_parallel_requests`.
    pub max_parallel_requests: Option<u32>,
    /// `num_retries`, else `max_retries`: retries for failures of this deployment.
    pub num_retries: Option<u32>,
    /// `cooldown_time`; always there when it comes from a configuration.
    pub cooldown_time: Option<Duration>,
    /// Its own `allowed_fails`, for kinds of failures of which its own policy has no number. Unlike the router's it
    /// speaks to a deployment that is alone in its group, too.
    pub allowed_fails: Option<u32>,
    /// Its own `allowed_fails_policy`; kinds without a number here have its `allowed_fails`, else the router's policy.
    pub allowed_fails_policy: ByKind,
    /// `idle_timeout`, AI-API's own: between two pieces of a stream; else the deployment's `timeout`.
    pub idle_timeout: Option<Duration>,
    /// `max_stream_duration`, AI-API's own: for a whole stream; without one it lasts as long as something comes.
    pub max_stream_duration: Option<Duration>,
    /// USD for a token of the prompt and of the answer, from the deployment's [`Pricing`](crate::prices::Pricing). Of a
    /// deployment for many models there are the operator's only.
    pub prices: Option<(f64, f64)>,
    /// `max_budget` and `budget_duration`: above it the deployment gets no calls.
    pub budget: Option<Allowance>,
    /// `model_info.blocked`: it gets no calls.
    pub blocked: bool,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            strategy: StrategyKind::default(),
            strategy_args: StrategyArgs::default(),
            retries: Retries::default(),
            cooldowns: Cooldowns::default(),
            fallbacks: Fallbacks::default(),
            checks: Checks::default(),
            hedging: None,
            continues_streams: false,
            model_successors: false,
            connect_timeout: Duration::from_secs(10),
        }
    }
}

impl Routing {
    /// Whether `rpm` and `tpm` bind, and aren't only weights: where the operator says so, and as in LiteLLM with the
    /// strategies that look at usage or latency.
    pub fn limits_bind(&self) -> bool {
        self.checks.rate_limits || matches!(self.strategy, StrategyKind::Usage | StrategyKind::Latency)
    }
}

impl Fallbacks {
    /// In [`Chains`], stands for every model that has none of its own. Those of [`Fallbacks::general`] are in `default`.
    pub const EVERY: &str = "*";

    /// Whether nothing ever takes another's place.
    pub fn is_empty(&self) -> bool {
        self.general.is_empty()
            && self.default.is_empty()
            && self.context_window.is_empty()
            && self.content_policy.is_empty()
    }
}

impl Default for StrategyArgs {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(3600), lowest_latency_buffer: 0.0 }
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            count: DEFAULT_RETRIES,
            policy: ByKind::default(),
            group_policies: BTreeMap::new(),
            min_wait: Duration::ZERO,
            max_wait: Duration::from_secs(5),
            budget: RetryBudget { share: 0.2, min_per_second: 10.0 },
        }
    }
}

impl Default for Cooldowns {
    fn default() -> Self {
        Self { enabled: true, allowed_fails: None, policy: ByKind::default(), time: Duration::from_secs(5) }
    }
}

impl Default for Fallbacks {
    fn default() -> Self {
        Self {
            general: Chains::new(),
            default: Vec::new(),
            context_window: Chains::new(),
            content_policy: Chains::new(),
            max: 5,
            on_unsupported_params: true,
        }
    }
}

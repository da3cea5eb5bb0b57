//! How deployments are probed: LiteLLM's keys of `general_settings`, and AI-API's own of `ai_api_settings`.
//!
//! ```yaml
//! general_settings: {background_health_checks: true, health_check_interval: 300, enable_health_check_routing: true}
//! ai_api_settings:
//!   health_checks: {probe: models, timeout: 10}
//! ```

use std::time::Duration;

use super::at::At;
use super::known::{Support, nearest};
use super::report::Report;

/// LiteLLM's.
const INTERVAL: Duration = Duration::from_secs(300);
/// LiteLLM has no limit, and asks all deployments at the same moment.
const CONCURRENCY: usize = 8;
const MAX_CONCURRENCY: f64 = 1000.0;
/// LiteLLM: 60 s.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How deployments are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthChecks {
    /// What a probe does, unless `GET /health?paid=true` asks for more: `ai_api_settings.health_checks.probe`.
    pub probe: Probe,
    /// For one probe: `ai_api_settings.health_checks.timeout`.
    pub timeout: Duration,
    /// So many at a time: `health_check_concurrency`.
    pub concurrency: usize,
    /// `background_health_checks`.
    pub background: bool,
    /// `health_check_interval`.
    pub interval: Duration,
    /// `enable_health_check_routing`: what a probe in the background found wrong gets no calls.
    pub routes: bool,
    /// `health_check_details`: whether `GET /health` tells more of a deployment than its name.
    pub details: bool,
}

/// What a probe does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Probe {
    /// Looks whether the provider's server answers; sends no key. Costs nothing.
    Connect,
    /// Asks for the provider's list of models, with the deployment's key, where it speaks the canonical wire; else as
    /// [`Self::Connect`]. Costs nothing.
    #[default]
    Models,
    /// A small call that the provider charges for.
    Completion,
}

/// What `model_info` says of a deployment's probes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentHealth {
    /// The provider's model that a paid probe asks, for a deployment of many: `health_check_model`.
    pub model: Option<String>,
    /// `health_check_timeout`
    pub timeout: Option<Duration>,
    /// `disable_background_health_check`
    pub not_in_background: bool,
}

// === impl Probe ===

impl Probe {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Connect, Self::Models, Self::Completion];

    /// The word for it, in the configuration and in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Models => "models",
            Self::Completion => "completion",
        }
    }
}

// === impl HealthChecks ===

impl Default for HealthChecks {
    fn default() -> Self {
        Self {
            probe: Probe::default(),
            timeout: TIMEOUT,
            concurrency: CONCURRENCY,
            background: false,
            interval: INTERVAL,
            routes: false,
            details: true,
        }
    }
}

impl HealthChecks {
    pub(super) fn read(root: &At<'_>, report: &mut Report) -> Self {
        let general = root.get("general_settings");
        // LiteLLM's documentation has some of these keys in both sections.
        let router = root.get("router_settings");
        let find = |key: &str| {
            let own = general.as_ref().and_then(|section| section.get(key));
            own.or_else(|| router.as_ref().and_then(|section| section.get(key)))
        };
        let mut flag = |key: &str| find(key).and_then(|at| at.flag(report));
        let background = flag("background_health_checks").unwrap_or(false);
        let routes = flag("enable_health_check_routing").unwrap_or(false);
        let details = flag("health_check_details").unwrap_or(true);
        let interval = find("health_check_interval").and_then(|at| at.seconds(report)).unwrap_or(INTERVAL);
        let concurrency = find("health_check_concurrency").and_then(|at| concurrency(&at, report));
        let concurrency = concurrency.unwrap_or(CONCURRENCY);
        let (probe, timeout) = own(root, report);
        if let Some(at) = find("enable_health_check_routing").filter(|_| routes && !background) {
            at.warn("without effect as long as general_settings.background_health_checks is not true", report);
        }
        Self { probe, timeout, concurrency, background, interval, routes, details }
    }
}

/// `ai_api_settings.health_checks`
fn own(root: &At<'_>, report: &mut Report) -> (Probe, Duration) {
    let (mut probe, mut timeout) = (Probe::default(), TIMEOUT);
    let section = root.get("ai_api_settings").and_then(|own| own.map("health_checks", report));
    for (key, at) in section.iter().flat_map(At::entries) {
        match key {
            "probe" => probe = probe_of(&at, report).unwrap_or(probe),
            "timeout" => timeout = at.seconds(report).unwrap_or(timeout),
            _ => {
                let hint = nearest(key, ["probe", "timeout"].into_iter());
                let hint = hint.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                at.error(format!("unknown key{hint}"), report);
                continue;
            }
        }
        Support::Honoured("").report(&at, report);
    }
    (probe, timeout)
}

fn probe_of(at: &At<'_>, report: &mut Report) -> Option<Probe> {
    if at.node.is_none() {
        return None;
    }
    let text = at.text(report)?;
    let known = Probe::ALL.into_iter().find(|probe| probe.name() == text.trim());
    known.or_else(|| at.expected("connect, models or completion", report))
}

fn concurrency(at: &At<'_>, report: &mut Report) -> Option<usize> {
    const WHAT: &str = "a whole number from 1 to 1000";
    let number = at.number(WHAT, report)?;
    if number.fract() == 0.0 && (1.0..=MAX_CONCURRENCY).contains(&number) {
        Some(number as usize)
    } else {
        at.expected(WHAT, report)
    }
}

// === impl DeploymentHealth ===

impl DeploymentHealth {
    /// Of the entry `at` of `model_list`.
    pub(super) fn read(at: &At<'_>, report: &mut Report) -> Self {
        let Some(info) = at.get("model_info") else { return Self::default() };
        let model = info.get("health_check_model").and_then(|at| at.text(report));
        Self {
            model: model.map(|model| model.trim().to_owned()).filter(|model| !model.is_empty()),
            timeout: info.get("health_check_timeout").and_then(|at| at.seconds(report)),
            not_in_background: info
                .get("disable_background_health_check")
                .and_then(|at| at.flag(report))
                .unwrap_or(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    fn read(text: &str) -> (HealthChecks, Vec<String>) {
        let root = yaml::parse(text, &"config.yml".into()).expect("the text is YAML");
        let mut report = Report::default();
        let read = HealthChecks::read(&At::root(&root), &mut report);
        let told = report.findings().iter().map(ToString::to_string).filter(|told| !told.contains("honoured"));
        (read, told.collect())
    }

    #[test]
    fn without_a_word_probes_are_free_and_on_demand_only() {
        let (read, told) = read("model_list: []\n");
        assert_eq!((read, told), (HealthChecks::default(), Vec::new()));
        assert!(!read.background && read.probe == Probe::Models);
    }

    #[test]
    fn each_key_is_read_where_people_write_it() {
        let (read, _) = read(
            "general_settings: {background_health_checks: true, health_check_interval: '60', health_check_details: false}\n\
             router_settings: {enable_health_check_routing: true, health_check_concurrency: 3}\n\
             ai_api_settings: {health_checks: {probe: connect, timeout: 2.5}}\n",
        );
        let wanted = HealthChecks {
            probe: Probe::Connect,
            timeout: Duration::from_millis(2500),
            concurrency: 3,
            background: true,
            interval: Duration::from_secs(60),
            routes: true,
            details: false,
        };
        assert_eq!(read, wanted);
    }

    #[test]
    fn what_is_no_sensible_value_is_an_error_with_its_line() {
        for (text, told) in [
            ("general_settings: {health_check_concurrency: 0}\n", "a whole number from 1 to 1000"),
            ("general_settings: {health_check_concurrency: 1.5}\n", "a whole number from 1 to 1000"),
            ("general_settings: {health_check_interval: 0}\n", "a number of seconds above 0"),
            ("ai_api_settings: {health_checks: {probe: ping}}\n", "expected connect, models or completion"),
            ("ai_api_settings: {health_checks: {prob: models}}\n", "did you mean `probe`?"),
            ("ai_api_settings: {health_checks: 1}\n", "expected a map"),
            ("router_settings: {enable_health_check_routing: true}\n", "without effect as long as"),
        ] {
            let (_, findings) = read(text);
            assert!(findings.iter().any(|finding| finding.contains(told)), "{text}: {findings:?}");
        }
    }
}

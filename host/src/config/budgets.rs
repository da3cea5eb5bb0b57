//! Budgets that the configuration names: of the whole gateway, of deployments and of providers.

use std::collections::BTreeMap;

use super::at::At;
use super::deployment::Deployment;
use super::report::Report;
use crate::limits::{Allowance, Span, usual_beginning};
use crate::money::Money;

/// Budgets, and how they are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// `litellm_settings.max_budget` and `budget_duration`: of all calls together, the master key's among them.
    pub gateway: Option<Allowance>,
    /// `max_budget` and `budget_duration` of deployments, by their ids.
    pub deployments: BTreeMap<String, Allowance>,
    /// `router_settings.provider_budget_config`.
    pub providers: BTreeMap<String, Allowance>,
    /// `litellm_settings.budget_exceeded_status_code`.
    pub exceeded_status: u16,
    /// What a call may cost is reserved before it: not with `general_settings.disable_budget_reservation`.
    pub reserves: bool,
    /// A call whose own model's limit is used up may go to the model's fallbacks: not with
    /// `general_settings.disable_fallbacks_on_per_model_rate_limits`.
    pub fallbacks_on_model_limits: bool,
}

// === impl Budgets ===

impl Default for Budgets {
    fn default() -> Self {
        Self {
            gateway: None,
            deployments: BTreeMap::new(),
            providers: BTreeMap::new(),
            exceeded_status: 422,
            reserves: true,
            fallbacks_on_model_limits: true,
        }
    }
}

impl Budgets {
    pub(super) fn read(root: &At<'_>, deployments: &[Deployment], report: &mut Report) -> Self {
        let section = |name| root.get(name);
        let (litellm, general) = (section("litellm_settings"), section("general_settings"));
        let sections = litellm.iter().chain(&general).collect::<Vec<_>>();
        // Both have these keys; the first that has one has the other.
        let of_all = sections.iter().find(|section| section.get("max_budget").is_some());
        let gateway =
            of_all.and_then(|section| allowance(section.get("max_budget"), section.get("budget_duration"), report));
        let mut flag = |key: &str| general.as_ref()?.get(key)?.flag(report);
        let reserves = !flag("disable_budget_reservation").unwrap_or(false);
        let fallbacks_on_model_limits = !flag("disable_fallbacks_on_per_model_rate_limits").unwrap_or(false);
        let status = litellm.as_ref().and_then(|section| section.get("budget_exceeded_status_code"));
        let exceeded_status = status.and_then(|at| match at.whole(report)? {
            status @ 400..=599 => u16::try_from(status).ok(),
            _ => at.expected("a status from 400 to 599", report),
        });
        let of_deployment = |deployment: &Deployment| Some((deployment.id.clone(), deployment.routing.budget?));
        Self {
            gateway,
            deployments: deployments.iter().filter_map(of_deployment).collect(),
            providers: of_providers(root, report),
            exceeded_status: exceeded_status.unwrap_or(422),
            reserves,
            fallbacks_on_model_limits,
        }
    }
}

impl Budgets {
    /// Whether there is any.
    pub fn are_any(&self) -> bool {
        self.gateway.is_some() || self.are_of_deployments()
    }

    /// Whether any deployment, or any provider, has one.
    pub fn are_of_deployments(&self) -> bool {
        !self.deployments.is_empty() || !self.providers.is_empty()
    }
}

/// `provider_budget_config: {openai: {budget_limit: 10, time_period: 1d}}`; LiteLLM takes `max_budget` and
/// `budget_duration` there too.
fn of_providers(root: &At<'_>, report: &mut Report) -> BTreeMap<String, Allowance> {
    let config = root.get("router_settings").and_then(|section| section.map("provider_budget_config", report));
    let mut budgets = BTreeMap::new();
    for (provider, at) in config.iter().flat_map(At::entries) {
        let names = [("budget_limit", "time_period"), ("max_budget", "budget_duration")];
        let named = names.into_iter().find(|(max, _)| at.get(max).is_some());
        match named {
            Some((max, period)) => {
                budgets
                    .extend(allowance(at.get(max), at.get(period), report).map(|budget| (provider.to_owned(), budget)));
            }
            None => _ = at.expected::<()>("a map with budget_limit and time_period", report),
        }
    }
    budgets
}

/// Money, and how long it is for.
pub(super) fn allowance(max: Option<At<'_>>, period: Option<At<'_>>, report: &mut Report) -> Option<Allowance> {
    let max = money(&max?, report)?;
    let period = match period {
        Some(at) => Some(span(&at, report)?),
        None => None,
    };
    Some(Allowance { max, period: period.map(|span| (span, usual_beginning(span))) })
}

/// US dollars.
fn money(at: &At<'_>, report: &mut Report) -> Option<Money> {
    let usd = at.number_from_zero(report)?;
    Money::from_f64(usd).or_else(|| at.expected("an amount below 9 million dollars", report))
}

/// `30s`, `24h`, `30d`, `1mo`.
fn span(at: &At<'_>, report: &mut Report) -> Option<Span> {
    let text = at.text(report)?;
    Span::parse(&text).ok().or_else(|| at.expected("a span of time such as 30s, 5m, 24h, 7d or 1mo", report))
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    fn read(text: &str) -> (Budgets, Vec<String>) {
        let root = yaml::parse(text, &"config.yml".into()).expect("the text is YAML");
        let mut report = Report::default();
        let budgets = Budgets::read(&At::root(&root), &[], &mut report);
        (budgets, report.findings().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nothing_is_limited_where_nothing_is_said() {
        assert_eq!(read("model_list: []\n"), (Budgets::default(), Vec::new()));
    }

    #[test]
    fn the_gateways_budget_and_those_of_providers_are_read() {
        let (budgets, findings) = read(
            "litellm_settings: {max_budget: 12.5, budget_duration: 30d, budget_exceeded_status_code: 429}\n\
             general_settings: {disable_budget_reservation: true}\n\
             router_settings: {provider_budget_config: {openai: {budget_limit: 1e-12, time_period: 1d}, groq: {max_budget: 2}}}\n",
        );
        assert_eq!(findings, Vec::<String>::new());
        let gateway = budgets.gateway.expect("there is one");
        assert_eq!(gateway.max.to_string(), "12.5");
        assert_eq!(gateway.period.expect("it has one").0, Span::Seconds(30 * 86_400));
        assert_eq!((budgets.exceeded_status, budgets.reserves), (429, false));
        assert_eq!(budgets.providers["openai"].max, Money::from_pico(1));
        assert_eq!(budgets.providers["groq"].period, None);
    }

    #[test]
    fn a_budget_that_is_none_is_told_with_its_line() {
        for (text, told) in [
            ("litellm_settings:\n  max_budget: -1\n", "config.yml:2: litellm_settings.max_budget: expected"),
            ("litellm_settings:\n  max_budget: .nan\n", "config.yml:2: litellm_settings.max_budget: expected"),
            ("litellm_settings:\n  max_budget: 1e9\n", "config.yml:2: litellm_settings.max_budget: expected"),
            ("litellm_settings: {max_budget: 1}\n\n", ""),
            (
                "litellm_settings:\n  max_budget: 1\n  budget_duration: fortnight\n",
                "config.yml:3: litellm_settings.budget_duration: expected a span of time",
            ),
            (
                "litellm_settings:\n  budget_exceeded_status_code: 200\n",
                "config.yml:2: litellm_settings.budget_exceeded_status_code: expected a status",
            ),
            (
                "router_settings:\n  provider_budget_config:\n    openai: 5\n",
                "config.yml:3: router_settings.provider_budget_config.openai: expected a map",
            ),
        ] {
            let (_, findings) = read(text);
            match told {
                "" => assert_eq!(findings, Vec::<String>::new()),
                told => assert!(findings.first().is_some_and(|found| found.starts_with(told)), "{text}: {findings:?}"),
            }
        }
    }
}

//! What deployments count, for `GET /metrics`: under LiteLLM's names where it has one, so that its dashboards go on.
//!
//! One member of a family for each deployment of the configuration in use, and of failures one more for each kind that
//! has happened: there are 16.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::time::Instant;

use crate::reload;
use crate::router::{FailureKind, State, Target};

type Labels = Vec<(&'static str, String)>;

#[derive(Default)]
struct Families {
    state: Family<Labels, Gauge>,
    cooled_down: Family<Labels, Counter>,
    success: Family<Labels, Counter>,
    failure: Family<Labels, Counter>,
    total: Family<Labels, Counter>,
    cancelled: Family<Labels, Counter>,
    in_flight: Family<Labels, Gauge>,
    first_bytes: Family<Labels, Counter>,
    first_byte_time: Family<Labels, Counter<f64, AtomicU64>>,
    answer_time: Family<Labels, Counter<f64, AtomicU64>>,
}

/// Adds what the deployments have counted. Counts outlive a reload, by the deployment's id.
pub(super) fn register(registry: &mut Registry, state: &reload::State) {
    let router = &state.pipeline.router;
    let (families, now) = (Families::default(), Instant::now());
    router.targets().iter().for_each(|target| families.add(target, now));
    let budgets: Family<Labels, Gauge<f64, AtomicU64>> = Family::default();
    for group in router.groups() {
        budgets.get_or_create(&vec![("model_group", group.name.clone())]).set(group.retry_budget.left(now));
    }
    let Families { state, cooled_down, success, failure, total, cancelled, in_flight, .. } = families;
    let help = "Whether a deployment is called: 0 yes, 1 one call finds out, 2 not for a while";
    registry.register("litellm_deployment_state", help, state);
    registry.register("litellm_deployment_cooled_down", "How often a deployment was left alone", cooled_down);
    registry.register("litellm_deployment_success_responses", "Attempts that a deployment answered", success);
    registry.register("litellm_deployment_failure_responses", "Attempts that failed, by kind", failure);
    registry.register("litellm_deployment_total_requests", "Attempts at a deployment", total);
    let help = "Attempts that nobody waited for any longer: clients that left, hedges that lost";
    registry.register("ai_api_deployment_cancelled", help, cancelled);
    registry.register("ai_api_deployment_in_flight", "Attempts under way", in_flight);
    registry.register("ai_api_deployment_first_bytes", "First pieces of answers that came", families.first_bytes);
    let help = "Time to first pieces of answers, added up";
    registry.register_with_unit("ai_api_deployment_first_byte", help, Unit::Seconds, families.first_byte_time);
    let help = "Time of whole answers, added up";
    registry.register_with_unit("ai_api_deployment_answer", help, Unit::Seconds, families.answer_time);
    registry.register("ai_api_retry_budget", "Retries that a model group could make now", budgets);
}

impl Families {
    fn add(&self, target: &Target, now: Instant) {
        let own = &target.deployment;
        let vitals = target.vitals.snapshot(now);
        let counts = &vitals.counts;
        let labels = vec![
            ("litellm_model_name", own.model.clone()),
            ("model_id", own.id.clone()),
            ("api_provider", own.provider.clone()),
            ("model_group", own.model_name.clone()),
        ];
        self.state.get_or_create(&labels).set(match vitals.state {
            State::Closed => 0,
            State::HalfOpen { .. } => 1,
            State::Cooling { .. } => 2,
        });
        self.cooled_down.get_or_create(&labels).inc_by(counts.cooldowns);
        self.success.get_or_create(&labels).inc_by(counts.successes);
        self.total.get_or_create(&labels).inc_by(vitals.attempts);
        self.cancelled.get_or_create(&labels).inc_by(counts.cancelled);
        self.in_flight.get_or_create(&labels).set(vitals.in_flight.into());
        self.first_bytes.get_or_create(&labels).inc_by(counts.first_bytes);
        self.first_byte_time.get_or_create(&labels).inc_by(counts.first_byte_time.as_secs_f64());
        self.answer_time.get_or_create(&labels).inc_by(counts.success_time.as_secs_f64());
        for kind in FailureKind::ALL {
            let count = counts.failures_of(kind);
            if count > 0 {
                let labels = [labels.as_slice(), &[("exception_class", kind.name().to_owned())]].concat();
                self.failure.get_or_create(&labels).inc_by(count);
            }
        }
    }
}

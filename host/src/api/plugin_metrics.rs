//! What plugins count, for `GET /metrics`.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::plugin::{Fault, Plugin, Standing, StatsSnapshot};
use crate::reload::State;

type Labels = Vec<(&'static str, String)>;

/// Families of which each plugin has a member.
#[derive(Default)]
struct Families {
    calls: Family<Labels, Counter>,
    failures: Family<Labels, Counter>,
    cpu: Family<Labels, Counter<f64, AtomicU64>>,
    peak_memory: Family<Labels, Gauge>,
    running: Family<Labels, Gauge>,
    instances: Family<Labels, Gauge>,
    instances_made: Family<Labels, Counter>,
    quarantined: Family<Labels, Gauge>,
    log_lines_dropped: Family<Labels, Counter>,
}

/// Adds what the plugins that serve have counted. Counts go on when a new version of a plugin is loaded.
pub(super) fn register(registry: &mut Registry, state: &State) {
    let families = Families::default();
    let serving = state.plugins.iter().filter(|status| status.standing.serves());
    for loaded in serving.filter_map(|status| status.loaded.as_ref()) {
        families.add(&loaded.plugin);
    }
    let Families { calls, failures, cpu, peak_memory, .. } = families;
    registry.register("ai_api_plugin_calls", "Calls that a plugin was asked to serve", calls);
    registry.register("ai_api_plugin_failures", "Calls that failed in a plugin, by kind", failures);
    registry.register_with_unit("ai_api_plugin_cpu", "Processor time inside a plugin", Unit::Seconds, cpu);
    let help = "The most memory that one instance of a plugin has had";
    registry.register_with_unit("ai_api_plugin_peak_memory", help, Unit::Bytes, peak_memory);
    registry.register("ai_api_plugin_calls_running", "Calls under way in a plugin", families.running);
    registry.register("ai_api_plugin_instances", "Instances of a plugin, waiting ones included", families.instances);
    registry.register("ai_api_plugin_instances_made", "Instances of a plugin made so far", families.instances_made);
    registry.register("ai_api_plugin_quarantined", "Whether a plugin is in quarantine", families.quarantined);
    let help = "Lines that a plugin logged beyond its limits";
    registry.register("ai_api_plugin_log_lines_dropped", help, families.log_lines_dropped);
}

impl Families {
    fn add(&self, plugin: &Plugin) {
        let StatsSnapshot {
            begun,
            finished: _,
            faults,
            cpu,
            peak_memory_bytes,
            instances,
            instances_made,
            running,
            log_lines_dropped,
        } = plugin.stats();
        let labels = vec![("plugin", plugin.manifest.name.clone())];
        self.calls.get_or_create(&labels).inc_by(begun);
        for (fault, count) in Fault::ALL.into_iter().zip(faults) {
            let labels = [labels.as_slice(), &[("kind", fault.name().to_owned())]].concat();
            self.failures.get_or_create(&labels).inc_by(count);
        }
        self.cpu.get_or_create(&labels).inc_by(cpu.as_secs_f64());
        self.peak_memory.get_or_create(&labels).set(i64::try_from(peak_memory_bytes).unwrap_or(i64::MAX));
        self.running.get_or_create(&labels).set(running.into());
        self.instances.get_or_create(&labels).set(instances.into());
        self.instances_made.get_or_create(&labels).inc_by(instances_made);
        self.quarantined.get_or_create(&labels).set((plugin.standing() != Standing::Serving).into());
        self.log_lines_dropped.get_or_create(&labels).inc_by(log_lines_dropped);
    }
}

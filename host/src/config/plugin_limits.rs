//! What a plugin may use: `ai_api_settings.plugin_limits`, AI-API's own.
//!
//! ```yaml
//! ai_api_settings:
//!   plugin_limits:
//!     "*": {call_time_ms: 1000}                  # every plugin
//!     acme: {memory_mb: 1024, concurrent_calls: 20}
//! ```
//!
//! What a plugin's own entry leaves out is taken from `"*"`, and what that leaves out has a safe default.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use super::at::At;
use super::known::{Support, nearest};
use super::report::Report;

/// The entry for every plugin.
const ALL: &str = "*";
const KIBIBYTE: usize = 1024;
const MEBIBYTE: usize = 1024 * 1024;

/// What one plugin may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    /// Linear memory of one instance, all its memories together: `memory_mb`. Room for the largest body that the
    /// gateway takes, a few times over.
    pub memory_bytes: usize,
    /// What all instances of a plugin together may grow by, beyond what they begin with: `total_memory_mb`; by default a
    /// quarter of the machine's memory, or of the container's.
    pub total_memory_bytes: usize,
    /// Linear memories of one instance: `memories`.
    pub memories: usize,
    /// Tables of one instance: `tables`.
    pub tables: usize,
    /// Elements of one table: `table_elements`.
    pub table_elements: usize,
    /// Core instances in one component: `instances`. Runtimes of other languages have dozens.
    pub instances: usize,
    /// Processor time of one guest call: `call_time_ms`.
    pub call_time: Duration,
    /// Bytes that one guest call may hand to the host: `output_mb`.
    pub output_bytes: usize,
    /// Chunks that a plugin may make of one event of its provider: `chunks_per_event`.
    pub chunks_per_event: usize,
    /// Log lines a second, of all calls together: `log_lines_per_second`.
    pub log_lines_per_second: u32,
    /// Log lines of one call: `log_lines_per_call`.
    pub log_lines_per_call: u32,
    /// Calls under way at a time: `concurrent_calls`; 0 for no limit.
    pub concurrent_calls: u32,
    /// Instances of a reusable plugin that wait for their next call: `idle_instances`.
    pub idle_instances: usize,
    /// Failures within the last 30 s that put a plugin in quarantine, if they are half of its calls:
    /// `quarantine_after`; 0 for never.
    pub quarantine_after: u32,
}

/// The limits of all plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginLimitsTable {
    all: PluginLimits,
    own: BTreeMap<String, PluginLimits>,
    /// Stack of a guest call: `stack_kb`, under `"*"` only, since one engine runs all plugins. Applied at start.
    pub stack_bytes: usize,
    /// The largest file that is taken as a plugin: `max_wasm_mb`, under `"*"` only, since a file's plugin has no name
    /// before it is loaded.
    pub max_wasm_bytes: usize,
}

/// A key: its name, the whole numbers that it may have, and where its value goes.
struct Key {
    name: &'static str,
    range: std::ops::RangeInclusive<u32>,
    set: fn(&mut PluginLimits, u32),
}

/// Every key that a plugin may have of its own.
const KEYS: &[Key] = &[
    // Wasm's own limit is 4 GiB.
    Key { name: "memory_mb", range: 1..=4096, set: |limits, n| limits.memory_bytes = n as usize * MEBIBYTE },
    Key {
        name: "total_memory_mb",
        range: 16..=16_777_216,
        set: |limits, n| limits.total_memory_bytes = n as usize * MEBIBYTE,
    },
    Key { name: "memories", range: 1..=16, set: |limits, n| limits.memories = n as usize },
    Key { name: "tables", range: 1..=256, set: |limits, n| limits.tables = n as usize },
    Key { name: "table_elements", range: 1..=1_000_000, set: |limits, n| limits.table_elements = n as usize },
    Key { name: "instances", range: 1..=1000, set: |limits, n| limits.instances = n as usize },
    Key {
        name: "call_time_ms",
        range: 10..=600_000,
        set: |limits, n| limits.call_time = Duration::from_millis(n.into()),
    },
    Key { name: "output_mb", range: 1..=4096, set: |limits, n| limits.output_bytes = n as usize * MEBIBYTE },
    Key { name: "chunks_per_event", range: 1..=1_000_000, set: |limits, n| limits.chunks_per_event = n as usize },
    Key { name: "log_lines_per_second", range: 0..=1_000_000, set: |limits, n| limits.log_lines_per_second = n },
    Key { name: "log_lines_per_call", range: 0..=1_000_000, set: |limits, n| limits.log_lines_per_call = n },
    Key { name: "concurrent_calls", range: 0..=1_000_000, set: |limits, n| limits.concurrent_calls = n },
    Key { name: "idle_instances", range: 0..=1000, set: |limits, n| limits.idle_instances = n as usize },
    Key { name: "quarantine_after", range: 0..=1_000_000, set: |limits, n| limits.quarantine_after = n },
];
const STACK: &str = "stack_kb";
const FILE: &str = "max_wasm_mb";

/// The kernel's files about memory, read once.
static QUARTER_OF_MEMORY: LazyLock<usize> = LazyLock::new(|| {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    quarter_of_memory(&read("/proc/meminfo"), &read("/sys/fs/cgroup/memory.max"))
});

/// A quarter of the machine's memory, or of what its container may have; enough for one instance at least.
fn quarter_of_memory(meminfo: &str, cgroup_max: &str) -> usize {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB"));
    let total = total.and_then(|kibibytes| kibibytes.trim().parse::<usize>().ok()).map(|n| n.saturating_mul(KIBIBYTE));
    let may = cgroup_max.trim().parse().unwrap_or(usize::MAX);
    (total.unwrap_or(4096 * MEBIBYTE).min(may) / 4).max(512 * MEBIBYTE)
}

// === impl PluginLimits ===

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 512 * MEBIBYTE,
            total_memory_bytes: *QUARTER_OF_MEMORY,
            memories: 4,
            tables: 32,
            table_elements: 100_000,
            instances: 100,
            call_time: Duration::from_secs(2),
            output_bytes: 256 * MEBIBYTE,
            chunks_per_event: 1000,
            log_lines_per_second: 100,
            log_lines_per_call: 16,
            concurrent_calls: 0,
            idle_instances: 8,
            quarantine_after: 5,
        }
    }
}

// === impl PluginLimitsTable ===

impl Default for PluginLimitsTable {
    fn default() -> Self {
        Self {
            all: PluginLimits::default(),
            own: BTreeMap::new(),
            stack_bytes: 512 * KIBIBYTE,
            max_wasm_bytes: 80 * MEBIBYTE,
        }
    }
}

impl PluginLimitsTable {
    /// The same limits, and no plugin is ever put in quarantine.
    #[must_use]
    pub fn without_quarantine(mut self) -> Self {
        for limits in self.own.values_mut().chain([&mut self.all]) {
            limits.quarantine_after = 0;
        }
        self
    }

    /// What the plugin `name` may use.
    pub fn of(&self, name: &str) -> &PluginLimits {
        self.own.get(name).unwrap_or(&self.all)
    }

    /// The most that any plugin may use, of each kind.
    pub fn most(&self) -> PluginLimits {
        self.own.values().fold(self.all, |most, limits| PluginLimits {
            memory_bytes: most.memory_bytes.max(limits.memory_bytes),
            memories: most.memories.max(limits.memories),
            tables: most.tables.max(limits.tables),
            table_elements: most.table_elements.max(limits.table_elements),
            instances: most.instances.max(limits.instances),
            call_time: most.call_time.max(limits.call_time),
            output_bytes: most.output_bytes.max(limits.output_bytes),
            ..most
        })
    }

    pub(super) fn read(root: &At<'_>, report: &mut Report) -> Self {
        let mut table = Self::default();
        let section = root.map("ai_api_settings", report).and_then(|own| own.map("plugin_limits", report));
        let Some(section) = section else { return table };
        let maps: Vec<(&str, At<'_>)> =
            section.entries().filter_map(|(name, _)| Some((name, section.map(name, report)?))).collect();
        if let Some((_, at)) = maps.iter().find(|(name, _)| *name == ALL) {
            table.all = keys(at, table.all, report);
            table.read_engine(at, report);
        }
        for (name, at) in maps.iter().filter(|(name, _)| *name != ALL) {
            let limits = keys(at, table.all, report);
            table.own.insert((*name).to_owned(), limits);
            for key in [STACK, FILE] {
                if let Some(at) = at.get(key) {
                    at.error(format!("it is for all plugins together: set it under \"{ALL}\""), report);
                }
            }
        }
        table
    }

    fn read_engine(&mut self, at: &At<'_>, report: &mut Report) {
        if let Some(kibibytes) = at.get(STACK).and_then(|at| whole(&at, &(64..=16_384), report)) {
            self.stack_bytes = kibibytes as usize * KIBIBYTE;
        }
        if let Some(mebibytes) = at.get(FILE).and_then(|at| whole(&at, &(1..=4096), report)) {
            self.max_wasm_bytes = mebibytes as usize * MEBIBYTE;
        }
    }
}

/// The limits of one entry, where `limits` says what it leaves out.
fn keys(entry: &At<'_>, mut limits: PluginLimits, report: &mut Report) -> PluginLimits {
    for (name, at) in entry.entries() {
        if matches!(name, STACK | FILE) {
            continue;
        }
        match KEYS.iter().find(|key| key.name == name) {
            Some(_) if at.node.is_none() => {}
            Some(key) => {
                if let Some(value) = whole(&at, &key.range, report) {
                    (key.set)(&mut limits, value);
                }
            }
            None => {
                let near = nearest(name, KEYS.iter().map(|key| key.name).chain([STACK, FILE]));
                let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                at.error(format!("there is no such limit{hint}"), report);
            }
        }
    }
    limits
}

/// A whole number of `range`.
fn whole(at: &At<'_>, range: &std::ops::RangeInclusive<u32>, report: &mut Report) -> Option<u32> {
    let what = format!("a whole number from {} to {}", range.start(), range.end());
    let number = at.number(&what, report)?;
    if number.fract() == 0.0 && (f64::from(*range.start())..=f64::from(*range.end())).contains(&number) {
        Support::Honoured("").report(at, report);
        Some(number as u32)
    } else {
        at.expected(&what, report)
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    fn read(limits: &str) -> (PluginLimitsTable, Vec<String>) {
        let text = format!("ai_api_settings:\n  plugin_limits:\n{limits}");
        let root = yaml::parse(&text, &"config.yml".into()).expect("the text is YAML");
        let mut report = Report::default();
        let table = PluginLimitsTable::read(&At::root(&root), &mut report);
        let errors = report.of(super::super::Severity::Error).map(ToString::to_string).collect();
        (table, errors)
    }

    #[test]
    fn by_default_a_plugin_may_have_a_quarter_of_the_memory() {
        for (meminfo, cgroup_max, mebibytes) in [
            ("MemTotal:       16777216 kB\nMemFree: 1 kB\n", "", 4096),
            ("MemTotal:       16777216 kB\n", "max\n", 4096),
            ("MemTotal:       16777216 kB\n", "4294967296\n", 1024),
            ("MemTotal:       1048576 kB\n", "", 512),
            ("", "", 1024),
        ] {
            assert_eq!(quarter_of_memory(meminfo, cgroup_max), mebibytes * MEBIBYTE, "{meminfo:?} {cgroup_max:?}");
        }
    }

    #[test]
    fn a_plugins_own_limits_come_before_those_of_all_and_those_before_the_defaults() {
        let (table, errors) = read(
            "    \"*\": {memory_mb: 64, call_time_ms: '500', stack_kb: 256, max_wasm_mb: 10}\n    acme: {memory_mb: 1024}\n",
        );
        assert_eq!(errors, Vec::<String>::new());
        let (acme, other) = (table.of("acme"), table.of("other"));
        assert_eq!((acme.memory_bytes, other.memory_bytes), (1024 << 20, 64 << 20));
        assert_eq!((acme.call_time, other.call_time), (Duration::from_millis(500), Duration::from_millis(500)));
        assert_eq!(acme.tables, PluginLimits::default().tables);
        assert_eq!((table.stack_bytes, table.max_wasm_bytes), (256 << 10, 10 << 20));
        assert_eq!(table.most().memory_bytes, 1024 << 20);
    }

    #[test]
    fn the_order_of_the_entries_does_not_matter() {
        let (table, _) = read("    acme: {tables: 2}\n    \"*\": {memory_mb: 64}\n");
        assert_eq!(table.of("acme").memory_bytes, 64 << 20);
    }

    #[test]
    fn what_makes_no_sense_is_an_error_with_its_line() {
        for (entry, says) in [
            (
                "acme: {memory_mb: 0}",
                "config.yml:3: ai_api_settings.plugin_limits.acme.memory_mb: expected a whole number from 1 to 4096, got 0",
            ),
            ("acme: {memory_mb: 4097}", "from 1 to 4096"),
            ("acme: {memory_mb: 1.5}", "from 1 to 4096"),
            ("acme: {call_time_ms: forever}", "from 10 to 600000"),
            ("acme: {memroy_mb: 10}", "there is no such limit; did you mean `memory_mb`?"),
            ("acme: {colour: 10}", "there is no such limit"),
            ("acme: {stack_kb: 100}", "set it under \"*\""),
            ("acme: {max_wasm_mb: 100}", "set it under \"*\""),
            ("\"*\": {stack_kb: 1}", "from 64 to 16384"),
            ("acme: 3", "expected a map"),
        ] {
            let (_, errors) = read(&format!("    {entry}\n"));
            assert!(errors.len() == 1 && errors[0].contains(says), "{entry}: {errors:?}");
        }
    }
}

//! Counts, the file that they are kept in, and what is said of those that changed.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, bail};

/// What was counted, and so how exactly it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// WebAssembly instructions: the same on every machine, for the same bytes of a plugin.
    Fuel,
    /// The processor's instructions, under callgrind: they change with libc, and a little with the hash maps' seeds.
    Host,
}

/// One count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// What it is a count of.
    pub kind: Kind,
    /// Which stage.
    pub stage: String,
    /// How many instructions.
    pub count: u64,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Fuel => "fuel",
            Self::Host => "host",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Fuel, Self::Host].into_iter().find(|kind| kind.word() == word)
    }
}

/// What counts were made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    /// The compiler of the plugins.
    pub guests: String,
    /// The compiler of the gateway, and its target.
    pub host: String,
}

/// The counts of one day: in the file, or taken now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// What they were made with.
    pub tools: Tools,
    /// In their order.
    pub all: Vec<Count>,
}

const HEADER: &str = "\
# What each stage costs, in instructions: written by `make instructions ACCEPT=1`, checked by `make instructions`.
# fuel: WebAssembly instructions of a plugin's function; host: the processor's, under callgrind, of a stage of the gateway.
";

impl Counts {
    /// Reads what [`Counts::to_text`] wrote.
    ///
    /// # Errors
    /// A line is none of ours.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut counts = Self::default();
        for (index, line) in text.lines().enumerate() {
            if let Some(comment) = line.strip_prefix('#') {
                let Tools { guests, host } = &mut counts.tools;
                for (key, tool) in [(" guests: ", guests), (" host: ", host)] {
                    if let Some(text) = comment.strip_prefix(key) {
                        text.clone_into(tool);
                    }
                }
                continue;
            }
            let broken = || format!("line {} is no kind, stage and count with tabs between them", index + 1);
            let mut fields = line.split('\t');
            let (Some(kind), Some(stage), Some(count), None) =
                (fields.next().and_then(Kind::of), fields.next(), fields.next(), fields.next())
            else {
                bail!(broken());
            };
            let count = count.parse().with_context(broken)?;
            counts.all.push(Count { kind, stage: stage.to_owned(), count });
        }
        Ok(counts)
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let mut text = HEADER.to_owned();
        let Tools { guests, host } = &self.tools;
        let _ = writeln!(text, "# guests: {guests}\n# host: {host}");
        for Count { kind, stage, count } in &self.all {
            let _ = writeln!(text, "{}\t{stage}\t{count}", kind.word());
        }
        text
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Count> {
        self.all.iter().filter(move |count| count.kind == kind)
    }

    /// The same with the counts of `kind` from `other`, where there are none here.
    #[must_use]
    pub fn or(mut self, other: &Self, kind: Kind) -> Self {
        if self.of(kind).next().is_none() {
            self.all.extend(other.of(kind).cloned());
            match kind {
                Kind::Fuel => self.tools.guests.clone_from(&other.tools.guests),
                Kind::Host => self.tools.host.clone_from(&other.tools.host),
            }
        }
        self
    }
}

/// So many instructions more are never worth a word: a few stages have no more than a few hundred.
const SLACK: u64 = 20;

/// By how much a count may change, in percent.
///
/// Fuel is exact, but another compiler makes other code. What callgrind counts is the same to half a percent on one
/// machine; another libc or processor has other ways to copy, and a change elsewhere in the gateway may have something
/// inlined or not.
fn tolerance(kind: Kind, same_tools: bool) -> f64 {
    match (kind, same_tools) {
        (Kind::Fuel, true) => 1.0,
        (Kind::Fuel, false) | (Kind::Host, true) => 10.0,
        (Kind::Host, false) => 20.0,
    }
}

/// What became of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Same,
    Better,
    Worse,
    New,
    Gone,
}

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The table and what is to be done about it.
    pub text: String,
    /// Whether no stage costs more than it may, and the file knows all of them.
    pub passes: bool,
}

/// Compares what was counted now with the file. Kinds that were not counted are left out.
pub fn compare(committed: &Counts, now: &Counts) -> Verdict {
    let mut text = String::new();
    let mut found: BTreeMap<&'static str, usize> = BTreeMap::new();
    for kind in [Kind::Fuel, Kind::Host] {
        if now.of(kind).next().is_none() {
            continue;
        }
        let (was, is) = match kind {
            Kind::Fuel => (&committed.tools.guests, &now.tools.guests),
            Kind::Host => (&committed.tools.host, &now.tools.host),
        };
        let percent = tolerance(kind, was == is);
        let _ = writeln!(text, "{:<58}{:>12}{:>12}{:>10}", heading(kind), "committed", "now", "change");
        for (stage, before, after) in pairs(committed, now, kind) {
            let change = judge(before, after, percent);
            let number = |count: Option<u64>| count.map_or_else(|| "–".to_owned(), |count| count.to_string());
            let difference = difference(before, after).map_or_else(String::new, |change| format!("{change:+.1} %"));
            let (mark, counted) = match change {
                Change::Same => ("", None),
                Change::Better => ("better", Some("better")),
                Change::Worse => ("WORSE", Some("worse")),
                Change::New => ("new", Some("unknown")),
                Change::Gone => ("gone", Some("unknown")),
            };
            counted.into_iter().for_each(|what| *found.entry(what).or_default() += 1);
            let line = format!("{stage:<58}{:>12}{:>12}{difference:>10}  {mark}", number(before), number(after));
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let _ = writeln!(text, "tolerance: {percent} %\n");
        if was != is {
            let _ = writeln!(text, "counted with other tools than those of the file, hence the tolerance:");
            let _ = writeln!(text, "  file: {was}\n  now:  {is}\n");
        }
    }
    let count = |what| found.get(what).copied().unwrap_or_default();
    let (worse, better, unknown) = (count("worse"), count("better"), count("unknown"));
    let accept = "make instructions ACCEPT=1, and commit bench/stages/instructions.tsv";
    if worse > 0 {
        let _ = writeln!(text, "FAILED: {worse} more expensive than before. If that has to be: {accept}");
    } else if unknown > 0 {
        let _ = writeln!(text, "FAILED: {unknown} new or gone: {accept}");
    }
    if better > 0 {
        let _ = writeln!(text, "{better} cheaper than before: so that it stays so, {accept}");
    }
    Verdict { text, passes: worse == 0 && unknown == 0 }
}

fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::Fuel => "plugins (WebAssembly instructions)",
        Kind::Host => "gateway (processor's instructions, under callgrind)",
    }
}

/// Every stage of either, those of now first.
fn pairs<'a>(
    committed: &'a Counts,
    now: &'a Counts,
    kind: Kind,
) -> impl Iterator<Item = (&'a str, Option<u64>, Option<u64>)> {
    let find = move |counts: &'a Counts, stage: &str| counts.of(kind).find(|c| c.stage == stage).map(|c| c.count);
    let current = now.of(kind).map(move |c| (c.stage.as_str(), find(committed, &c.stage), Some(c.count)));
    let gone = committed.of(kind).filter(move |c| find(now, &c.stage).is_none());
    current.chain(gone.map(|c| (c.stage.as_str(), Some(c.count), None)))
}

fn difference(before: Option<u64>, after: Option<u64>) -> Option<f64> {
    let (before, after) = (before? as f64, after? as f64);
    Some(if before == after { 0.0 } else { (after - before) * 100.0 / before })
}

fn judge(before: Option<u64>, after: Option<u64>, percent: f64) -> Change {
    match (before, after, difference(before, after)) {
        (None, _, _) => Change::New,
        (_, None, _) => Change::Gone,
        (Some(before), Some(after), _) if before.abs_diff(after) <= SLACK => Change::Same,
        (_, _, Some(change)) if change > percent => Change::Worse,
        (_, _, Some(change)) if change < -percent => Change::Better,
        _ => Change::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(all: &[(Kind, &str, u64)]) -> Counts {
        let all =
            all.iter().map(|(kind, stage, count)| Count { kind: *kind, stage: (*stage).to_owned(), count: *count });
        Counts { tools: Tools { guests: "rustc 1".to_owned(), host: "rustc 1, x86_64".to_owned() }, all: all.collect() }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let counts = counts(&[(Kind::Fuel, "echo, small chat: begin", 7), (Kind::Host, "body: read", 9)]);
        assert_eq!(Counts::parse(&counts.to_text()).unwrap(), counts);
        assert!(Counts::parse("fuel\tbegin\tmany\n").unwrap_err().to_string().contains("line 1"));
        assert!(Counts::parse("# x\nsteam\tbegin\t1\n").unwrap_err().to_string().contains("line 2"));
    }

    #[test]
    fn a_stage_that_costs_more_fails_and_one_within_the_tolerance_does_not() {
        let committed = counts(&[(Kind::Fuel, "begin", 10_000), (Kind::Host, "read", 10_000)]);
        for (fuel, host, passes) in [(1000, 1000, true), (1010, 1100, true), (1011, 1000, false), (1000, 1101, false)] {
            let (fuel, host) = (fuel * 10, host * 10);
            let verdict = compare(&committed, &counts(&[(Kind::Fuel, "begin", fuel), (Kind::Host, "read", host)]));
            assert_eq!(verdict.passes, passes, "{}", verdict.text);
            assert_eq!(verdict.text.contains("WORSE"), !passes, "{}", verdict.text);
        }
    }

    #[test]
    fn an_improvement_passes_and_asks_to_be_kept() {
        let verdict = compare(&counts(&[(Kind::Fuel, "begin", 1000)]), &counts(&[(Kind::Fuel, "begin", 500)]));
        assert!(verdict.passes && verdict.text.contains("-50.0 %  better"), "{}", verdict.text);
        assert!(verdict.text.contains("so that it stays so"), "{}", verdict.text);
    }

    #[test]
    fn a_stage_that_the_file_does_not_know_or_that_is_gone_fails() {
        let (old, new) = (counts(&[(Kind::Fuel, "old", 1)]), counts(&[(Kind::Fuel, "new", 1)]));
        let verdict = compare(&old, &new);
        assert!(!verdict.passes && verdict.text.contains("FAILED: 2 new or gone"), "{}", verdict.text);
    }

    #[test]
    fn what_was_not_counted_is_neither_judged_nor_forgotten() {
        let committed = counts(&[(Kind::Fuel, "begin", 1), (Kind::Host, "read", 1)]);
        let now = counts(&[(Kind::Fuel, "begin", 1)]);
        assert!(compare(&committed, &now).passes);
        assert_eq!(now.or(&committed, Kind::Host), committed);
    }

    #[test]
    fn another_compiler_makes_other_code() {
        let committed = counts(&[(Kind::Fuel, "begin", 1000)]);
        let mut now = counts(&[(Kind::Fuel, "begin", 1050)]);
        assert!(!compare(&committed, &now).passes);
        now.tools.guests = "rustc 2".to_owned();
        let verdict = compare(&committed, &now);
        assert!(verdict.passes && verdict.text.contains("file: rustc 1\n  now:  rustc 2"), "{}", verdict.text);
    }
}

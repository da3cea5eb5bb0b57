//! `docs/reliability.md`, written from what became of the cases.

use std::fmt::Write;
use std::path::Path;

use ai_api_e2e::Wire;

use super::Observed;
use super::arrangements::{Arrangement, Case};
use super::cell::Cell;
use super::faults::{self, Fault};

const FILE: &str = "docs/reliability.md";
const UPDATE: &str = "UPDATE_RELIABILITY";
const INTRODUCTION: &str = include_str!("introduction.md");

/// Panics unless the file says the same.
pub(super) fn check(cases: &[Case], observed: &[Observed]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in a folder of the project");
    let report = report(cases, observed);
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(root.join(FILE), &report).expect("the docs can be written");
    }
    let written = std::fs::read_to_string(root.join(FILE)).unwrap_or_default();
    assert!(written == report, "{FILE} is out of date: run `{UPDATE}=1 cargo test -p ai-api-e2e reliability`");
}

fn report(cases: &[Case], observed: &[Observed]) -> String {
    let mut text = INTRODUCTION.to_owned();
    for arrangement in Arrangement::ALL {
        text.push_str(title(arrangement));
        text.push_str("| The provider | asked for | the client sees | calls | in the log | tokens |\n");
        text.push_str("|---|---|---|---|---|---|\n");
        for fault in faults::ALL {
            let both = [false, true].map(|streaming| {
                let case = Case { fault, streaming, arrangement };
                let at = cases.iter().position(|known| *known == case)?;
                Some(columns(observed.iter().map(|wire| (wire.wire, &wire.cells[at]))))
            });
            match both {
                [Some(whole), Some(stream)] if whole == stream => row(&mut text, fault, "either", &whole),
                [whole, stream] => {
                    for (asked, columns) in [("an answer", whole), ("a stream", stream)] {
                        columns.iter().for_each(|columns| row(&mut text, fault, asked, columns));
                    }
                }
            }
        }
    }
    text
}

fn title(arrangement: Arrangement) -> &'static str {
    match arrangement {
        Arrangement::Lone => "\n## A lone deployment\n\n",
        Arrangement::Group => "\n## A group with a second, healthy deployment\n\n",
        Arrangement::Fallback => "\n## A lone deployment, and a fallback to another group\n\n",
        Arrangement::Continuation => {
            "\n## A group with a second deployment, and `enable_mid_stream_fallback_continuation`\n\nOnly what differs \
             from the group without it: streams that break after a text.\n\n"
        }
    }
}

fn row(text: &mut String, fault: Fault, asked: &str, columns: &[String; 4]) {
    writeln!(text, "| {} | {asked} | {} |", fault.title(), columns.join(" | ")).expect("a string takes everything");
}

/// What the client sees, calls, log and tokens; where the wires differ, each with its name.
fn columns<'a>(cells: impl Iterator<Item = (Wire, &'a Cell)>) -> [String; 4] {
    let cells: Vec<(Wire, [String; 4])> = cells.map(|(wire, cell)| (wire, texts(cell))).collect();
    [0, 1, 2, 3].map(|column| {
        let mut values: Vec<(&str, Vec<&str>)> = Vec::new();
        for (wire, texts) in &cells {
            match values.iter_mut().find(|(value, _)| *value == texts[column]) {
                Some((_, wires)) => wires.push(name(*wire)),
                None => values.push((&texts[column], vec![name(*wire)])),
            }
        }
        match &values[..] {
            [(value, _)] => (*value).to_owned(),
            several => {
                let several = several.iter().map(|(value, wires)| format!("{}: {value}", wires.join(", ")));
                several.collect::<Vec<_>>().join("<br>")
            }
        }
    })
}

fn texts(cell: &Cell) -> [String; 4] {
    let [faulty, healthy] = cell.calls;
    [cell.seen.to_string(), format!("{faulty} + {healthy}"), cell.log.text(), cell.log.counted()]
}

fn name(wire: Wire) -> &'static str {
    match wire {
        Wire::OpenAi => "OpenAI",
        Wire::Anthropic => "Anthropic",
        Wire::Gemini => "Gemini",
    }
}

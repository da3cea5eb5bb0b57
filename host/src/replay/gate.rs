//! One recording through two versions of a plugin: what differs, by JSON path.

use std::fmt;

use serde_json::Value;

use super::diff::{Difference, diff};
use super::{Cuts, Played, Scene, play};
use crate::plugin::Plugin;
use crate::prices::Prices;
use crate::usage::Usage;

/// What of a call differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What goes to the provider, and what the translation says it lost.
    Request,
    /// What the client gets.
    Answer,
    /// What is accounted.
    Usage,
    /// What that costs.
    Cost,
}

/// What two versions made of one recording.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Where they differ.
    pub differences: Vec<(Part, Difference)>,
    /// What the call costs by the old one and by the new one, in USD, where the model's price is known.
    pub cost: Option<(f64, f64)>,
}

/// Plays `scene` through both, under the same id, at the same time.
pub async fn compare(old: &Plugin, new: &Plugin, scene: &Scene) -> Comparison {
    let before = play(old, scene, Cuts::Every(1)).await;
    let after = play(new, scene, Cuts::Every(1)).await;
    let mut differences = Vec::new();
    let mut look = |part, at: &str, before: Value, after: Value| {
        differences.extend(diff(at, &before, &after).into_iter().map(|found| (part, found)));
    };
    look(Part::Request, "requests", before.requests_json(), after.requests_json());
    look(Part::Request, "warnings", before.warnings_json(), after.warnings_json());
    look(Part::Answer, "answer", before.answer_json(), after.answer_json());
    look(Part::Answer, "chunks", before.chunks_json().into(), after.chunks_json().into());
    look(Part::Usage, "usage", before.usage_json(), after.usage_json());
    let cost = cost(old, scene, &before).zip(cost(new, scene, &after));
    if let Some((before, after)) = cost {
        look(Part::Cost, "cost", dollars(before), dollars(after));
    }
    Comparison { differences, cost }
}

/// What a call cost, where the model's price is known.
fn cost(plugin: &Plugin, scene: &Scene, played: &Played) -> Option<f64> {
    let price = Prices::default().of(&plugin.manifest.name, &scene.model)?;
    Some(price.cost(&Usage::from(played.usage?))?.total.as_f64())
}

/// `$0.001234`: sums of floats that differ in their last digit are the same money.
pub fn dollars(cost: f64) -> Value {
    format!("${cost:.8}").trim_end_matches('0').trim_end_matches('.').into()
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Answer => "answer",
            Self::Usage => "usage",
            Self::Cost => "cost",
        })
    }
}

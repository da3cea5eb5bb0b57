//! What several rounds say of a figure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Metric, Run};

/// A figure over all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// The spread of each figure; rounds that lack one don't count for it.
pub(crate) fn summarise(runs: &[Run]) -> BTreeMap<Metric, Spread> {
    let mut values: BTreeMap<Metric, Vec<f64>> = BTreeMap::new();
    for (metric, value) in runs.iter().flatten() {
        values.entry(*metric).or_default().push(*value);
    }
    values.into_iter().filter_map(|(metric, values)| Some((metric, Spread::of(values)?))).collect()
}

// === impl Spread ===

impl Spread {
    /// The median of an even number of values is the mean of the two in the middle.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_and_the_ends() {
        for (values, expected) in [
            (vec![3.0], Some((3.0, 3.0, 3.0))),
            (vec![9.0, 1.0, 2.0], Some((2.0, 1.0, 9.0))),
            (vec![4.0, 1.0, 2.0, 8.0], Some((3.0, 1.0, 8.0))),
            (vec![], None),
        ] {
            let spread = Spread::of(values).map(|spread| (spread.median, spread.min, spread.max));
            assert_eq!(spread, expected);
        }
    }

    #[test]
    fn a_figure_that_a_round_lacks_is_that_of_the_others() {
        let runs = [Run::from([(Metric::LagP50, 1.0)]), Run::new(), Run::from([(Metric::LagP50, 3.0)])];
        assert_eq!(summarise(&runs)[&Metric::LagP50].median, 2.0);
    }
}

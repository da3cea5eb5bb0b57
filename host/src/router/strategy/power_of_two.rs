//! `power-of-two-choices`: two are drawn, and the one serves that would sooner be done.
//!
//! It leaves a slow deployment alone almost as well as looking at all of them would, and doesn't send everybody to the
//! same one at the same moment.

use std::sync::Arc;

use super::{Ask, Strategy};
use crate::router::{Reason, Target};

#[derive(Debug)]
pub(super) struct PowerOfTwo;

impl Strategy for PowerOfTwo {
    fn choose(&self, candidates: &[&Arc<Target>], ask: &Ask<'_>) -> (usize, Reason) {
        let (one, other) = ask.dice.two_below(candidates.len());
        let (Some(first), Some(second)) = (candidates.get(one), candidates.get(other)) else {
            return (0, Reason::Unmeasured);
        };
        let pace = |target: &Target| target.vitals.pace(ask.streaming, ask.now);
        let (paces, busy) = ((pace(first), pace(second)), (first.vitals.in_flight(), second.vitals.in_flight()));
        match paces {
            // One call finds out how quick it is; until then it is taken to be as quick as the other.
            (None, Some(_)) if busy.0 == 0 => return (one, Reason::Unmeasured),
            (Some(_), None) if busy.1 == 0 => return (other, Reason::Unmeasured),
            _ => {}
        }
        let alike = paces.0.or(paces.1).unwrap_or(1.0);
        let score = |pace: Option<f64>, in_flight: u32| pace.unwrap_or(alike) * (f64::from(in_flight) + 1.0);
        let (score, against) = (score(paces.0, busy.0), score(paces.1, busy.1));
        if against < score {
            (other, Reason::PowerOfTwo { score: against, against: score })
        } else {
            (one, Reason::PowerOfTwo { score, against })
        }
    }
}

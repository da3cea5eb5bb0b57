//! What a call comes to: its usage, estimated where nobody says, and what that costs. Worked out once for each attempt.

use std::time::Duration;

use super::{CallEntry, Entry, Meter, Outcome, Tally, Usage};
use crate::plugin::Operation;
use crate::prices::{Cost, Pricing};
use crate::router::Route;

impl Entry {
    /// More of the answer is on its way to the client.
    pub fn went_by(&mut self, tally: Tally) {
        if let Some(call) = &mut self.call {
            call.tally.add_all(tally);
        }
    }

    /// The answer is here as a whole, so many bytes.
    pub fn settle_whole(&mut self, bytes: usize) {
        if let Some(call) = &mut self.call {
            call.tally.add(bytes);
        }
        self.settle_as(true);
    }

    /// The stream was cut, and somebody else goes on with it: what it came to until then.
    pub fn cut(&mut self) -> Option<Usage> {
        let said = self.used();
        self.usage = None;
        match &mut self.call {
            Some(call) => call.estimated(said, false, false),
            None => said,
        }
    }

    /// An attempt failed, or isn't waited for: what it used all the same, as its provider says, or else the prompt, if the
    /// provider has that.
    pub fn charge_failed(&mut self, route: &Route, said: Option<Usage>, is_sent: bool) -> Option<Usage> {
        let took = self.elapsed();
        let Some(call) = &mut self.call else { return said };
        let usage = said.or_else(|| is_sent.then(|| call.prompt_alone()));
        if let Some(usage) = usage {
            call.charge(&route.target.deployment.pricing, usage, &route.model, took);
            // Nothing of it is left for whoever answers.
            call.tally = Tally::default();
        }
        usage
    }

    /// The call is over.
    pub(super) fn settle(&mut self) {
        self.settle_as(self.outcome == Outcome::Complete);
    }

    fn settle_as(&mut self, is_whole: bool) {
        let (said, took) = (self.used(), self.elapsed());
        let is_sent = self.meter.as_ref().is_some_and(Meter::is_sent);
        let Some(call) = self.call.as_mut().filter(|call| !call.is_settled) else { return };
        call.is_settled = true;
        self.usage = call.estimated(said, is_whole, is_sent);
        if let (Some(usage), Some(by), Some(pricing)) = (self.usage, &self.served_by, call.pricing.take()) {
            call.charge(&pricing, usage, &by.model, took);
        }
    }
}

impl CallEntry {
    /// What it cost, if all of that is known.
    pub fn known_cost(&self) -> Option<&Cost> {
        self.cost.as_ref().filter(|_| !self.is_unpriced)
    }

    /// What the provider says of an answer, or what that must have been: of one without a word about it, and of one that
    /// was cut, of which some say at its beginning what they have by then. Of one that didn't begin it is the prompt, if that
    /// was sent.
    fn estimated(&mut self, said: Option<Usage>, is_whole: bool, is_sent: bool) -> Option<Usage> {
        let tally = std::mem::take(&mut self.tally);
        let has_words = matches!(self.operation, Operation::ChatCompletions | Operation::Completions);
        let tokens = if has_words { tally.tokens() } else { 0 };
        match said {
            Some(said) if is_whole || said.completion_tokens.saturating_mul(2) >= tally.chunks() => Some(said),
            Some(said) => {
                self.is_estimated = true;
                Some(Usage { completion_tokens: said.completion_tokens.max(tokens), ..said })
            }
            None if tally.is_empty() && !is_sent => None,
            None => Some(Usage { completion_tokens: tokens, ..self.prompt_alone() }),
        }
    }

    /// What a provider bills that has the prompt, and of whose answer nothing is known.
    fn prompt_alone(&mut self) -> Usage {
        self.is_estimated = true;
        Usage { prompt_tokens: self.terms.prompt_tokens, ..Usage::default() }
    }

    fn charge(&mut self, pricing: &Pricing, usage: Usage, model: &str, took: Duration) {
        let mut usage = self.terms.of(usage);
        let price = pricing.of(model);
        let cost = price.as_ref().and_then(|price| {
            if price.is_by_time() {
                usage.details.milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            }
            price.cost(&usage)
        });
        match cost {
            Some(cost) => self.cost = Some(self.cost.unwrap_or_default().plus(cost)),
            None => {
                self.is_unpriced = true;
                // Of less of the same it would be known.
                match price.is_some_and(|price| price.cost(&usage.in_small()).is_some()) {
                    true => pricing.tell_beyond_measure(model),
                    false => pricing.tell_unknown(model),
                }
            }
        }
    }
}

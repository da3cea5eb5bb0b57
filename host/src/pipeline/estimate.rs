//! What a call may come to, before it is made: what its limits reserve.

use super::Pipeline;
use super::request::Request;
use crate::limits::Estimate;
use crate::money::Money;
use crate::plugin::Operation;
use crate::router::Resolved;
use crate::usage::{Details, Usage};

/// Tokens of an answer whose client sets no limit: most are shorter, and what isn't used is given back. The model's own
/// limit would be a hundred times what is usual, and keep calls out that there is money for.
const USUAL_ANSWER: u64 = 4_096;
/// No client means more answers than that.
const MOST_ANSWERS: f64 = 128.0;

impl Pipeline {
    /// What a call may come to. No tokenizer is asked: the prompt is told from its length.
    pub(super) fn estimate(&self, request: &Request, group: &Resolved) -> Estimate {
        let prompt_tokens = request.terms.prompt_tokens;
        let (completion_tokens, is_open_ended) = self.longest_answer(request, group);
        let images = if request.operation == Operation::ImagesGenerations { answers(request) } else { 0 };
        let details = Details { images, ..Details::default() };
        // What is billed by tokens can't be told of a picture, so that its price is that of one.
        let tokens = if images > 0 { (0, 0) } else { (prompt_tokens, completion_tokens) };
        let usage = Usage { prompt_tokens: tokens.0, completion_tokens: tokens.1, details, ..Usage::default() };
        let usage = request.terms.of(usage);
        let (mut cost, mut is_free) = (None, !group.group.targets.is_empty());
        for target in &group.group.targets {
            let price = target.deployment.pricing.of(&group.model(target));
            is_free &= price.as_ref().is_some_and(|price| price.is_free());
            cost = cost.max(price.and_then(|price| Some(price.cost(&usage)?.total)));
        }
        let cost = cost.filter(|cost| *cost >= Money::ZERO);
        Estimate { prompt_tokens, completion_tokens, is_open_ended, cost, is_free }
    }

    /// What the client allows at the most, one token at least, for each answer that it wants; else what is usual, no more than the model can; and whether it is only that.
    fn longest_answer(&self, request: &Request, group: &Resolved) -> (u64, bool) {
        if !matches!(request.operation, Operation::ChatCompletions | Operation::Completions) {
            return (0, false);
        }
        let limit = ["max_completion_tokens", "max_tokens"].into_iter();
        // Which of them a provider takes differs, and some take neither 0 nor a fraction at its word.
        let limit = limit.filter_map(|key| request.body.number(key).ok().flatten()).filter(|limit| *limit >= 0.0);
        let limit = limit.max_by(f64::total_cmp);
        let table = self.config.models();
        let most = group
            .group
            .targets
            .iter()
            .filter_map(|target| target.deployment.max_output_tokens(table, &group.model(target)));
        let usual = || most.max().unwrap_or(USUAL_ANSWER).min(USUAL_ANSWER);
        // `as` saturates.
        let tokens = limit.map_or_else(usual, |limit| limit as u64).max(1).saturating_mul(answers(request));
        (tokens, limit.is_none())
    }
}

/// `n`
fn answers(request: &Request) -> u64 {
    request.body.number("n").ok().flatten().map_or(1, |n| n.clamp(1.0, MOST_ANSWERS) as u64)
}

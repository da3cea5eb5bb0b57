//! What a canonical answer says of its usage beyond the plugin interface's numbers, and what a client is told of its cost.

use bytes::Bytes;

use super::Call;
use crate::canonical::{AnswerView, ChunkView};
use crate::plugin::{self, Operation};
use crate::prices::ModelPrice;
use crate::usage::{Terms, Usage};
use std::sync::Arc;

/// Writes the cost into the last chunk of a stream, as LiteLLM does, for clients that asked for the usage.
#[derive(Debug)]
pub(super) struct Bill {
    price: Arc<ModelPrice>,
    terms: Terms,
}

impl Bill {
    /// `None`: the client doesn't ask, or nobody knows the price.
    pub(super) fn of(call: &Call<'_>) -> Option<Self> {
        if !call.include_usage {
            return None;
        }
        let price = call.route.target.deployment.pricing.of(&call.route.model)?;
        // How long it takes isn't known before its end.
        (!price.is_by_time()).then_some(Self { price, terms: call.terms })
    }

    /// The chunk with `usage.cost` in it; `None`: it stays as it is.
    pub(super) fn onto(&self, data: &[u8], chunk: &ChunkView<'_>, usage: &Usage) -> Option<Bytes> {
        let text = chunk.usage_text().filter(|text| text.ends_with('}') && !text.contains("\"cost\""))?;
        let cost = self.price.cost(&self.terms.of(*usage))?.total;
        // The text is part of the data, so its address says where it stands.
        let end =
            (text.as_ptr() as usize).checked_sub(data.as_ptr() as usize)?.checked_add(text.len())?.checked_sub(1)?;
        let (before, after) = data.split_at_checked(end)?;
        Some([before, format!(",\"cost\":{cost}").as_bytes(), after].concat().into())
    }
}

/// What a whole answer says that it used.
pub(super) fn usage_of(operation: Operation, view: &AnswerView<'_>) -> Option<Usage> {
    match operation {
        Operation::ImagesGenerations => view.picture_usage().or_else(|| view.usage()),
        _ => view.usage(),
    }
}

/// What a plugin says of its whole answer: the counts are its own, and what of them has another price is in the answer.
pub(super) fn completed(operation: Operation, said: Option<plugin::Usage>, body: &[u8]) -> Option<Usage> {
    // Embeddings are long, and have nothing to tell.
    if operation == Operation::Embeddings {
        return said.map(Usage::from);
    }
    let shown = AnswerView::parse(body).and_then(|view| usage_of(operation, &view));
    detailed(said, shown)
}

/// A plugin's counts with the details that stand in what it wrote.
pub(super) fn detailed(said: Option<plugin::Usage>, shown: Option<Usage>) -> Option<Usage> {
    match (said, shown) {
        (Some(said), Some(shown)) => Some(Usage { details: shown.details, ..said.into() }),
        (said, shown) => said.map(Usage::from).or(shown),
    }
}

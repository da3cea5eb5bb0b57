//! What a deployment's calls cost: the operator's word, else the table's.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Adjustment, ModelPrice, Prices};

/// The prices of a deployment, resolved when the configuration is read, but for those of the models that a wildcard
/// stands for.
#[derive(Clone)]
pub struct Pricing(Arc<Inner>);

struct Inner {
    provider: String,
    /// The provider's name of the model.
    model: String,
    /// `model_info.base_model`
    base: Option<String>,
    own: Option<ModelPrice>,
    adjustment: Adjustment,
    prices: Arc<Prices>,
    /// Of `model`.
    price: Option<Arc<ModelPrice>>,
    /// It was said that nobody knows a price.
    told: AtomicBool,
    /// It was said that a call cost more than can be counted.
    told_beyond_measure: AtomicBool,
    /// Of the models that calls named.
    others: Mutex<HashMap<String, Option<Arc<ModelPrice>>>>,
}

/// No wildcard stands for more models that are really used, unless clients make names up.
const MOST_OTHERS: usize = 1_000;

// === impl Pricing ===

impl Pricing {
    /// Of a deployment.
    pub fn new(
        (provider, model): (&str, &str),
        base: Option<String>,
        own: Option<ModelPrice>,
        adjustment: Adjustment,
        prices: Arc<Prices>,
    ) -> Self {
        let mut inner = Inner {
            provider: provider.to_owned(),
            model: model.to_owned(),
            base,
            own,
            adjustment,
            prices,
            price: None,
            told: AtomicBool::new(false),
            told_beyond_measure: AtomicBool::new(false),
            others: Mutex::default(),
        };
        inner.price = inner.look_up(model);
        Self(Arc::new(inner))
    }

    /// What a call for `model` costs: the provider's name of the one that served. `None`: nobody knows.
    pub fn of(&self, model: &str) -> Option<Arc<ModelPrice>> {
        let inner = &*self.0;
        if model == inner.model || inner.base.is_some() {
            return inner.price.clone();
        }
        let mut others = inner.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = others.get(model) {
            return known.clone();
        }
        if others.len() >= MOST_OTHERS {
            others.clear();
        }
        let price = inner.look_up(model);
        others.insert(model.to_owned(), price.clone());
        price
    }

    /// A call used what has no price: says so, once a deployment.
    pub fn tell_unknown(&self, model: &str) {
        if !self.0.told.swap(true, Ordering::Relaxed) {
            let provider = &self.0.provider;
            tracing::warn!(
                "nobody knows what {provider}/{model} costs: its calls count as unpriced, and no budget holds them back; \
                 set input_cost_per_token and output_cost_per_token, or model_info.base_model"
            );
        }
    }

    /// A call is said to have used so much that its cost is no amount of money: says so, once a deployment.
    pub fn tell_beyond_measure(&self, model: &str) {
        if !self.0.told_beyond_measure.swap(true, Ordering::Relaxed) {
            let provider = &self.0.provider;
            tracing::warn!(
                "what {provider}/{model} says that a call used costs more than can be counted: the call counts as unpriced; \
                 look at what its provider reports, and at the prices"
            );
        }
    }
}

impl Inner {
    fn look_up(&self, model: &str) -> Option<Arc<ModelPrice>> {
        let listed = match &self.base {
            Some(base) => self.prices.of_base(&self.provider, base),
            None => self.prices.of(&self.provider, model),
        };
        let price = match (listed, &self.own) {
            (Some(listed), Some(own)) => listed.overridden(own),
            (Some(listed), None) => listed,
            (None, Some(own)) => ModelPrice::of_provider(&self.provider).overridden(own),
            (None, None) => return None,
        };
        Some(Arc::new(price.adjusted(self.adjustment)))
    }
}

impl fmt::Debug for Pricing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pricing").field("model", &self.0.model).field("price", &self.0.price).finish_non_exhaustive()
    }
}

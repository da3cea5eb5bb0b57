//! What providers say that is left of their limits: `x-ratelimit-remaining-*` of their answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use http::HeaderMap;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::usage::ServedBy;

/// More deployments than a configuration has, also after some reloads of it.
const MOST: usize = 10_000;

/// Of each deployment, what its last answer said. The provider counts for the account, whoever of ours calls.
#[derive(Debug, Default)]
pub struct Remaining {
    /// Replaced when a deployment says so for the first time.
    known: ArcSwap<Vec<Arc<Left>>>,
}

/// What is left, or -1 where nobody has said.
#[derive(Debug)]
struct Left {
    by: ServedBy,
    group: String,
    requests: AtomicI64,
    tokens: AtomicI64,
}

// === impl Remaining ===

impl Remaining {
    /// An answer came.
    pub fn told(&self, by: &ServedBy, group: &str, headers: &HeaderMap) {
        let number =
            |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok().filter(|left| *left >= 0);
        let requests = number("x-ratelimit-remaining-requests");
        let tokens = number("x-ratelimit-remaining-tokens");
        if requests.is_none() && tokens.is_none() {
            return;
        }
        let is_it = |left: &&Arc<Left>| left.by.deployment == by.deployment && left.by.model == by.model;
        let known = self.known.load();
        let left = match known.iter().find(is_it) {
            Some(left) => left.clone(),
            None if known.len() >= MOST => return,
            None => self.add(by, group),
        };
        for (number, of) in [(requests, &left.requests), (tokens, &left.tokens)] {
            if let Some(number) = number {
                of.store(number, Ordering::Relaxed);
            }
        }
    }

    fn add(&self, by: &ServedBy, group: &str) -> Arc<Left> {
        let (requests, tokens) = (AtomicI64::new(-1), AtomicI64::new(-1));
        let left = Arc::new(Left { by: by.clone(), group: group.to_owned(), requests, tokens });
        self.known.rcu(|known| known.iter().cloned().chain([left.clone()]).collect::<Vec<_>>());
        left
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let families: [Family<Vec<(&str, String)>, Gauge>; 2] = Default::default();
        let [requests, tokens] = &families;
        for left in self.known.load().iter() {
            let labels = vec![
                ("model_group", left.group.clone()),
                ("api_provider", left.by.provider.clone()),
                ("litellm_model_name", left.by.model.clone()),
                ("model_id", left.by.deployment.clone()),
            ];
            for (family, number) in [(requests, &left.requests), (tokens, &left.tokens)] {
                let number = number.load(Ordering::Relaxed);
                if number >= 0 {
                    family.get_or_create(&labels).set(number);
                }
            }
        }
        let [requests, tokens] = families;
        let help = "What a deployment's provider says is left of its limit of requests";
        registry.register("litellm_remaining_requests_metric", help, requests);
        let help = "What a deployment's provider says is left of its limit of tokens";
        registry.register("litellm_remaining_tokens_metric", help, tokens);
    }
}

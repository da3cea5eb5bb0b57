//! What calls cost, in the operator's words.
//!
//! ```yaml
//! model_list:
//!   - model_name: mine
//!     litellm_params: {model: openai/mine, input_cost_per_token: 1e-7, output_cost_per_token: 4e-7}   # or in model_info
//!     model_info: {base_model: azure/gpt-4o}      # or: it costs what that one does
//! litellm_settings:
//!   cost_discount_config: {openai: 0.05, "vertex_ai/gemini-*": 0.1}
//!   cost_margin_config: {global: 0.1, openai: {percentage: 0.08, fixed_amount: 0.0005}}
//! ai_api_settings:
//!   model_cost_map: prices.json                    # or the variable LITELLM_MODEL_COST_MAP_URL
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rust_decimal::Decimal;
use serde_json::value::RawValue;

use super::at::At;
use super::environment::Environment;
use super::node::Value;
use super::origin::Origin;
use super::report::Report;
use super::routing::Keys;
use crate::money::Money;
use crate::prices::{Adjustment, ModelPrice, PriceTable, Prices, Rate};

/// LiteLLM fetches the file from there; this gateway reads files only.
const MAP: &str = "LITELLM_MODEL_COST_MAP_URL";

/// What the operator says of prices for all deployments.
pub(super) struct CostSettings {
    pub(super) prices: Arc<Prices>,
    discounts: BTreeMap<String, Decimal>,
    margins: BTreeMap<String, (Decimal, Money)>,
}

// === impl CostSettings ===

impl CostSettings {
    pub(super) fn read(root: &At<'_>, origin: &Origin, environment: &Environment, report: &mut Report) -> Self {
        let section = root.get("litellm_settings");
        let map = |key: &str, report: &mut Report| section.as_ref().and_then(|section| section.map(key, report));
        let mut discounts = BTreeMap::new();
        for (name, at) in map("cost_discount_config", report).iter().flat_map(At::entries) {
            if let Some(share) = decimal(&at, report) {
                if share > Decimal::ONE {
                    at.expected::<()>("a share from 0 to 1 (0.05 for 5 %)", report);
                } else {
                    discounts.insert(name.to_owned(), share);
                }
            }
        }
        let mut margins = BTreeMap::new();
        for (name, at) in map("cost_margin_config", report).iter().flat_map(At::entries) {
            margins.extend(margin(&at, report).map(|margin| (name.to_owned(), margin)));
        }
        Self { prices: Arc::new(Prices::new(newer_table(root, origin, environment, report))), discounts, margins }
    }

    /// What becomes of the costs of a provider's model: LiteLLM's order of who wins.
    pub(super) fn adjustment(&self, provider: &str, model: &str) -> Adjustment {
        let exact = self.discounts.get(&format!("{provider}/{model}"));
        let pattern = || {
            let own = self.discounts.iter().filter_map(|(key, share)| {
                let pattern = key.strip_prefix(provider)?.strip_prefix('/')?;
                is_like(pattern, model).then_some((pattern.len(), share))
            });
            own.max_by_key(|(length, _)| *length).map(|(_, share)| share)
        };
        let discount = exact.or_else(pattern).or_else(|| self.discounts.get(provider));
        let margin = self.margins.get(provider).or_else(|| self.margins.get("global"));
        let (margin, fee) = margin.copied().unwrap_or_default();
        Adjustment { discount: discount.copied().unwrap_or_default(), margin, fee }
    }
}

/// `gemini-*`: any text for each star.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    loop {
        if is_like(rest, text) {
            return true;
        }
        let mut letters = text.chars();
        if letters.next().is_none() {
            return false;
        }
        text = letters.as_str();
    }
}

fn margin(at: &At<'_>, report: &mut Report) -> Option<(Decimal, Money)> {
    if !matches!(at.node.value, Value::Map(_)) {
        return decimal(at, report).map(|share| (share, Money::ZERO));
    }
    let share = at.get("percentage").and_then(|at| decimal(&at, report)).unwrap_or_default();
    let fee = at.get("fixed_amount").and_then(|at| {
        let usd = decimal(&at, report)?;
        Money::from_usd(usd).or_else(|| at.expected("an amount in US dollars", report))
    });
    Some((share, fee.unwrap_or_default()))
}

/// A number from 0 on, as it is written.
fn decimal(at: &At<'_>, report: &mut Report) -> Option<Decimal> {
    at.number_from_zero(report)?;
    let text = match &at.node.value {
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.trim().to_owned(),
        _ => String::new(),
    };
    let read = Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text)).or_else(|_| text.parse());
    read.ok().or_else(|| at.expected("a number of at most 28 digits", report))
}

/// A table that the operator has, newer than the one in the binary.
fn newer_table(root: &At<'_>, origin: &Origin, environment: &Environment, report: &mut Report) -> Option<PriceTable> {
    if let Some(at) = root.get("ai_api_settings").and_then(|own| own.get("model_cost_map")) {
        let path = path_of(&at.text(report)?, origin.folder());
        return table(&path).map_err(|why| at.error(why, report)).ok();
    }
    let text = environment.get(MAP)?;
    if text.starts_with("http://") || text.starts_with("https://") {
        let why = "not fetched: prices come with the gateway, or from a file whose path stands here";
        report.warn(&super::environment_place(), MAP, why);
        return None;
    }
    let table = table(&path_of(text, Path::new("")));
    table.map_err(|why| report.error(&super::environment_place(), MAP, why)).ok()
}

fn table(path: &Path) -> Result<PriceTable, String> {
    let read = std::fs::read_to_string(path).map_err(|error| error.to_string());
    let parsed = read.and_then(|text| PriceTable::parse(&text).map_err(|error| error.to_string()));
    parsed.map_err(|error| format!("the table of prices {} can't be used: {error}", crate::file::shown(path)))
}

/// `file:///etc/prices.json`, or a path, relative to the configuration's folder.
fn path_of(text: &str, folder: &Path) -> PathBuf {
    folder.join(text.trim().strip_prefix("file://").unwrap_or(text.trim()))
}

/// The prices that an entry of `model_list` has itself: `litellm_params` win over `model_info`.
pub(super) fn own(keys: &Keys<'_, '_>, report: &mut Report) -> Option<ModelPrice> {
    let mut fields: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
    let of_info = keys.model_info.into_iter().flat_map(At::entries);
    for (name, at) in of_info.chain(keys.params.entries()).filter(|(_, at)| !at.node.is_none()) {
        let read = match name {
            "tiered_pricing" => ranges(&at, report),
            "search_context_cost_per_query" => rates(&at, report),
            name if Rate::is_name(name) => decimal(&at, report).map(drop),
            _ => None,
        };
        if let (Some(()), Ok(raw)) = (read, serde_json::value::to_raw_value(&at.node.to_json())) {
            fields.insert(name, raw);
        }
    }
    let fields: Vec<_> = fields.iter().map(|(name, raw)| (std::borrow::Cow::Borrowed(*name), &**raw)).collect();
    let price = ModelPrice::of_operator(&fields);
    Some(price).filter(|price| !price.is_empty())
}

/// Checks a map of rates.
fn rates(at: &At<'_>, report: &mut Report) -> Option<()> {
    if !matches!(at.node.value, Value::Map(_)) {
        return at.expected("a map", report);
    }
    for (_, at) in at.entries().filter(|(name, at)| Rate::is_name(name) && !at.node.is_none()) {
        decimal(&at, report)?;
    }
    Some(())
}

/// Checks a list of ranges.
fn ranges(at: &At<'_>, report: &mut Report) -> Option<()> {
    if !matches!(at.node.value, Value::List(_)) {
        return at.expected("a list of ranges", report);
    }
    for item in at.items() {
        rates(&item, report)?;
        let bounds = item.list("range", report);
        let bounds: Vec<_> = bounds.iter().flat_map(At::items).collect();
        if bounds.len() != 2 || item.get("input_cost_per_token").is_none() {
            return item.expected("`range: [from, to]` in tokens, and input_cost_per_token", report);
        }
        for bound in &bounds {
            decimal(bound, report)?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, like) in [
            ("gemini-*", "gemini-2.5-pro", true),
            ("*", "", true),
            ("*-pro", "gemini-2.5-pro", true),
            ("g*-2*o", "gemini-2.5-pro", true),
            ("gemini-*", "gpt-4o", false),
            ("gpt-4o", "gpt-4o-mini", false),
        ] {
            assert_eq!(is_like(pattern, text), like, "{pattern} {text}");
        }
    }
}

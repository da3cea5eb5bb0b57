//! `GET /provider/budgets`: what `router_settings.provider_budget_config` leaves.

use std::time::SystemTime;

use http::Response;
use serde_json::{Map, Value, json};

use super::super::Body;
use super::super::manage::moment;
use super::asked::Asked;
use super::table::{Cell, Table, money};
use crate::limits::{Allowance, Scope, Span};
use crate::money::Money;

const COLUMNS: &[&str] = &["provider", "budget_limit", "time_period", "spend", "budget_reset_at"];

/// A provider, its budget, how long that is for, what is spent of it, and when it is new.
type Row = (String, Money, Option<String>, Money, Option<String>);

/// Each provider that has a budget; with none, none.
pub(super) fn budgets(asked: &Asked<'_>) -> Response<Body> {
    let now = SystemTime::now();
    let budgets = &asked.state.pipeline.config.budgets.providers;
    let of = |(provider, budget): (&String, &Allowance)| {
        let scope = Scope::Provider(provider.as_str().into());
        let spent = asked.accounts.limiter.spent_of(&scope, Some(*budget), now);
        let resets_at = budget.term(now).map(|term| moment(term.until));
        (provider.clone(), budget.max, budget.period.map(|(span, _)| text(span)), spent, resets_at)
    };
    let budgets: Vec<Row> = budgets.iter().map(of).collect();
    let pico = |money: &Money| i128::from(money.pico());
    let json = || {
        let providers: Map<String, Value> = budgets
            .iter()
            .map(|(provider, max, period, spent, resets_at)| {
                let (max, spent) = (money(pico(max)), money(pico(spent)));
                let value =
                    json!({"budget_limit": max, "time_period": period, "spend": spent, "budget_reset_at": resets_at});
                (provider.clone(), value)
            })
            .collect();
        json!({"providers": providers})
    };
    let table = || {
        let line = |(provider, max, period, spent, resets_at): &Row| {
            let (max, spent) = (Cell::Money(pico(max)), Cell::Money(pico(spent)));
            vec![Cell::from(provider.as_str()), max, period.clone().into(), spent, resets_at.clone().into()]
        };
        Table { name: "provider-budgets", columns: COLUMNS, lines: budgets.iter().map(line).collect() }
    };
    asked.answer(json, table)
}

/// A length of time as LiteLLM writes it: in the largest unit that has no rest.
fn text(span: Span) -> String {
    let seconds = match span {
        Span::Months(months) => return format!("{months}mo"),
        Span::Seconds(seconds) => seconds,
    };
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds % unit == 0).unwrap_or((1, "s"));
    format!("{}{name}", seconds / unit)
}

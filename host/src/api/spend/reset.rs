//! `POST /global/spend/reset`: what keys and teams have spent of their budgets is nothing again. Rows and reports stay.

use std::time::SystemTime;

use http::{Response, StatusCode};
use serde_json::json;

use super::super::manage::Purse;
use super::super::{Body, respond};
use super::asked::Asked;
use crate::keys::Roster;
use crate::money::Money;
use crate::pipeline::GatewayError;
use crate::store::Edit;

/// Resets them, all or none.
pub(super) async fn answer(asked: &Asked<'_>) -> Result<Response<Body>, GatewayError> {
    let (accounts, now) = (asked.accounts, SystemTime::now());
    asked.reports()?;
    let count = accounts
        .directory
        .change(|roster| {
            let mut edits: Vec<Edit> = Vec::new();
            each(roster, |purse| {
                // Those that have spent nothing are what they are to be.
                if purse.spent(accounts, now) != Money::ZERO {
                    edits.push(purse.set(Money::ZERO, now));
                }
            });
            let count = edits.len();
            Ok::<_, GatewayError>((edits, count))
        })
        .await?;
    accounts.directory.read(|roster| {
        each(roster, |purse| {
            if purse.spent(accounts, now) != Money::ZERO {
                purse.set_here(accounts, Money::ZERO, now);
            }
        });
    });
    tracing::info!(count, "what keys and teams have spent was reset");
    let message = "Spend for all API Keys and Teams reset successfully";
    Ok(respond::json(StatusCode::OK, &json!({"message": message, "status": "success"})))
}

fn each(roster: &Roster, mut what: impl FnMut(&Purse<'_>)) {
    roster.keys().for_each(|caller| what(&Purse::of_key(&caller.key)));
    roster.teams().for_each(|team| what(&Purse::of_team(team)));
}

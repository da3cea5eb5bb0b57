//! What makes, changes and ends keys.

use std::cmp::Reverse;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::fields::{Fields, Given};
use super::fill;
use super::own;
use super::spent::Purse;
use super::view::moment;
use super::who::{exists, forbidden, not_found};
use super::{Managing, hash_of};
use crate::keys::{Caller, Key, KeyHash, Roster};
use crate::money::Money;
use crate::pipeline::GatewayError;
use crate::store::Edit;

/// Shorter ones could be guessed; LiteLLM's `MINIMUM_CUSTOM_KEY_LENGTH`.
const SHORTEST: usize = 16;
/// Longer ones fit into no header.
const LONGEST: usize = 512;

impl Managing<'_> {
    /// `POST /key/generate`
    pub(super) async fn generate_key(&self, mut fields: Fields) -> Result<Value, GatewayError> {
        self.actor.needs_own_keys()?;
        let plain = plain_key(&mut fields, "key")?;
        let defaults = &self.config.key_defaults;
        for (name, value) in &defaults.key {
            fields.default_to(name, value);
        }
        fill::bounds(&mut fields, &defaults.key_at_most, true, self.now)?;
        let key = self.new_key(&plain, fields)?;
        let (actor, now) = (self.actor, self.now);
        let (made, spend) = key;
        let made = self
            .directory()
            .change(|roster| {
                let mut key = made;
                own::may_generate(actor, &mut key, roster)?;
                is_free(&key, None, roster)?;
                let spend = Purse::of_key(&key).set(spend, now);
                let edits = match &spend {
                    Edit::SetSpend(total) if total.spent == Money::ZERO => vec![Edit::PutKey(Box::new(key.clone()))],
                    _ => vec![Edit::PutKey(Box::new(key.clone())), spend],
                };
                Ok::<_, GatewayError>((edits, key))
            })
            .await?;
        Purse::of_key(&made).set_first(self.accounts, spend, now);
        self.actor.audit(&described("made", &made));
        Ok(self.told_once(&made, &plain))
    }

    /// A key as a request wants it, and what it has spent already.
    pub(super) fn new_key(&self, plain: &str, mut fields: Fields) -> Result<(Key, Money), GatewayError> {
        let mut key = Key {
            hash: KeyHash::of(plain.as_bytes()),
            name: key_name(plain),
            created_by: Some(self.actor.name()),
            created_at: Some(self.now),
            updated_at: Some(self.now),
            ..Key::default()
        };
        let spend = fields.money("spend")?.value().unwrap_or_default();
        if !self.actor.is_admin() {
            own::may_set(&fields, true)?;
        }
        fields.take("send_invite_email");
        fill::key(&mut key, &mut fields, self.now)?;
        fill::extra(&mut key.extra, fields);
        Ok((key, if self.actor.is_admin() { spend } else { Money::ZERO }))
    }

    /// A key as whoever asks may see it: what is noted on keys of others in its team is nobody's business.
    pub(super) fn shown_key(&self, key: &Key, roster: &Roster) -> Map<String, Value> {
        let mut view = self.view().key(key);
        if !self.actor.sees_whole(key, roster) {
            view.insert("metadata".to_owned(), json!({}));
        }
        view
    }

    /// The only answer that has the key itself in it.
    pub(super) fn told_once(&self, key: &Key, plain: &str) -> Value {
        let mut view = self.view().key(key);
        view.insert("key".to_owned(), json!(plain));
        view.insert("token_id".to_owned(), json!(key.hash.to_string()));
        Value::Object(view)
    }

    /// `POST /key/update`
    pub(super) async fn update_key(&self, mut fields: Fields) -> Result<Value, GatewayError> {
        self.actor.needs_own_keys()?;
        let named = fields.text("key")?.value();
        let alias = match (&named, fields.peek("key_alias").and_then(Value::as_str)) {
            (Some(_), _) => None,
            (None, Some(alias)) => Some(alias.to_owned()),
            (None, None) => return Err(GatewayError::invalid("key", "either key or key_alias must be provided")),
        };
        let spend = fields.money("spend")?;
        if spend != Given::Absent {
            self.actor.needs_admin()?;
        }
        let (actor, now) = (self.actor, self.now);
        let (key, spend) = self
            .directory()
            .change(|roster| {
                let found = match &alias {
                    Some(alias) => roster.key_named(alias),
                    None => named.as_deref().and_then(|named| roster.key(&hash_of(named))),
                };
                let caller = found.ok_or_else(|| own::no_such_key(actor, "Key not found in database"))?;
                own::may_change(actor, &caller.key, roster)?;
                let (key, edits, spend) = self.changed_key(caller, fields, spend, roster)?;
                Ok::<_, GatewayError>((edits, (key, spend)))
            })
            .await?;
        if let Some(spend) = spend {
            Purse::of_key(&key).set_here(self.accounts, spend, now);
        }
        self.actor.audit(&described("changed", &key));
        let mut view = self.view().key(&key);
        view.insert("key".to_owned(), json!(named.filter(|named| !named.starts_with("sk-")).or(alias)));
        Ok(Value::Object(view))
    }

    /// A key with these changes, what they come to in the database, and what it has spent where that is said anew.
    fn changed_key(
        &self,
        caller: &Caller,
        mut fields: Fields,
        spend: Given<Money>,
        roster: &Roster,
    ) -> Result<(Key, Vec<Edit>, Option<Money>), GatewayError> {
        let now = self.now;
        fill::bounds(&mut fields, &self.config.key_defaults.key_at_most, false, now)?;
        if !self.actor.is_admin() && !self.actor.leads_team_of(&caller.key, roster) {
            own::may_set(&fields, false)?;
        }
        let mut key = caller.key.clone();
        fill::key(&mut key, &mut fields, now)?;
        fill::extra(&mut key.extra, fields);
        key.updated_at = Some(now);
        own::may_hold(self.actor, &key, Some(&caller.key), roster)?;
        is_free(&key, Some(&key.hash), roster)?;
        let (before, after) = (Purse::of_key(&caller.key), Purse::of_key(&key));
        let spend = match spend {
            Given::Absent => (before.since(now) != after.since(now)).then(|| before.spent(self.accounts, now)),
            given => Some(given.value().unwrap_or_default()),
        };
        let mut edits = vec![Edit::PutKey(Box::new(key.clone()))];
        edits.extend(spend.map(|spend| after.set(spend, now)));
        Ok((key, edits, spend))
    }

    /// `POST /key/delete`
    pub(super) async fn delete_keys(&self, mut fields: Fields) -> Result<Value, GatewayError> {
        self.actor.needs_user()?;
        let keys = fields.texts("keys")?.value().unwrap_or_default();
        let aliases = fields.texts("key_aliases")?.value().unwrap_or_default();
        if keys.is_empty() && aliases.is_empty() {
            let message = "At least one of 'keys' or 'key_aliases' must be provided.";
            return Err(GatewayError::invalid("keys", message));
        }
        let actor = self.actor;
        let deleted = self
            .directory()
            .change(|roster| {
                let by_key = keys.iter().map(|named| (named, roster.key(&hash_of(named))));
                let by_alias = aliases.iter().map(|alias| (alias, roster.key_named(alias)));
                let mut deleted: Vec<(String, Arc<Caller>)> = Vec::new();
                for (named, found) in by_key.chain(by_alias) {
                    let may = found.map_or(actor.is_admin(), |caller| own::may_delete(actor, &caller.key, roster));
                    // Nor is it told which keys of others there are.
                    if !may {
                        return Err(forbidden("You are not authorized to delete this key"));
                    }
                    let Some(caller) = found else { continue };
                    if !deleted.iter().any(|(_, other)| other.key.hash == caller.key.hash) {
                        deleted.push((named.clone(), caller.clone()));
                    }
                }
                if deleted.is_empty() {
                    return Err(not_found("keys", "No keys found"));
                }
                let edits = deleted.iter().map(|(_, caller)| Edit::DeleteKey(caller.key.hash)).collect();
                Ok((edits, deleted))
            })
            .await?;
        for (_, caller) in &deleted {
            self.actor.audit(&described("deleted", &caller.key));
        }
        let named: Vec<&String> = deleted.iter().map(|(named, _)| named).collect();
        Ok(json!({"deleted_keys": named}))
    }

    /// `POST /key/block` and `POST /key/unblock`
    pub(super) async fn block_key(&self, mut fields: Fields, blocked: bool) -> Result<Value, GatewayError> {
        let named = fields.needed_text("key")?;
        let (actor, now) = (self.actor, self.now);
        let key = self
            .directory()
            .change(|roster| {
                let found = roster.key(&hash_of(&named));
                if !actor.is_admin() && !found.is_some_and(|caller| actor.leads_team_of(&caller.key, roster)) {
                    return Err(actor.refused());
                }
                let caller = found.ok_or_else(|| not_found("key", "Key not found."))?;
                let key = Key { blocked, updated_at: Some(now), ..caller.key.clone() };
                Ok((vec![Edit::PutKey(Box::new(key.clone()))], key))
            })
            .await?;
        self.actor.audit(&described(if blocked { "blocked" } else { "unblocked" }, &key));
        Ok(Value::Object(self.view().key(&key)))
    }

    /// `POST /key/regenerate` and `POST /key/{key}/regenerate`: another key in the place of this one, which ends.
    pub(super) async fn regenerate_key(&self, named: Option<&str>, mut fields: Fields) -> Result<Value, GatewayError> {
        self.actor.needs_own_keys()?;
        let named = match named {
            Some(named) => named.to_owned(),
            None => fields.needed_text("key")?,
        };
        fields.take("key");
        if fields.peek("new_master_key").is_some() {
            let message = "'new_master_key' is not supported: the master key is in the configuration.";
            return Err(GatewayError::invalid("new_master_key", message));
        }
        let plain = plain_key(&mut fields, "new_key")?;
        let spend = fields.money("spend")?;
        if spend != Given::Absent {
            self.actor.needs_admin()?;
        }
        let (actor, now) = (self.actor, self.now);
        let (old, key, spent) = self
            .directory()
            .change(|roster| {
                let caller = roster.key(&hash_of(&named));
                let caller = caller.ok_or_else(|| own::no_such_key(actor, "Key not found."))?;
                own::may_regenerate(actor, &caller.key, roster)?;
                let (mut key, _, spend) = self.changed_key(caller, fields, spend, roster)?;
                (key.hash, key.name) = (KeyHash::of(plain.as_bytes()), key_name(&plain));
                if roster.key(&key.hash).is_some() {
                    return Err(exists("new_key", "Key already exists."));
                }
                // What the old one has spent is spent.
                let spent = spend.unwrap_or_else(|| Purse::of_key(&caller.key).spent(self.accounts, now));
                let spend = Purse::of_key(&key).set(spent, now);
                let edits = vec![Edit::DeleteKey(caller.key.hash), Edit::PutKey(Box::new(key.clone())), spend];
                Ok::<_, GatewayError>((edits, (caller.clone(), key, spent)))
            })
            .await?;
        Purse::of_key(&key).set_here(self.accounts, spent, now);
        self.actor.audit(&format!("{}, in the place of {}", described("made", &key), old.key.name));
        Ok(self.told_once(&key, &plain))
    }

    /// `POST /key/{key}/reset_spend`
    pub(super) async fn reset_spend(&self, named: &str, mut fields: Fields) -> Result<Value, GatewayError> {
        let to = fields.money("reset_to")?.value().ok_or_else(|| GatewayError::missing("reset_to"))?;
        let (actor, now) = (self.actor, self.now);
        let (caller, before) = self
            .directory()
            .change(|roster| {
                let found = roster.key(&hash_of(named));
                if !actor.is_admin() && !found.is_some_and(|caller| actor.leads_team_of(&caller.key, roster)) {
                    return Err(actor.refused());
                }
                let caller = found.ok_or_else(|| not_found("key", "Key not found."))?;
                let purse = Purse::of_key(&caller.key);
                let before = purse.spent(self.accounts, now);
                let most = caller.key.quota.budget.as_ref().map(|budget| budget.max);
                let refuse = |what: &str, most: Money| {
                    GatewayError::invalid("reset_to", format!("reset_to ({to}) must be <= {what} ({most})"))
                };
                if to > before {
                    return Err(refuse("current spend", before));
                }
                if let Some(most) = most.filter(|most| to > *most) {
                    return Err(refuse("budget", most));
                }
                Ok((vec![purse.set(to, now)], (caller.clone(), before)))
            })
            .await?;
        let purse = Purse::of_key(&caller.key);
        purse.set_here(self.accounts, to, now);
        self.actor
            .audit(&format!("{}: what it has spent is {to} USD, after {before}", described("changed", &caller.key)));
        Ok(json!({
            "key_hash": caller.key.hash.to_string(),
            "spend": to,
            "previous_spend": before,
            "max_budget": caller.key.quota.budget.as_ref().map(|budget| budget.max),
            "budget_reset_at": purse.resets_at(now).map(moment),
        }))
    }
}

/// That nobody else has its alias, nor, if it is new, the key.
pub(super) fn is_free(key: &Key, itself: Option<&KeyHash>, roster: &Roster) -> Result<(), GatewayError> {
    if itself.is_none() && roster.key(&key.hash).is_some() {
        return Err(exists("key", "Key already exists."));
    }
    let Some(alias) = &key.alias else { return Ok(()) };
    match roster.key_named(alias) {
        Some(other) if Some(&other.key.hash) != itself => {
            let message =
                format!("Key with alias '{alias}' already exists. Unique key aliases across all keys are required.");
            Err(exists("key_alias", message))
        }
        _ => Ok(()),
    }
}

/// The key that a request wants, or a new one that nobody guesses.
pub(super) fn plain_key(fields: &mut Fields, name: &str) -> Result<String, GatewayError> {
    let Some(own) = fields.text(name)?.value() else { return Ok(random_key()) };
    let refuse = |message: String| Err(GatewayError::invalid(name, message));
    if !own.starts_with("sk-") {
        return refuse("Invalid key format. LiteLLM Virtual Key must start with 'sk-'.".to_owned());
    }
    if !(SHORTEST..=LONGEST).contains(&own.len()) {
        return refuse(format!(
            "Invalid key format. LiteLLM Virtual Key must be at least {SHORTEST} characters long, and at most {LONGEST}."
        ));
    }
    if !own.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refuse("Invalid key format. A key has no blanks, and no characters beyond ASCII.".to_owned());
    }
    Ok(own)
}

/// 192 bits of it are nobody's to guess.
pub(super) fn random_key() -> String {
    // Of the 256 bits that go in 244 are random: an identifier's version takes some.
    let mut digest = Sha256::new();
    digest.update(uuid::Uuid::new_v4().as_bytes());
    digest.update(uuid::Uuid::new_v4().as_bytes());
    let digest: [u8; 32] = digest.finalize().into();
    let (random, _) = digest.split_at(24);
    format!("sk-{}", URL_SAFE_NO_PAD.encode(random))
}

/// `sk-...abcd`
pub(super) fn key_name(plain: &str) -> String {
    let last = plain.len().saturating_sub(4);
    format!("sk-...{}", plain.get(last..).unwrap_or_default())
}

/// For the log: never a key.
fn described(what: &str, key: &Key) -> String {
    let alias = key.alias.as_deref().map(|alias| format!(" ({alias})")).unwrap_or_default();
    format!("{what} key {}{alias}", key.name)
}

/// The keys of somebody, for answers about them.
pub(super) fn listed<'a>(
    managing: &Managing<'_>,
    keys: impl Iterator<Item = &'a Arc<Caller>>,
    roster: &Roster,
) -> Vec<Map<String, Value>> {
    let mut keys: Vec<_> = keys.collect();
    keys.sort_by_key(|caller| Reverse((caller.key.created_at, caller.key.hash)));
    keys.into_iter().map(|caller| managing.shown_key(&caller.key, roster)).collect()
}

//! What tells of keys.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::fields::{Fields, wrong};
use super::query::{Page, Query};
use super::who::{forbidden, not_found};
use super::{Managing, hash_of};
use crate::keys::{Caller, Roster};
use crate::pipeline::GatewayError;

const MOST_A_PAGE: usize = 100;

impl Managing<'_> {
    /// `GET /key/info`
    pub(super) fn key_info(&self, query: &Query) -> Result<Value, GatewayError> {
        let named = query.text("key");
        let hash = match (named, self.actor.caller()) {
            (Some(named), _) => hash_of(named),
            (None, Some(caller)) => caller.key.hash,
            (None, None) => {
                return Err(not_found("key", "The master key is no key with an info; name one with ?key="));
            }
        };
        let info = self.read(|roster| {
            let caller = roster.key(&hash).filter(|caller| self.actor.sees(&caller.key, roster))?;
            Some(self.info(caller, roster))
        });
        // Whether there is a key that it may not see is nobody's business.
        let Some(info) = info else {
            return Err(match self.actor.sees_all() {
                true => not_found("key", "Key not found in database"),
                false => forbidden("You are not allowed to access this key's info."),
            });
        };
        let shown = named.filter(|named| !named.starts_with("sk-")).map_or_else(|| hash.to_string(), str::to_owned);
        Ok(json!({"key": shown, "info": info}))
    }

    /// `POST /v2/key/info`
    pub(super) fn key_infos(&self, mut fields: Fields) -> Result<Value, GatewayError> {
        let keys = fields.texts("keys")?.value().unwrap_or_default();
        let aliases = fields.texts("key_aliases")?.value().unwrap_or_default();
        if keys.is_empty() && aliases.is_empty() {
            let message = "At least one of 'keys' or 'key_aliases' must be provided.";
            return Err(GatewayError::invalid("keys", message));
        }
        let found: Vec<Map<String, Value>> = self.read(|roster| {
            let by_key = keys.iter().filter_map(|named| roster.key(&hash_of(named)));
            let by_alias = aliases.iter().filter_map(|alias| roster.key_named(alias));
            let seen = by_key.chain(by_alias).filter(|caller| self.actor.sees(&caller.key, roster));
            seen.map(|caller| self.info(caller, roster)).collect()
        });
        let shown: Vec<String> = keys.iter().map(|named| hash_of(named).to_string()).collect();
        Ok(json!({"key": shown, "info": found}))
    }

    fn info(&self, caller: &Caller, roster: &Roster) -> Map<String, Value> {
        let mut info = self.shown_key(&caller.key, roster);
        info.insert("status".to_owned(), json!(self.view().status(&caller.key)));
        info
    }

    /// `GET /key/list`
    pub(super) fn list_keys(&self, query: &Query) -> Result<Value, GatewayError> {
        let page = query.number("page", 1, usize::MAX)?;
        let size = query.number("size", 10, MOST_A_PAGE)?;
        let whole = query.flag("return_full_object")? || query.text("expand") == Some("user");
        let wanted = Wanted::read(query)?;
        if !self.actor.sees_all() && self.actor.user_id().is_none() {
            return Err(forbidden(
                "You are not authorized to access this endpoint. No 'user_id' is associated with your API key.",
            ));
        }
        let with_team_keys = query.flag("include_team_keys")?;
        let mut keys: Vec<Arc<Caller>> = self.read(|roster| {
            let keys = roster.keys().filter(|caller| self.may_list(caller, with_team_keys, roster));
            keys.filter(|caller| wanted.has(caller, self)).cloned().collect()
        });
        self.sort(&mut keys, query)?;
        let page_of_keys = Page::of(keys, page, size);
        let shown = page_of_keys.items.iter().map(|caller| match whole {
            true => Value::Object(self.view().key(&caller.key)),
            false => json!(caller.key.hash.to_string()),
        });
        Ok(json!({
            "keys": shown.collect::<Vec<_>>(),
            "total_count": page_of_keys.total,
            "current_page": page,
            "total_pages": page_of_keys.pages,
        }))
    }

    fn may_list(&self, caller: &Caller, with_team_keys: bool, roster: &Roster) -> bool {
        let is_led = || with_team_keys && self.actor.leads_team_of(&caller.key, roster);
        self.actor.sees_all() || self.actor.owns(&caller.key) || is_led()
    }

    fn sort(&self, keys: &mut [Arc<Caller>], query: &Query) -> Result<(), GatewayError> {
        let by = query.text("sort_by").unwrap_or("created_at");
        let compare: fn(&Caller, &Caller) -> Ordering = match by {
            "created_at" => |a, b| a.key.created_at.cmp(&b.key.created_at),
            "updated_at" => |a, b| a.key.updated_at.cmp(&b.key.updated_at),
            "expires" => |a, b| a.key.expires.cmp(&b.key.expires),
            "key_alias" => |a, b| a.key.alias.cmp(&b.key.alias),
            "key_name" => |a, b| a.key.name.cmp(&b.key.name),
            "user_id" => |a, b| a.key.user_id.cmp(&b.key.user_id),
            "team_id" => |a, b| a.key.team_id.cmp(&b.key.team_id),
            "token" => |a, b| a.key.hash.cmp(&b.key.hash),
            "max_budget" => |a, b| most(a).cmp(&most(b)),
            "spend" => {
                let spent =
                    |caller: &Arc<Caller>| super::spent::Purse::of_key(&caller.key).spent(self.accounts, self.now);
                keys.sort_by_cached_key(|caller| (spent(caller), caller.key.hash));
                |_, _| Ordering::Equal
            }
            _ => {
                let fields = "created_at, updated_at, expires, key_alias, key_name, user_id, team_id, token, \
                              max_budget or spend";
                return Err(wrong("sort_by", fields));
            }
        };
        if by != "spend" {
            keys.sort_by(|a, b| compare(a, b).then_with(|| a.key.hash.cmp(&b.key.hash)));
        }
        match query.text("sort_order").unwrap_or("desc") {
            order if order.eq_ignore_ascii_case("asc") => {}
            order if order.eq_ignore_ascii_case("desc") => keys.reverse(),
            _ => return Err(wrong("sort_order", "asc or desc")),
        }
        Ok(())
    }

    /// `GET /key/aliases`
    pub(super) fn key_aliases(&self, query: &Query) -> Result<Value, GatewayError> {
        let page = query.number("page", 1, usize::MAX)?;
        let size = query.number("size", 50, MOST_A_PAGE)?;
        let search = query.text("search").map(str::to_lowercase);
        let team = query.text("team_id");
        let mut aliases: Vec<String> = self.read(|roster| {
            let keys = roster.keys().filter(|caller| self.actor.sees(&caller.key, roster));
            let keys = keys.filter(|caller| team.is_none() || caller.key.team_id.as_deref() == team);
            keys.filter_map(|caller| caller.key.alias.clone()).collect()
        });
        aliases.retain(|alias| search.as_ref().is_none_or(|search| alias.to_lowercase().contains(search)));
        aliases.sort_unstable();
        let page_of_aliases = Page::of(aliases, page, size);
        Ok(json!({
            "aliases": page_of_aliases.items,
            "total_count": page_of_aliases.total,
            "current_page": page,
            "total_pages": page_of_aliases.pages,
            "size": size,
        }))
    }
}

fn most(caller: &Caller) -> Option<crate::money::Money> {
    caller.key.quota.budget.as_ref().map(|budget| budget.max)
}

/// Which keys somebody wants to see.
struct Wanted<'a> {
    user_id: Option<&'a str>,
    team_id: Option<&'a str>,
    organization_id: Option<&'a str>,
    alias: Option<&'a str>,
    hash: Option<&'a str>,
    search: Option<String>,
    status: Option<&'a str>,
    by_part: bool,
}

impl<'a> Wanted<'a> {
    fn read(query: &'a Query) -> Result<Self, GatewayError> {
        let status = query.text("status").or(query.text("expires"));
        if let Some(status) = status
            && !matches!(status, "active" | "expired" | "revoked")
        {
            return Err(wrong("status", "active, expired or revoked: keys that are deleted are gone"));
        }
        Ok(Self {
            user_id: query.text("user_id"),
            team_id: query.text("team_id"),
            organization_id: query.text("organization_id"),
            alias: query.text("key_alias"),
            hash: query.text("key_hash"),
            search: query.text("search").map(str::to_lowercase),
            status,
            by_part: query.flag("substring_matching")?,
        })
    }

    fn has(&self, caller: &Caller, managing: &Managing<'_>) -> bool {
        let key = &caller.key;
        let same = |wanted: Option<&str>, found: Option<&str>| wanted.is_none() || wanted == found;
        let like = |wanted: Option<&str>, found: Option<&str>| match (wanted, found) {
            (Some(wanted), Some(found)) if self.by_part => found.to_lowercase().contains(&wanted.to_lowercase()),
            _ => same(wanted, found),
        };
        let alias = || key.alias.as_deref().unwrap_or_default().to_lowercase();
        let found = |search: &String| alias().contains(search) || key.hash.to_string() == *search;
        like(self.user_id, key.user_id.as_deref())
            && same(self.team_id, key.team_id.as_deref())
            && same(self.organization_id, key.organization_id.as_deref())
            && like(self.alias, key.alias.as_deref())
            && self.hash.is_none_or(|hash| hash_of(hash) == key.hash)
            && self.search.as_ref().is_none_or(found)
            && self.status.is_none_or(|status| status == managing.view().status(key))
    }
}

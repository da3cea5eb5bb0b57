//! Who may call, and what: virtual keys, users and teams, as they are stored and as calls meet them.
//!
//! The whole directory is in memory, so that a call waits for no database; `follow.rs` keeps it true.

mod access;
mod barred;
mod callers;
mod directory;
mod error;
mod follow;
mod roster;
mod routes;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::limits::{Scope, Tab};
use crate::money::Money;

pub use access::Denied;
pub use barred::Barred;
pub use directory::Directory;
pub use error::AccountError;
pub use roster::Roster;
pub use routes::RouteKind;

/// A key that the gateway has issued. The key itself is known to whoever has it, and to nobody else.
#[derive(Clone, Debug, Default)]
pub struct Key {
    /// SHA-256 of it, by which it is stored: LiteLLM's `token`, in hexadecimal there.
    pub hash: KeyHash,
    /// `sk-...abcd`: what people tell it by.
    pub name: String,
    /// `key_alias`.
    pub alias: Option<String>,
    /// Whose it is.
    pub user_id: Option<String>,
    /// Which team's.
    pub team_id: Option<String>,
    /// `organization_id`: kept and shown, nothing hangs on it.
    pub organization_id: Option<String>,
    /// What it may call; empty: everything. Names, wildcards, `all-team-models`, `all-proxy-models`, `no-default-models`.
    pub models: Vec<String>,
    /// Names that this key alone has for models.
    pub aliases: BTreeMap<String, String>,
    /// What it may use at all.
    pub quota: Quota,
    /// `model_max_budget`.
    pub model_budgets: BTreeMap<String, Budget>,
    /// `model_rpm_limit` and `model_tpm_limit`.
    pub model_rates: BTreeMap<String, Rates>,
    /// `soft_budget`: above it somebody is told, and nothing else happens.
    pub soft_budget: Option<Money>,
    /// When it ends.
    pub expires: Option<SystemTime>,
    /// It is refused.
    pub blocked: bool,
    /// What it may call: paths, `/prefix/*`, or LiteLLM's names of groups of routes; empty: all that a key may.
    pub allowed_routes: Vec<String>,
    /// Which calls it is for: `default`, `llm_api`, `management`, `read_only`.
    pub kind: KeyKind,
    /// What the operator notes, and what LiteLLM's clients keep there.
    pub metadata: Map<String, Value>,
    /// Tags of every call.
    pub tags: Vec<String>,
    /// Fields of LiteLLM's that nothing here acts on: kept, and shown as they came.
    pub extra: Map<String, Value>,
    /// Who made it.
    pub created_by: Option<String>,
    /// When.
    pub created_at: Option<SystemTime>,
    /// When it was last changed.
    pub updated_at: Option<SystemTime>,
}

/// SHA-256 of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub [u8; 32]);

/// LiteLLM's `key_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// For models.
    #[default]
    Default,
    /// For models only.
    LlmApi,
    /// For keys, users and teams only.
    Management,
    /// For reading what there is.
    ReadOnly,
}

/// A person or a program that has keys.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// Identifies it.
    pub id: String,
    /// `user_alias`.
    pub alias: Option<String>,
    /// `user_email`.
    pub email: Option<String>,
    /// `user_role`: `proxy_admin`, `proxy_admin_viewer`, `internal_user`, `internal_user_viewer`.
    pub role: Option<String>,
    /// What it may call with keys of no team; empty: everything.
    pub models: Vec<String>,
    /// What all of its keys together may use.
    pub quota: Quota,
    /// `model_max_budget`.
    pub model_budgets: BTreeMap<String, Budget>,
    /// What the operator notes.
    pub metadata: Map<String, Value>,
    /// Fields of LiteLLM's that nothing here acts on.
    pub extra: Map<String, Value>,
    /// When it was made.
    pub created_at: Option<SystemTime>,
    /// When it was last changed.
    pub updated_at: Option<SystemTime>,
}

/// Keys and people that share what they may use.
#[derive(Clone, Debug, Default)]
pub struct Team {
    /// Identifies it.
    pub id: String,
    /// `team_alias`.
    pub alias: Option<String>,
    /// `organization_id`.
    pub organization_id: Option<String>,
    /// What its keys may call; empty: everything.
    pub models: Vec<String>,
    /// Names that this team alone has for models: `model_aliases`.
    pub aliases: BTreeMap<String, String>,
    /// What all of its keys together may use.
    pub quota: Quota,
    /// `model_max_budget`.
    pub model_budgets: BTreeMap<String, Budget>,
    /// `model_rpm_limit` and `model_tpm_limit`.
    pub model_rates: BTreeMap<String, Rates>,
    /// Its keys are refused.
    pub blocked: bool,
    /// `members_with_roles`: `{"user_id", "role"}` each.
    pub members: Vec<Member>,
    /// What the operator notes.
    pub metadata: Map<String, Value>,
    /// Tags of every call.
    pub tags: Vec<String>,
    /// Fields of LiteLLM's that nothing here acts on.
    pub extra: Map<String, Value>,
    /// When it was made.
    pub created_at: Option<SystemTime>,
    /// When it was last changed.
    pub updated_at: Option<SystemTime>,
}

/// Somebody in a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user_id: String,
    /// `admin` or `user`.
    pub role: String,
}

/// What somebody may use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quota {
    /// Money.
    pub budget: Option<Budget>,
    /// Requests and tokens.
    pub rates: Rates,
    /// `max_parallel_requests`.
    pub parallel: Option<u32>,
}

/// Requests and tokens of any minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// `rpm_limit`.
    pub requests: Option<u64>,
    /// `tpm_limit`.
    pub tokens: Option<u64>,
}

/// Money for a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// `max_budget`.
    pub max: Money,
    /// `budget_duration`; without one it is for good.
    pub period: Option<Period>,
}

/// How long a budget is for, and since when it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// As it was written: `30s`, `5m`, `24h`, `7d`, `1mo`.
    pub text: String,
    /// When the first one began.
    pub since: SystemTime,
}

/// A key with all that hangs on it: what a call is checked against. Made anew whenever one of them changes.
#[derive(Debug)]
pub struct Caller {
    /// The key.
    pub key: Key,
    /// Its user.
    pub user: Option<Arc<User>>,
    /// Its team.
    pub team: Option<Arc<Team>>,
    /// Everything that its calls count against and that has a limit or a record of its spend: the key, its user, its team
    /// and the whole gateway, each with its quota.
    pub scopes: Vec<(Scope, Quota)>,
    /// Its accounts, once it has called; empty at first.
    pub tab: Tab,
}

/// The role of somebody who may do everything, as with the master key.
pub const PROXY_ADMIN: &str = "proxy_admin";
/// The role of somebody who may see everything.
pub const PROXY_ADMIN_VIEWER: &str = "proxy_admin_viewer";
/// The role of somebody who looks after keys of their own.
pub const INTERNAL_USER: &str = "internal_user";
/// The role of somebody who sees keys of their own.
pub const INTERNAL_USER_VIEWER: &str = "internal_user_viewer";

// === impl Caller ===

impl Caller {
    /// A key with what hangs on it.
    pub fn new(key: Key, user: Option<Arc<User>>, team: Option<Arc<Team>>) -> Self {
        let mut scopes = vec![(Scope::Key(key.hash.to_string().into()), key.quota.clone())];
        if let Some(id) = &key.user_id {
            let mut quota = user.as_ref().map(|user| user.quota.clone()).unwrap_or_default();
            // As in LiteLLM a user's own money isn't for what a team pays; what its calls cost is counted all the same.
            if key.team_id.is_some() {
                quota.budget = None;
            }
            scopes.push((Scope::User(id.as_str().into()), quota));
        }
        if let Some(id) = &key.team_id {
            let quota = team.as_ref().map(|team| team.quota.clone()).unwrap_or_default();
            scopes.push((Scope::Team(id.as_str().into()), quota));
        }
        scopes.push((Scope::Gateway, Quota::default()));
        Self { key, user, team, scopes, tab: Tab::default() }
    }

    /// Its user's role.
    pub fn role(&self) -> Option<&str> {
        self.user.as_ref()?.role.as_deref()
    }
}

// === impl Team ===

impl Team {
    /// Somebody as its member.
    pub fn member(&self, user_id: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.user_id == user_id)
    }
}

// === impl KeyHash ===

impl KeyHash {
    /// Of a key.
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// From its 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        text.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(Self(hash))
    }
}

impl fmt::Display for KeyHash {
    /// In hexadecimal: LiteLLM's `token`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

// === impl KeyKind ===

impl KeyKind {
    /// LiteLLM's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::LlmApi => "llm_api",
            Self::Management => "management",
            Self::ReadOnly => "read_only",
        }
    }

    /// From LiteLLM's word for it.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Default, Self::LlmApi, Self::Management, Self::ReadOnly];
        all.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What it means in `allowed_routes`; nothing: all that a key may.
    pub fn routes(self) -> &'static [&'static str] {
        match self {
            Self::Default => &[],
            Self::LlmApi => &["llm_api_routes"],
            Self::Management => &["management_routes"],
            Self::ReadOnly => &["info_routes"],
        }
    }
}

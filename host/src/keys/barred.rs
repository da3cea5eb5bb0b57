//! Whose key is refused whatever it asks for.

use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Caller;

/// Why a key that is one of ours is refused, in LiteLLM's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Barred {
    /// Somebody has blocked it.
    #[error("Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.")]
    Key,
    /// Somebody has blocked its team.
    #[error("Authentication Error, Team={0} is blocked. Update via `/team/unblock` if you're an admin.")]
    Team(String),
    /// Its team is gone.
    #[error("Authentication Error, the key's team={0} does not exist any more.")]
    NoTeam(String),
    /// Its time is over.
    #[error("Authentication Error - Expired Key. Key Expiry time {} and current time {}", shown(.0), shown(.1))]
    Expired(SystemTime, SystemTime),
}

impl Caller {
    /// Why it is refused, if it is. Time passes without anybody changing a key, so this is asked at each call.
    pub fn barred(&self, now: SystemTime) -> Option<Barred> {
        if self.key.blocked {
            return Some(Barred::Key);
        }
        if let Some(end) = self.key.expires.filter(|end| *end <= now) {
            return Some(Barred::Expired(end, now));
        }
        match (&self.key.team_id, &self.team) {
            (Some(id), None) => Some(Barred::NoTeam(id.clone())),
            (_, Some(team)) if team.blocked => Some(Barred::Team(team.id.clone())),
            _ => None,
        }
    }
}

fn shown(time: &SystemTime) -> String {
    OffsetDateTime::from(*time).format(&Rfc3339).unwrap_or_default()
}

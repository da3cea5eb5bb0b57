//! What people call keys and teams, which the database knows by their ids.

use super::asked::Asked;
use crate::keys::KeyHash;
use crate::money::Money;

impl Asked<'_> {
    /// A key's alias and `sk-...abcd`, as long as there is such a key.
    pub(super) fn key_names(&self, hash: &str) -> (Option<String>, Option<String>) {
        let Some(hash) = KeyHash::parse(hash) else { return (None, None) };
        self.accounts.directory.read(|roster| {
            let key = roster.key(&hash).map(|caller| &caller.key);
            (key.and_then(|key| key.alias.clone()), key.map(|key| key.name.clone()))
        })
    }

    /// The team of a key, as long as there is such a key.
    pub(super) fn key_team(&self, hash: &str) -> Option<String> {
        let hash = KeyHash::parse(hash)?;
        self.accounts.directory.read(|roster| roster.key(&hash)?.key.team_id.clone())
    }

    /// A team's alias.
    pub(super) fn team_name(&self, id: &str) -> Option<String> {
        self.accounts.directory.read(|roster| roster.team(id)?.alias.clone())
    }

    /// `litellm_settings.max_budget`
    pub(super) fn max_budget(&self) -> Option<Money> {
        Some(self.state.pipeline.config.budgets.gateway?.max)
    }
}

//! Everybody, as managers look them up: by id, by alias, by whose they are. What calls meet is made from it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Caller, Key, KeyHash, Team, User};
use crate::limits::Scope;
use crate::store::{Edit, Snapshot};

/// Keys, users and teams at one moment. Only whoever manages them and whoever follows the database look at it.
#[derive(Debug, Default)]
pub struct Roster {
    keys: HashMap<KeyHash, Arc<Caller>>,
    users: HashMap<String, Arc<User>>,
    teams: HashMap<String, Arc<Team>>,
    by_alias: HashMap<String, KeyHash>,
    of_user: HashMap<String, HashSet<KeyHash>>,
    of_team: HashMap<String, HashSet<KeyHash>>,
}

/// Keys that are others now, or gone.
pub(super) type Changed = HashMap<KeyHash, Option<Arc<Caller>>>;

impl Roster {
    /// The key, with all that hangs on it.
    pub fn key(&self, hash: &KeyHash) -> Option<&Arc<Caller>> {
        self.keys.get(hash)
    }

    /// The key with this alias: there is one at most.
    pub fn key_named(&self, alias: &str) -> Option<&Arc<Caller>> {
        self.keys.get(self.by_alias.get(alias)?)
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<Caller>> {
        self.keys.values()
    }

    /// The keys of a user, in no order.
    pub fn keys_of_user(&self, id: &str) -> impl Iterator<Item = &Arc<Caller>> {
        self.of_user.get(id).into_iter().flatten().filter_map(|hash| self.keys.get(hash))
    }

    /// The keys of a team, in no order.
    pub fn keys_of_team(&self, id: &str) -> impl Iterator<Item = &Arc<Caller>> {
        self.of_team.get(id).into_iter().flatten().filter_map(|hash| self.keys.get(hash))
    }

    /// The user.
    pub fn user(&self, id: &str) -> Option<&Arc<User>> {
        self.users.get(id)
    }

    /// The user with this address, however it is capitalized.
    pub fn user_with_email(&self, email: &str) -> Option<&Arc<User>> {
        let is_it = |user: &&Arc<User>| user.email.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(email.trim()));
        self.users.values().find(is_it)
    }

    /// All users, in no order.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// The team.
    pub fn team(&self, id: &str) -> Option<&Arc<Team>> {
        self.teams.get(id)
    }

    /// All teams, in no order.
    pub fn teams(&self) -> impl Iterator<Item = &Arc<Team>> {
        self.teams.values()
    }

    /// The teams that a user is a member of.
    pub fn teams_of<'a>(&'a self, user_id: &'a str) -> impl Iterator<Item = &'a Arc<Team>> {
        self.teams.values().filter(move |team| team.member(user_id).is_some())
    }

    /// Everybody anew.
    pub(super) fn of(snapshot: Snapshot) -> Self {
        let mut roster = Self {
            users: snapshot.users.into_iter().map(|user| (user.id.clone(), Arc::new(user))).collect(),
            teams: snapshot.teams.into_iter().map(|team| (team.id.clone(), Arc::new(team))).collect(),
            ..Self::default()
        };
        for key in snapshot.keys {
            roster.put_key(key);
        }
        roster
    }

    /// Who is gone by these changes, or is another of the same name: made later, for what happens between two looks at the
    /// database is seen as one change.
    pub(super) fn gone(&self, edits: &[Edit]) -> HashSet<Scope> {
        let gone = edits.iter().filter_map(|edit| match edit {
            Edit::PutUser(user) => {
                let before = self.users.get(&user.id)?;
                (before.created_at != user.created_at).then(|| Scope::User(user.id.as_str().into()))
            }
            Edit::PutTeam(team) => {
                let before = self.teams.get(&team.id)?;
                (before.created_at != team.created_at).then(|| Scope::Team(team.id.as_str().into()))
            }
            Edit::PutKey(key) => {
                let before = self.keys.get(&key.hash)?;
                (before.key.created_at != key.created_at).then(|| Scope::Key(key.hash.to_string().into()))
            }
            Edit::DeleteUser(id) => Some(Scope::User(id.as_str().into())),
            Edit::DeleteTeam(id) => Some(Scope::Team(id.as_str().into())),
            Edit::DeleteKey(hash) => Some(Scope::Key(hash.to_string().into())),
            Edit::SetSpend(_) => None,
        });
        gone.collect()
    }

    /// Makes these changes; returns the keys that are others by them, also for a change of their user or team.
    pub(super) fn apply(&mut self, edits: Vec<Edit>) -> Changed {
        let mut affected: HashSet<KeyHash> = HashSet::new();
        let mut of_keys = Vec::new();
        for edit in edits {
            match edit {
                Edit::PutUser(user) => {
                    affected.extend(self.of_user.get(&user.id).into_iter().flatten());
                    self.users.insert(user.id.clone(), Arc::new(*user));
                }
                Edit::DeleteUser(id) => {
                    affected.extend(self.of_user.get(&id).into_iter().flatten());
                    self.users.remove(&id);
                }
                Edit::PutTeam(team) => {
                    affected.extend(self.of_team.get(&team.id).into_iter().flatten());
                    self.teams.insert(team.id.clone(), Arc::new(*team));
                }
                Edit::DeleteTeam(id) => {
                    affected.extend(self.of_team.get(&id).into_iter().flatten());
                    self.teams.remove(&id);
                }
                Edit::PutKey(_) | Edit::DeleteKey(_) => of_keys.push(edit),
                // Whoever counts learns of it elsewhere.
                Edit::SetSpend(..) => {}
            }
        }
        let mut changed = Changed::new();
        for edit in of_keys {
            match edit {
                Edit::PutKey(key) => {
                    changed.insert(key.hash, Some(self.put_key(*key)));
                }
                Edit::DeleteKey(hash) => {
                    self.remove_key(&hash);
                    changed.insert(hash, None);
                }
                _ => {}
            }
        }
        for hash in affected {
            // A key that was put has the new ones already.
            changed.entry(hash).or_insert_with(|| self.renewed(&hash));
        }
        changed
    }

    /// The key with what hangs on it now.
    fn renewed(&mut self, hash: &KeyHash) -> Option<Arc<Caller>> {
        let key = self.keys.get(hash)?.key.clone();
        let caller = self.caller(key);
        self.keys.insert(*hash, caller.clone());
        Some(caller)
    }

    fn caller(&self, key: Key) -> Arc<Caller> {
        let user = key.user_id.as_ref().and_then(|id| self.users.get(id)).cloned();
        let team = key.team_id.as_ref().and_then(|id| self.teams.get(id)).cloned();
        Arc::new(Caller::new(key, user, team))
    }

    fn put_key(&mut self, key: Key) -> Arc<Caller> {
        let hash = key.hash;
        self.remove_key(&hash);
        if let Some(alias) = &key.alias {
            self.by_alias.insert(alias.clone(), hash);
        }
        if let Some(id) = &key.user_id {
            self.of_user.entry(id.clone()).or_default().insert(hash);
        }
        if let Some(id) = &key.team_id {
            self.of_team.entry(id.clone()).or_default().insert(hash);
        }
        let caller = self.caller(key);
        self.keys.insert(hash, caller.clone());
        caller
    }

    fn remove_key(&mut self, hash: &KeyHash) {
        let Some(caller) = self.keys.remove(hash) else { return };
        let key = &caller.key;
        if let Some(alias) = &key.alias
            && self.by_alias.get(alias) == Some(hash)
        {
            self.by_alias.remove(alias);
        }
        forget(&mut self.of_user, key.user_id.as_deref(), hash);
        forget(&mut self.of_team, key.team_id.as_deref(), hash);
    }

    pub(super) fn all(&self) -> HashMap<KeyHash, Arc<Caller>> {
        self.keys.clone()
    }
}

fn forget(index: &mut HashMap<String, HashSet<KeyHash>>, id: Option<&str>, hash: &KeyHash) {
    let Some(id) = id else { return };
    let Some(keys) = index.get_mut(id) else { return };
    keys.remove(hash);
    if keys.is_empty() {
        index.remove(id);
    }
}

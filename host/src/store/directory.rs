//! Keys, users and teams: read, followed and changed.

use sqlx::{AnyConnection, Row};

use super::rows::without_nul;
use super::scope::{self, millis};
use super::stored;
use super::{Changes, Database, Edit, Snapshot, StoreError, Total};
use crate::keys::{Key, KeyHash, Team, User};
use crate::money::Money;

impl Database {
    /// The version is read first: what changes while the rest is read is told once more by `changes_since`, which does
    /// no harm.
    pub(super) async fn read_directory(&self) -> Result<Snapshot, StoreError> {
        let mut connection = self.pool().acquire().await?;
        let version = version(&mut connection).await?;
        let mut snapshot = Snapshot { version, ..Snapshot::default() };
        for row in sqlx::query("SELECT hash, data FROM keys").fetch_all(&mut *connection).await? {
            snapshot.keys.push(stored::read_key(row.try_get(0)?, row.try_get(1)?)?);
        }
        for row in sqlx::query("SELECT data FROM users").fetch_all(&mut *connection).await? {
            snapshot.users.push(stored::read_user(row.try_get(0)?)?);
        }
        for row in sqlx::query("SELECT data FROM teams").fetch_all(&mut *connection).await? {
            snapshot.teams.push(stored::read_team(row.try_get(0)?)?);
        }
        Ok(snapshot)
    }

    /// Versions come into being one after the other, so that nothing older than what is seen can appear later.
    pub(super) async fn read_changes(&self, since: i64) -> Result<Changes, StoreError> {
        let mut connection = self.pool().acquire().await?;
        let now = version(&mut connection).await?;
        if now == since {
            return Ok(Changes { version: now, edits: Vec::new() });
        }
        let changed = "SELECT kind, id, version, since, spent FROM changes WHERE version > $1 ORDER BY version";
        let rows = sqlx::query(changed).bind(since).fetch_all(&mut *connection).await?;
        let mut changes = Changes { version: now, edits: Vec::with_capacity(rows.len()) };
        for row in rows {
            // One that came since `version` was read is here already.
            changes.version = changes.version.max(row.try_get(2)?);
            let (kind, id): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
            changes.edits.push(match kind {
                "key" => key(&mut connection, id).await?,
                "user" => user(&mut connection, id).await?,
                "team" => team(&mut connection, id).await?,
                "spend" => spend(id, row.try_get(3)?, row.try_get(4)?)?,
                other => return Err(StoreError::Unreadable(format!("a change of a {other:?}"))),
            });
        }
        Ok(changes)
    }

    pub(super) async fn write_directory(&self, edits: &[Edit]) -> Result<i64, StoreError> {
        let mut transaction = self.pool().begin().await?;
        // First of all, for who has this row has the directory: others wait here until the end of the transaction.
        let raise = "UPDATE directory SET version = version + 1 WHERE id = 1 RETURNING version";
        let version: i64 = sqlx::query_scalar(raise).fetch_one(&mut *transaction).await?;
        for edit in edits {
            let (kind, id, total) = apply(&mut transaction, edit).await?;
            let note = "INSERT INTO changes (kind, id, version, since, spent) VALUES ($1, $2, $3, $4, $5) \
                        ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, since = excluded.since, \
                        spent = excluded.spent";
            let note = sqlx::query(note).bind(kind).bind(id).bind(version);
            let note = note.bind(total.map(|total| scope::since(total.since)));
            note.bind(total.map(|total| total.spent.pico())).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(version)
    }
}

async fn version(connection: &mut AnyConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT version FROM directory WHERE id = 1").fetch_one(connection).await?)
}

async fn data(connection: &mut AnyConnection, sql: &'static str, id: &str) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar(sql).bind(id).fetch_optional(connection).await?)
}

async fn key(connection: &mut AnyConnection, hash: &str) -> Result<Edit, StoreError> {
    Ok(match data(connection, "SELECT data FROM keys WHERE hash = $1", hash).await? {
        Some(data) => Edit::PutKey(stored::read_key(hash, &data)?.into()),
        None => Edit::DeleteKey(stored::hash_of(hash)?),
    })
}

async fn user(connection: &mut AnyConnection, id: &str) -> Result<Edit, StoreError> {
    Ok(match data(connection, "SELECT data FROM users WHERE id = $1", id).await? {
        Some(data) => Edit::PutUser(stored::read_user(&data)?.into()),
        None => Edit::DeleteUser(id.to_owned()),
    })
}

async fn team(connection: &mut AnyConnection, id: &str) -> Result<Edit, StoreError> {
    Ok(match data(connection, "SELECT data FROM teams WHERE id = $1", id).await? {
        Some(data) => Edit::PutTeam(stored::read_team(&data)?.into()),
        None => Edit::DeleteTeam(id.to_owned()),
    })
}

fn spend(id: &str, since: Option<i64>, spent: Option<i64>) -> Result<Edit, StoreError> {
    let unreadable = || StoreError::Unreadable("a change of an unknown total".to_owned());
    let (length, text) = id.split_once(':').ok_or_else(unreadable)?;
    let (whole, model) = length.parse().ok().and_then(|at| text.split_at_checked(at)).ok_or_else(unreadable)?;
    Ok(Edit::SetSpend(Total {
        scope: scope::parse(whole, model)?,
        since: scope::parse_since(since.unwrap_or(scope::NO_PERIOD)),
        spent: Money::from_pico(spent.unwrap_or(0)),
    }))
}

/// Does it; returns what has changed: kind, id, and what was set.
async fn apply<'a>(
    connection: &mut AnyConnection,
    edit: &'a Edit,
) -> Result<(&'static str, String, Option<&'a Total>), StoreError> {
    Ok(match edit {
        Edit::PutKey(key) => ("key", put_key(connection, key).await?, None),
        Edit::DeleteKey(hash) => ("key", delete_key(connection, hash).await?, None),
        Edit::PutUser(user) => ("user", put_user(connection, user).await?, None),
        Edit::DeleteUser(id) => {
            delete(connection, "DELETE FROM users WHERE id = $1", id, "user").await?;
            ("user", id.clone(), None)
        }
        Edit::PutTeam(team) => ("team", put_team(connection, team).await?, None),
        Edit::DeleteTeam(id) => {
            delete(connection, "DELETE FROM teams WHERE id = $1", id, "team").await?;
            ("team", id.clone(), None)
        }
        Edit::SetSpend(total) => ("spend", set_spend(connection, total).await?, Some(total)),
    })
}

async fn put_key(connection: &mut AnyConnection, key: &Key) -> Result<String, StoreError> {
    let put = "INSERT INTO keys (hash, alias, user_id, team_id, blocked, expires, created_at, updated_at, data) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (hash) DO UPDATE SET alias = excluded.alias, \
               user_id = excluded.user_id, team_id = excluded.team_id, blocked = excluded.blocked, \
               expires = excluded.expires, created_at = excluded.created_at, updated_at = excluded.updated_at, \
               data = excluded.data";
    let hash = key.hash.to_string();
    let put = sqlx::query(put).bind(hash.clone()).bind(key.alias.clone()).bind(key.user_id.clone());
    let put = put.bind(key.team_id.clone()).bind(i64::from(key.blocked)).bind(key.expires.map(millis));
    let put = put.bind(key.created_at.map(millis)).bind(key.updated_at.map(millis)).bind(stored::key(key));
    put.execute(connection).await?;
    Ok(hash)
}

async fn put_user(connection: &mut AnyConnection, user: &User) -> Result<String, StoreError> {
    let put = "INSERT INTO users (id, alias, email, role, created_at, updated_at, data) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET alias = excluded.alias, \
               email = excluded.email, role = excluded.role, created_at = excluded.created_at, \
               updated_at = excluded.updated_at, data = excluded.data";
    let put = sqlx::query(put).bind(user.id.clone()).bind(user.alias.clone()).bind(user.email.clone());
    let put = put.bind(user.role.clone()).bind(user.created_at.map(millis)).bind(user.updated_at.map(millis));
    put.bind(stored::user(user)).execute(connection).await?;
    Ok(user.id.clone())
}

async fn put_team(connection: &mut AnyConnection, team: &Team) -> Result<String, StoreError> {
    let put = "INSERT INTO teams (id, alias, organization_id, blocked, created_at, updated_at, data) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET alias = excluded.alias, \
               organization_id = excluded.organization_id, blocked = excluded.blocked, \
               created_at = excluded.created_at, updated_at = excluded.updated_at, data = excluded.data";
    let put = sqlx::query(put).bind(team.id.clone()).bind(team.alias.clone()).bind(team.organization_id.clone());
    let put = put.bind(i64::from(team.blocked)).bind(team.created_at.map(millis)).bind(team.updated_at.map(millis));
    put.bind(stored::team(team)).execute(connection).await?;
    Ok(team.id.clone())
}

async fn delete_key(connection: &mut AnyConnection, hash: &KeyHash) -> Result<String, StoreError> {
    let hash = hash.to_string();
    delete(connection, "DELETE FROM keys WHERE hash = $1", &hash, "key").await?;
    Ok(hash)
}

/// Deletes one, and what it has spent: who gets its name later begins at nothing.
async fn delete(connection: &mut AnyConnection, sql: &'static str, id: &str, kind: &str) -> Result<(), StoreError> {
    sqlx::query(sql).bind(id).execute(&mut *connection).await?;
    let totals = sqlx::query("DELETE FROM totals WHERE scope = $1").bind(format!("{kind}:{id}"));
    totals.execute(connection).await?;
    Ok(())
}

async fn set_spend(connection: &mut AnyConnection, total: &Total) -> Result<String, StoreError> {
    let (whole, model) = scope::columns(&total.scope);
    let set = "INSERT INTO totals (scope, model, since, spent) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (scope, model, since) DO UPDATE SET spent = excluded.spent";
    let set = sqlx::query(set).bind(whole.clone()).bind(without_nul(model.to_owned()));
    set.bind(scope::since(total.since)).bind(total.spent.pico()).execute(connection).await?;
    // Names may hold anything, so that nothing can stand between them.
    Ok(format!("{}:{whole}{model}", whole.len()))
}

-- Keys, users, teams, and what calls have cost. The same for SQLite and for Postgres.
--
-- Money is BIGINT, in 10^-12 US dollars; times are BIGINT, in milliseconds since 1970 (UTC); yes and no are BIGINT 1 and 0.
-- `data` is JSON of this program's own (host/src/store/stored.rs), the columns beside it are what is searched by.
-- Forward only: what is here once is changed by a later file, never in this one.

-- One row. Whoever changes keys, users or teams raises its version first, in the same transaction, so that such
-- transactions come one after the other, and whoever has seen version N has seen all that came before it.
CREATE TABLE directory (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO directory (id, version) VALUES (1, 0);

-- What each version changed: one row for each thing, at its latest version. What was deleted stays here.
CREATE TABLE changes (
    kind TEXT NOT NULL, -- key, user, team, spend
    id TEXT NOT NULL, -- the hash, the id; for `spend` the length of the scope, `:`, scope and model
    version BIGINT NOT NULL,
    since BIGINT, -- for `spend`: the total that was set, as in `totals`
    spent BIGINT,
    PRIMARY KEY (kind, id)
);
CREATE INDEX changes_version ON changes (version);

CREATE TABLE keys (
    hash TEXT PRIMARY KEY, -- SHA-256 of the key, in hexadecimal
    alias TEXT,
    user_id TEXT,
    team_id TEXT,
    blocked BIGINT NOT NULL,
    expires BIGINT,
    created_at BIGINT,
    updated_at BIGINT,
    data TEXT NOT NULL
);
CREATE UNIQUE INDEX keys_alias ON keys (alias);
CREATE INDEX keys_user ON keys (user_id);
CREATE INDEX keys_team ON keys (team_id);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    alias TEXT,
    email TEXT,
    role TEXT,
    created_at BIGINT,
    updated_at BIGINT,
    data TEXT NOT NULL
);

CREATE TABLE teams (
    id TEXT PRIMARY KEY,
    alias TEXT,
    organization_id TEXT,
    blocked BIGINT NOT NULL,
    created_at BIGINT,
    updated_at BIGINT,
    data TEXT NOT NULL
);

-- What is spent since the beginning of a budget's period. The row with the latest `since` is the one that counts;
-- earlier ones are purged.
CREATE TABLE totals (
    scope TEXT NOT NULL, -- gateway, key:HASH, user:ID, team:ID, deployment:ID, provider:NAME
    model TEXT NOT NULL, -- one model of that scope; '' for all of it
    since BIGINT NOT NULL, -- when the period began; -1: there is none
    spent BIGINT NOT NULL,
    PRIMARY KEY (scope, model, since)
);

-- One row for each call, unless general_settings.disable_spend_logs: LiteLLM's SpendLogs.
CREATE TABLE calls (
    id TEXT PRIMARY KEY, -- x-litellm-call-id; request_id there
    started BIGINT NOT NULL,
    duration BIGINT NOT NULL, -- ms, to the last byte
    first_byte BIGINT, -- ms after `started`
    upstream BIGINT NOT NULL, -- ms of `duration` that a provider was waited for
    status BIGINT NOT NULL, -- HTTP's
    outcome TEXT NOT NULL, -- success, failure, client_gone
    operation TEXT NOT NULL, -- the endpoint: /v1/chat/completions, ...
    streaming BIGINT NOT NULL,
    key_hash TEXT NOT NULL, -- '' for the master key, and so on: '' is nobody, nowhere, nothing
    key_alias TEXT NOT NULL,
    user_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    end_user TEXT NOT NULL,
    model_group TEXT NOT NULL, -- what the client named
    fallback TEXT NOT NULL, -- the group that served it instead
    deployment TEXT NOT NULL, -- model_id there
    provider TEXT NOT NULL,
    model TEXT NOT NULL, -- the provider's name for it
    prompt_tokens BIGINT, -- NULL: nothing was used, or nobody said
    completion_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    reasoning_tokens BIGINT,
    estimated BIGINT NOT NULL, -- the provider didn't say what was used
    spent BIGINT, -- NULL: the price is not known, or nothing was used
    spent_input BIGINT,
    spent_output BIGINT,
    retries BIGINT NOT NULL,
    fallbacks BIGINT NOT NULL,
    kind TEXT NOT NULL, -- how it failed, in a word
    error TEXT NOT NULL,
    tags TEXT NOT NULL, -- a JSON array of strings
    session_id TEXT NOT NULL,
    client_ip TEXT NOT NULL,
    request TEXT, -- bodies, where the operator wants them
    response TEXT
);
CREATE INDEX calls_started ON calls (started);
CREATE INDEX calls_key ON calls (key_hash, started);
CREATE INDEX calls_user ON calls (user_id, started);

-- What calls came to, day by day (UTC): reports need no scan of calls, and outlive them. The model group is the one that
-- there is, '' where the client named none: nobody fills the table with names that he makes up.
CREATE TABLE daily (
    day TEXT NOT NULL, -- 2026-11-23
    key_hash TEXT NOT NULL,
    user_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    model_group TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    calls BIGINT NOT NULL,
    failed BIGINT NOT NULL, -- of `calls`: ended with an error
    unpriced BIGINT NOT NULL, -- of `calls`: they used something, and no price is known for it
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    cache_read_tokens BIGINT NOT NULL,
    cache_write_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    PRIMARY KEY (day, key_hash, user_id, team_id, model_group, model, provider)
);
CREATE INDEX daily_key ON daily (key_hash, day);

-- The same by tags; a call with two tags is in both.
CREATE TABLE daily_tags (
    day TEXT NOT NULL,
    tag TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    model_group TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    calls BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    unpriced BIGINT NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    cache_read_tokens BIGINT NOT NULL,
    cache_write_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    PRIMARY KEY (day, tag, key_hash, model_group, model, provider)
);

-- What was recorded already: a batch of calls that is sent again counts once.
CREATE TABLE batches (
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL
);
CREATE INDEX batches_at ON batches (at);

-- The one-time link with which an account gets a new password. An account has one at a time; the table holds the SHA-256 of its 256
-- random bits.
CREATE TABLE password_resets (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    digest TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX password_resets_digest ON password_resets (digest);

-- Users and teams that are deleted, and whose employees and names in the audit have yet to be removed: in batches, because there can
-- be any number of them.
CREATE TABLE deletions (
    owner_id TEXT NOT NULL PRIMARY KEY,
    deleted_at BIGINT NOT NULL
);

-- Events that name the invited person in their detail only.
CREATE INDEX audit_invited ON audit (detail) WHERE action IN ('team.invite', 'team.cancel');

-- The key itself is nowhere: prefix is its public beginning, digest the SHA-256 of the whole.
CREATE TABLE keys (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    form_id TEXT,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    digest TEXT NOT NULL,
    access TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX keys_digest ON keys (digest);
CREATE UNIQUE INDEX keys_prefix ON keys (prefix);
-- A form that is sent twice makes one key.
CREATE UNIQUE INDEX keys_form ON keys (user_id, form_id);
CREATE INDEX keys_user ON keys (user_id, created_at);

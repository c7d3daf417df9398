-- Rotation: the secret before this one works until old_expires_at. It stays known after that, to tell its holder why.
ALTER TABLE keys ADD COLUMN old_digest TEXT;
ALTER TABLE keys ADD COLUMN old_expires_at BIGINT;
ALTER TABLE keys ADD COLUMN old_used_at BIGINT;
ALTER TABLE keys ADD COLUMN rotated_at BIGINT;
-- The last use; written in batches.
ALTER TABLE keys ADD COLUMN used_at BIGINT;
ALTER TABLE keys ADD COLUMN used_ip TEXT;
ALTER TABLE keys ADD COLUMN used_agent TEXT;
-- When somebody reported that they hold the key. It is revoked then, too.
ALTER TABLE keys ADD COLUMN leaked_at BIGINT;
-- Requests a minute; NULL for what KEYFOB_KEY_RATE says.
ALTER TABLE keys ADD COLUMN rate BIGINT;
-- The name as it is searched and sorted by: in lower case.
ALTER TABLE keys ADD COLUMN name_folded TEXT NOT NULL DEFAULT '';
UPDATE keys SET name_folded = lower(name);
CREATE UNIQUE INDEX keys_old_digest ON keys (old_digest);
-- What the administrators' list is sorted and filtered by.
CREATE INDEX keys_created ON keys (created_at, id);
CREATE INDEX keys_name ON keys (name_folded, id);
CREATE INDEX keys_expires ON keys (expires_at, id);
CREATE INDEX keys_revoked ON keys (created_at, id) WHERE revoked_at IS NOT NULL;

-- Requests of a key on a day; a day is the number of days since 1970-01-01, in UTC.
CREATE TABLE usage (
    key_id TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    day BIGINT NOT NULL,
    allowed BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    PRIMARY KEY (key_id, day)
);
CREATE INDEX usage_day ON usage (day);

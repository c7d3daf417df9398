-- The time that a check of an imported password hash takes, in iterations of PBKDF2. NULL for a hash of Keyfob's own.
ALTER TABLE users ADD COLUMN imported_cost BIGINT;
CREATE INDEX users_imported ON users (imported_cost) WHERE imported_cost IS NOT NULL;

-- Imported keys that were not used yet. At the first use the key gets a digest of its own, and its row here goes.
CREATE TABLE imported_keys (
    -- The public prefix with its dot, as the key was imported; a rotation gives the key another one.
    prefix TEXT NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    -- The text that the key has in place of a digest.
    placeholder TEXT NOT NULL,
    -- The hash as Django stored it.
    hash TEXT NOT NULL
);
CREATE INDEX imported_keys_key ON imported_keys (key_id);

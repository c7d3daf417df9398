-- APIs of others that Keyfob protects, and their scopes. People know a scope as slug:name.
CREATE TABLE apis (
    id TEXT NOT NULL PRIMARY KEY,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    -- Requests a minute and key; NULL for no limit.
    rate BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX apis_slug ON apis (slug);

CREATE TABLE api_scopes (
    id TEXT NOT NULL PRIMARY KEY,
    api_id TEXT NOT NULL REFERENCES apis (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    writes BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX api_scopes_name ON api_scopes (api_id, name);

-- The registered scopes of keys. By id: a scope that is removed and registered again is another one, which no key has.
CREATE TABLE key_scopes (
    key_id TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    scope_id TEXT NOT NULL REFERENCES api_scopes (id) ON DELETE CASCADE,
    PRIMARY KEY (key_id, scope_id)
);
CREATE INDEX key_scopes_scope ON key_scopes (scope_id);

-- The API that a key is limited to; access is 'api' then, which an older server rejects. It stays when the API is removed, and no
-- foreign key sets it to NULL: the key must not become one for everything.
ALTER TABLE keys ADD COLUMN api_id TEXT;
CREATE INDEX keys_api ON keys (api_id, id) WHERE api_id IS NOT NULL;

-- Lists of keys read a page and no more: those that are not revoked by their expiry, the revoked by when that was. Many of
-- them can only be the revoked and the expired.
CREATE INDEX keys_user_unrevoked ON keys (user_id, expires_at, id) WHERE revoked_at IS NULL;
CREATE INDEX keys_user_revoked ON keys (user_id, revoked_at, id) WHERE revoked_at IS NOT NULL;
CREATE INDEX keys_user_leaked ON keys (user_id, leaked_at, id) WHERE leaked_at IS NOT NULL;
CREATE INDEX keys_team_unrevoked ON keys (team_id, expires_at, id) WHERE team_id IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX keys_team_revoked ON keys (team_id, revoked_at, id) WHERE team_id IS NOT NULL AND revoked_at IS NOT NULL;

-- With the salary in it, the figures of an owner are read from the index alone.
DROP INDEX employees_department;
CREATE INDEX employees_department ON employees (owner_id, department, id, salary);

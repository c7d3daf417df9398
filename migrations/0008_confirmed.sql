-- When the password was last entered in a session. In one from before this, that counts as long ago.
ALTER TABLE sessions ADD COLUMN confirmed_at BIGINT NOT NULL DEFAULT 0;

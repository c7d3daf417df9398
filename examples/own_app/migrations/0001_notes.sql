-- One SQL text for SQLite and PostgreSQL. The notes of a user go with the account.
CREATE TABLE notes (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    text TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX notes_user ON notes (user_id, created_at, id);

-- Names as they are searched and sorted by. No two databases fold alike (lower() of SQLite knows ASCII only), so the program does
-- it: an empty name_folded waits for that.
ALTER TABLE users ADD COLUMN name_folded TEXT NOT NULL DEFAULT '';
-- What SQL folded before, and what was folded without composing characters first.
UPDATE keys SET name_folded = '' WHERE octet_length(name) <> length(name);
UPDATE employees SET name_folded = '' WHERE octet_length(name) <> length(name);
CREATE INDEX users_unfolded ON users (id) WHERE name_folded = '' AND name <> '';
CREATE INDEX keys_unfolded ON keys (id) WHERE name_folded = '';
CREATE INDEX employees_unfolded ON employees (id) WHERE name_folded = '';

-- The last use of a day is in the row of that day's requests, so that a key in use costs one page to write, not two. The columns
-- of keys hold older uses: those from before this migration, and of days whose requests are deleted.
ALTER TABLE usage ADD COLUMN used_at BIGINT;
ALTER TABLE usage ADD COLUMN used_ip TEXT;
ALTER TABLE usage ADD COLUMN used_agent TEXT;

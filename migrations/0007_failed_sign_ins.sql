-- Sign-ins that failed in a row: by account for browsers that are new to it, and by browser for those that are not. The
-- digest stands for what was typed, for made-up accounts are counted like real ones; user_id is of a real one.
CREATE TABLE failed_sign_ins (
    digest TEXT NOT NULL PRIMARY KEY,
    user_id TEXT,
    ip TEXT NOT NULL,
    failures BIGINT NOT NULL,
    -- How many of them the audit tells of.
    recorded BIGINT NOT NULL,
    failed_at BIGINT NOT NULL
);
CREATE INDEX failed_sign_ins_user ON failed_sign_ins (user_id);
CREATE INDEX failed_sign_ins_at ON failed_sign_ins (failed_at);

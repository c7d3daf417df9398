-- What happened, to what, by whom, from where. Rows are added and never changed. Names stand here as they were then.
CREATE TABLE audit (
    id TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    action TEXT NOT NULL,
    actor_id TEXT,
    actor TEXT NOT NULL,
    ip TEXT NOT NULL,
    user_id TEXT,
    key_id TEXT,
    team_id TEXT,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX audit_user ON audit (user_id, id);
CREATE INDEX audit_actor_id ON audit (actor_id, id);
CREATE INDEX audit_action ON audit (action, id);
CREATE INDEX audit_by ON audit (actor, id);
CREATE INDEX audit_subject ON audit (subject, id);

-- Rows to lock where a rule spans many, such as: one superuser must stay.
CREATE TABLE locks (name TEXT NOT NULL PRIMARY KEY);
INSERT INTO locks (name) VALUES ('superusers');
CREATE INDEX users_superusers ON users (id) WHERE superuser;

CREATE TABLE teams (
    id TEXT NOT NULL PRIMARY KEY,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX teams_slug ON teams (slug);

CREATE TABLE members (
    team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (team_id, user_id)
);
CREATE INDEX members_user ON members (user_id);

-- A key that is limited to one team.
ALTER TABLE keys ADD COLUMN team_id TEXT REFERENCES teams (id);
CREATE INDEX keys_team ON keys (team_id, created_at) WHERE team_id IS NOT NULL;

-- An employee belongs to a user or to a team. Their ids never meet, so one column holds either, and every query is one text.
CREATE TABLE owned_employees (
    id TEXT NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    department TEXT NOT NULL,
    salary BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
INSERT INTO owned_employees (id, owner_id, name, name_folded, department, salary, created_at, updated_at)
SELECT id, user_id, name, name_folded, department, salary, created_at, updated_at FROM employees ORDER BY id;
DROP TABLE employees;
ALTER TABLE owned_employees RENAME TO employees;
CREATE INDEX employees_created ON employees (owner_id, created_at, id);
CREATE INDEX employees_name ON employees (owner_id, name_folded, id);
CREATE INDEX employees_department ON employees (owner_id, department, id);
CREATE INDEX employees_salary ON employees (owner_id, salary, id);

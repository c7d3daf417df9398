-- name_folded is the name in lower case: what is searched and sorted by, the same on both databases.
CREATE TABLE employees (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    department TEXT NOT NULL,
    salary BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX employees_created ON employees (user_id, created_at, id);
CREATE INDEX employees_name ON employees (user_id, name_folded, id);
CREATE INDEX employees_department ON employees (user_id, department, id);
CREATE INDEX employees_salary ON employees (user_id, salary, id);

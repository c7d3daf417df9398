-- Requests of registered APIs per day. Without a foreign key: the counts of an API that was just removed must not fail the others.
CREATE TABLE api_usage (
    api_id TEXT NOT NULL,
    day BIGINT NOT NULL,
    allowed BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    PRIMARY KEY (api_id, day)
);

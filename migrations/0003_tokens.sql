-- API tokens: the SHA-256 of the secret in hex, never the secret. Revoked ones stay, so that authentication once on is never off again.
CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    cluster TEXT,
    source TEXT,
    hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

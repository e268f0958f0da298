-- The conservation ledger: what became durable of each source in each minute. Minutes not yet here stand in the last checkpoint.
CREATE TABLE ledger (
    minute BIGINT NOT NULL,
    source TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    records BIGINT NOT NULL,
    events BIGINT NOT NULL,
    duplicates BIGINT NOT NULL,
    rejects BIGINT NOT NULL,
    dropped BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    upstream_lost BIGINT NOT NULL,
    PRIMARY KEY (minute, source)
);

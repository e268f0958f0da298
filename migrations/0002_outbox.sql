-- Messages that wait for a target, written in the transaction of the alert's change. `state` is waiting, done or dead; dead ones stay listed.
CREATE TABLE outbox (
    id TEXT NOT NULL,
    target TEXT NOT NULL,
    seq BIGINT NOT NULL,
    alert_id TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    attempted_at BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    last_error TEXT,
    PRIMARY KEY (id, target)
);
CREATE INDEX outbox_by_target ON outbox (target, state, seq);
CREATE INDEX outbox_by_alert ON outbox (target, alert_id, state, seq);
CREATE INDEX outbox_by_seq ON outbox (seq);

-- Targets that have said they are gone (410). A row here takes no messages until somebody enables it.
CREATE TABLE disabled_targets (
    target TEXT NOT NULL PRIMARY KEY,
    since BIGINT NOT NULL,
    why TEXT NOT NULL
);

-- What every database carries from the first day. Times are nanoseconds since 1970 in UTC; shapes are JSON in TEXT.
CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO meta (name, value) VALUES ('format_version', '1');

-- `body` is the alert as CONTRACTS 3 shows it; the columns beside it are what lists filter by. `version` counts changes: it is the ETag,
-- and the number in the id of a notification. `level` is 0 (informational) to 4 (critical).
CREATE TABLE alerts (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    cluster TEXT NOT NULL,
    rule TEXT NOT NULL,
    level BIGINT NOT NULL,
    status TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX alerts_by_time ON alerts (last_seen, id);
CREATE INDEX alerts_by_status ON alerts (status, last_seen, id);
CREATE INDEX alerts_by_rule ON alerts (rule, last_seen, id);

-- Which alerts an event is evidence of. `time` is known for events that are steps of the story.
CREATE TABLE alert_events (
    alert_id TEXT NOT NULL REFERENCES alerts (id),
    event_id TEXT NOT NULL,
    time BIGINT,
    PRIMARY KEY (alert_id, event_id)
);
CREATE INDEX alert_events_by_event ON alert_events (event_id);

CREATE TABLE alert_entities (
    alert_id TEXT NOT NULL REFERENCES alerts (id),
    entity TEXT NOT NULL,
    PRIMARY KEY (alert_id, entity)
);
CREATE INDEX alert_entities_by_entity ON alert_entities (entity);

-- What people say and decide; `status` is set where the note came with a decision.
CREATE TABLE alert_comments (
    alert_id TEXT NOT NULL REFERENCES alerts (id),
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT,
    PRIMARY KEY (alert_id, number)
);

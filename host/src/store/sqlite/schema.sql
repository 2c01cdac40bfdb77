-- Numbers are never given twice (AUTOINCREMENT): a removed delivery's number stays its own.
CREATE TABLE cursors (source TEXT PRIMARY KEY, cursor TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    journalled_ms INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX events_by_age ON events (journalled_ms, seq);
-- Ids of events that retention removed: a source that reads them again is not to journal them again.
CREATE TABLE past (id TEXT PRIMARY KEY, journalled_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX past_by_age ON past (journalled_ms);
CREATE TABLE details (
    event INTEGER NOT NULL,
    path TEXT NOT NULL,
    rows TEXT NOT NULL,
    PRIMARY KEY (event, path)
) WITHOUT ROWID;
CREATE TABLE units (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event INTEGER NOT NULL,
    entry TEXT NOT NULL,
    ordering TEXT NOT NULL,
    job TEXT NOT NULL,
    state TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    waited INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    why TEXT,
    log TEXT,
    ended_ms INTEGER
);
CREATE INDEX units_waiting ON units (id) WHERE state = 'waiting';
CREATE INDEX units_of_event ON units (event);
CREATE TABLE state (
    entry TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (entry, key)
) WITHOUT ROWID;
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL,
    event INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    entry TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    destination TEXT NOT NULL,
    lane TEXT,
    supersede TEXT,
    tag TEXT,
    title TEXT NOT NULL,
    state TEXT NOT NULL,
    why TEXT,
    attempts INTEGER NOT NULL,
    -- How many of these came to a throttle.
    throttled INTEGER NOT NULL,
    queued_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    -- 'null': this is the dead letter of a call, without an endpoint.
    payload TEXT NOT NULL,
    rules TEXT NOT NULL,
    -- The delivery of which this is the part for some recipients.
    part_of INTEGER
);
CREATE UNIQUE INDEX deliveries_uid ON deliveries (uid) WHERE part_of IS NULL;
CREATE INDEX deliveries_waiting ON deliveries (id) WHERE state = 'waiting';
CREATE INDEX deliveries_of_key ON deliveries (entry, endpoint, supersede, event, id) WHERE supersede IS NOT NULL;
CREATE INDEX deliveries_of_event ON deliveries (event);
CREATE INDEX deliveries_of_unit ON deliveries (unit);
CREATE TABLE attempts (
    delivery INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    took_ms INTEGER NOT NULL,
    status INTEGER NOT NULL,
    answer TEXT NOT NULL
);
CREATE INDEX attempts_of_delivery ON attempts (delivery);
-- What an operator changed beside a running host.
CREATE TABLE nudges (delivery INTEGER PRIMARY KEY);

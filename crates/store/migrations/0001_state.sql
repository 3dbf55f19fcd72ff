-- Times are milliseconds since the Unix epoch. JSON is text.

CREATE TABLE records (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    parent TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX records_by_parent ON records (kind, parent, id);

-- AUTOINCREMENT: a number is never given twice, whatever is deleted.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    body TEXT NOT NULL
);

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    due INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    created INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX jobs_by_due ON jobs (queue, due, id);

CREATE TABLE cursors (
    name TEXT PRIMARY KEY NOT NULL,
    seq INTEGER NOT NULL
) WITHOUT ROWID;

-- `line_count` saves counting a group's lines on each append.
CREATE TABLE log_groups (
    name TEXT PRIMARY KEY NOT NULL,
    line_count INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE log_lines (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    log_group TEXT NOT NULL REFERENCES log_groups (name) ON DELETE CASCADE,
    stream TEXT NOT NULL,
    at INTEGER NOT NULL,
    message TEXT NOT NULL
);
CREATE INDEX log_lines_by_group ON log_lines (log_group, seq);
CREATE INDEX log_lines_by_stream ON log_lines (log_group, stream, at);

CREATE TABLE answers (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    poll TEXT NOT NULL,
    viewer TEXT NOT NULL,
    choice INTEGER NOT NULL,
    at INTEGER NOT NULL,
    playhead INTEGER,
    UNIQUE (poll, viewer)
);
CREATE INDEX answers_by_poll ON answers (poll, seq);

-- Kept with the answers, so that a tally costs the same for ten answers and for a million.
CREATE TABLE tallies (
    poll TEXT NOT NULL,
    choice INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (poll, choice)
) WITHOUT ROWID;

-- What a record can be found by besides its id and parent, such as a channel's name.
CREATE TABLE record_labels (
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (kind, label, id),
    FOREIGN KEY (kind, id) REFERENCES records (kind, id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX record_labels_by_record ON record_labels (kind, id);

INSERT INTO record_labels
SELECT kind, 'name=' || json_extract(body, '$.name'), id
FROM records WHERE kind = 'channel' AND json_extract(body, '$.name') <> '';
INSERT INTO record_labels
SELECT kind, 'open', id
FROM records WHERE kind = 'stream-session' AND json_extract(body, '$.end_time') IS NULL;

-- How many records there are of each kind, so that a quota costs the same for ten records and for thousands.
CREATE TABLE record_counts (
    kind TEXT PRIMARY KEY NOT NULL,
    count INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO record_counts SELECT kind, count(*) FROM records GROUP BY kind;
CREATE TRIGGER records_counted_in AFTER INSERT ON records BEGIN
    INSERT INTO record_counts (kind, count) VALUES (new.kind, 1)
    ON CONFLICT (kind) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER records_counted_out AFTER DELETE ON records BEGIN
    UPDATE record_counts SET count = count - 1 WHERE kind = old.kind;
END;

-- Sessions that ended before are removed when their 60 days are over, as later ones are.
INSERT INTO jobs (queue, due, attempt, created, body)
SELECT 'expiries', json_extract(body, '$.end_time') + 5184000000, 0, json_extract(body, '$.end_time'),
    json_object('kind', kind, 'id', id)
FROM records WHERE kind = 'stream-session' AND json_extract(body, '$.end_time') IS NOT NULL;

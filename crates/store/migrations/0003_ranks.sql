-- Where a record stands among those of its parent, such as a stream session's start. The newest of many are then read
-- without the others.
ALTER TABLE records ADD COLUMN rank INTEGER;
CREATE INDEX records_by_rank ON records (kind, parent, rank DESC, id DESC) WHERE rank IS NOT NULL;

UPDATE records SET rank = json_extract(body, '$.start_time') WHERE kind = 'stream-session';

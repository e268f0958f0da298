-- The kinds that may be pushed with a token: names, parted by blanks; empty: any.
ALTER TABLE tokens ADD COLUMN kinds TEXT NOT NULL DEFAULT '';

"""The tables on disk.

Times are Unix milliseconds (``*_at_ms``). ``pair`` is the two names of a thread in sorted order with a newline
between, so that both sides read the same rows.
"""

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY, display_name TEXT NOT NULL, password TEXT NOT NULL, controls TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS ties (
    kind TEXT NOT NULL, who TEXT NOT NULL, whom TEXT NOT NULL, PRIMARY KEY (kind, who, whom)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY, pair TEXT NOT NULL, sender TEXT NOT NULL, text TEXT NOT NULL, at_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_of_pair ON messages (pair, seq);

CREATE TABLE IF NOT EXISTS threads (
    owner TEXT NOT NULL, other TEXT NOT NULL, last_seq INTEGER NOT NULL, unread INTEGER NOT NULL,
    PRIMARY KEY (owner, other)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS threads_by_time ON threads (owner, last_seq DESC);

CREATE TABLE IF NOT EXISTS calls (
    row INTEGER PRIMARY KEY, call_id TEXT NOT NULL, pair TEXT NOT NULL, caller TEXT NOT NULL, callee TEXT NOT NULL,
    media TEXT NOT NULL, invited_at_ms INTEGER NOT NULL, ringing_at_ms INTEGER, answered_at_ms INTEGER,
    answer_relayed_at_ms INTEGER, ended_at_ms INTEGER, outcome TEXT, ended_by TEXT
);
CREATE INDEX IF NOT EXISTS calls_by_id ON calls (call_id);
CREATE INDEX IF NOT EXISTS calls_of_pair ON calls (pair, invited_at_ms);
CREATE INDEX IF NOT EXISTS calls_of_caller ON calls (caller, invited_at_ms);
CREATE INDEX IF NOT EXISTS calls_of_callee ON calls (callee, invited_at_ms);
CREATE INDEX IF NOT EXISTS calls_open ON calls (row) WHERE ended_at_ms IS NULL;

CREATE TABLE IF NOT EXISTS call_events (
    call_row INTEGER NOT NULL, at_ms INTEGER NOT NULL, event TEXT NOT NULL, by TEXT, detail TEXT
);
CREATE INDEX IF NOT EXISTS events_of_call ON call_events (call_row);

CREATE TABLE IF NOT EXISTS reports (
    at_ms INTEGER NOT NULL, reporter TEXT NOT NULL, name TEXT NOT NULL, call_id TEXT, reason TEXT NOT NULL
);
"""

-- Recovery: how far the ledger was recomputed, so that each minute's check reads only what came since; and what was wrong.
-- Nothing rests on this table but speed: `ledger verify` and the daily recomputation read every row and not this.

CREATE TABLE ledger_checkpoint (
  tenant_id uuid PRIMARY KEY DEFAULT current_tenant() REFERENCES tenants,
  seq bigint NOT NULL CHECK (seq >= 0),          -- the last row that is in `state`
  hash bytea NOT NULL CHECK (length(hash) = 32), -- that row's hash
  state jsonb NOT NULL,                          -- domain/ledger_fold.py: counters, limits, open approvals, keys
  full_at timestamptz NOT NULL,                  -- when every row was last read
  trouble text[] NOT NULL DEFAULT '{}',          -- what did not fit at the last check; empty = all well
  trouble_since timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK ((trouble = '{}') = (trouble_since IS NULL)));
CALL protect('ledger_checkpoint', 'SELECT, INSERT, UPDATE');

-- What waits longest for its end comes first.
CREATE INDEX reservation_dispatched ON reservation (tenant_id, dispatched_at) WHERE state = 'DISPATCHED';

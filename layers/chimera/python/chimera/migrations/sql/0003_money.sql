-- Money. Postgres is the only authority that can say "approved". Amounts are micros (1e-6 USD).
-- The ledger is append-only by privilege (SELECT, INSERT), by trigger, and by a hash chain that `ledger verify` recomputes.

CREATE TABLE budget_limits (
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  scope text NOT NULL CHECK (scope IN ('total','api_call','compute','storage')),  -- blockchain counts in total only
  kind text NOT NULL CHECK (kind IN ('D','W','M')),
  limit_micros bigint NOT NULL CHECK (limit_micros > 0),
  configured_micros bigint NOT NULL CHECK (configured_micros > 0),  -- what the settings said when last applied
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, scope, kind));
CALL protect('budget_limits', 'SELECT, INSERT, UPDATE');

CREATE TABLE budget_tracking (
  id bigint GENERATED ALWAYS AS IDENTITY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  scope text NOT NULL CHECK (scope IN ('total','api_call','compute','storage')),
  kind text NOT NULL CHECK (kind IN ('D','W','M')),
  period_id text NOT NULL,                       -- '2026-11-21', '2026-W47', '2026-11'
  target_limit_micros bigint NOT NULL CHECK (target_limit_micros > 0),  -- what was asked for
  limit_micros bigint NOT NULL,                  -- what holds: never below what is used already, so a cut freezes
  reserved_micros bigint NOT NULL DEFAULT 0 CHECK (reserved_micros >= 0),
  spent_micros bigint NOT NULL DEFAULT 0 CHECK (spent_micros >= 0),
  ver bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, scope, kind, period_id),
  CONSTRAINT check_spent_within_limit CHECK (reserved_micros + spent_micros <= limit_micros)
) WITH (fillfactor = 10);  -- hot rows: room for HOT updates
CALL protect('budget_tracking', 'SELECT, INSERT, UPDATE');

CREATE VIEW budget_overview WITH (security_invoker = true) AS
SELECT id, tenant_id,
  CASE kind WHEN 'D' THEN 'daily' WHEN 'W' THEN 'weekly' ELSE 'monthly' END AS period,
  scope AS category, period_id,
  (limit_micros / 1000000.0)::numeric(18,6) AS limit_amount,
  (spent_micros / 1000000.0)::numeric(18,6) AS spent_amount,
  (reserved_micros / 1000000.0)::numeric(18,6) AS reserved_amount,
  ((limit_micros - reserved_micros - spent_micros) / 1000000.0)::numeric(18,6) AS remaining_amount,
  period_start::timestamp AT TIME ZONE 'UTC' AS period_start,
  (period_start + CASE kind WHEN 'D' THEN interval '1 day' WHEN 'W' THEN interval '7 days' ELSE interval '1 month' END)
    AT TIME ZONE 'UTC' AS period_end,
  updated_at
FROM budget_tracking, LATERAL (SELECT CASE kind
  WHEN 'D' THEN to_date(period_id, 'YYYY-MM-DD')
  WHEN 'W' THEN to_date(period_id, 'IYYY-"W"IW')
  ELSE to_date(period_id, 'YYYY-MM') END AS period_start) start;
GRANT SELECT ON budget_overview TO chimera_app;

CREATE TABLE ledger (
  tx_id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  seq bigint NOT NULL CHECK (seq >= 1),          -- gapless per tenant, allotted under the chain head's lock
  entry_type text NOT NULL CHECK (entry_type IN ('DECISION','SETTLE','RELEASE','EXPIRE','LIMIT_CHANGE')),
  request_id uuid NOT NULL,
  agent_id uuid REFERENCES agents,               -- who asked; null for a change of limits
  request_type text CHECK (request_type IN ('api_call','compute','storage','blockchain')),
  amount_micros bigint NOT NULL CHECK (amount_micros >= 0),
  amount numeric(18,6) GENERATED ALWAYS AS (amount_micros / 1000000.0) STORED,
  currency text NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z]{3,10}$'),
  projected_roi numeric(18,6),
  risk_score numeric(5,4) CHECK (risk_score BETWEEN 0 AND 1),
  decision text CHECK (decision IN ('approved','rejected','escalated')),
  approved boolean GENERATED ALWAYS AS (coalesce(decision = 'approved', false)) STORED,
  code text NOT NULL DEFAULT '',                 -- the documented error code of a refusal
  reason text NOT NULL DEFAULT '',
  justification text NOT NULL DEFAULT '',
  cfo_agent_id uuid REFERENCES agents,
  made_by text NOT NULL,                         -- the agent, person or job behind this row
  override_of uuid REFERENCES ledger,            -- the escalated decision that a person decided by this one
  settles uuid REFERENCES ledger,                -- the approval that this settlement, release or expiry resolves
  periods jsonb NOT NULL DEFAULT '{}',           -- {"D": "2026-11-21", "W": "2026-W47", "M": "2026-11"}: fixed at decision
  control_epoch bigint,                          -- the control switch's epoch that a decision was made in
  expires_at timestamptz,                        -- an approval is for use before this
  details jsonb NOT NULL DEFAULT '{}',           -- risk features, cost lines, changes of limits; body has their hash
  req_sha256 bytea NOT NULL CHECK (length(req_sha256) = 32),
  body bytea NOT NULL,                           -- the exact bytes (RFC 8785) that are hashed and signed
  prev_hash bytea NOT NULL CHECK (length(prev_hash) = 32),
  row_hash bytea NOT NULL CHECK (length(row_hash) = 32),   -- sha256(0x00 || prev_hash || body)
  key_id text NOT NULL DEFAULT '',               -- the key that is to sign an approval
  created_at timestamptz NOT NULL,
  approved_at timestamptz GENERATED ALWAYS AS (CASE WHEN decision = 'approved' THEN created_at END) STORED,
  UNIQUE (tenant_id, seq),
  CHECK (entry_type = 'LIMIT_CHANGE' OR (agent_id IS NOT NULL AND request_type IS NOT NULL)),
  CHECK (entry_type <> 'DECISION' OR (decision IS NOT NULL AND amount_micros > 0 AND settles IS NULL)),
  CHECK ((entry_type IN ('SETTLE','RELEASE','EXPIRE')) = (settles IS NOT NULL)));
CREATE UNIQUE INDEX one_decision ON ledger (tenant_id, request_id) WHERE entry_type = 'DECISION';
CREATE UNIQUE INDEX one_resolution ON ledger (tenant_id, request_id) WHERE entry_type IN ('SETTLE','RELEASE','EXPIRE');
CREATE UNIQUE INDEX one_override ON ledger (tenant_id, override_of) WHERE override_of IS NOT NULL;
CREATE INDEX ledger_agent ON ledger (tenant_id, agent_id, seq DESC);
CREATE INDEX ledger_approved ON ledger (tenant_id, approved);
CREATE INDEX ledger_created ON ledger (tenant_id, created_at DESC);
CREATE INDEX ledger_type ON ledger (tenant_id, request_type);
CALL protect('ledger', 'SELECT, INSERT', false);

-- A signature is made after the commit, outside the locks, so it has a table of its own: the ledger is never updated.
CREATE TABLE ledger_signature (
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  seq bigint NOT NULL,
  kid text NOT NULL,
  alg text NOT NULL DEFAULT 'ES256',
  sig bytea NOT NULL CHECK (length(sig) = 64),
  proof bytea,                                   -- inclusion proof, where a root is signed for many rows
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, seq),
  FOREIGN KEY (tenant_id, seq) REFERENCES ledger (tenant_id, seq));
CALL protect('ledger_signature', 'SELECT, INSERT', false);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON ledger FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger_signature FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON ledger_signature FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The row as source 5 shows it: with its signature, once there is one.
CREATE VIEW ledger_entries WITH (security_invoker = true) AS
SELECT l.*, s.sig AS approval_signature, s.kid AS signed_by
FROM ledger l LEFT JOIN ledger_signature s USING (tenant_id, seq);
GRANT SELECT ON ledger_entries TO chimera_app;

CREATE TABLE chain_head (
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  shard smallint NOT NULL DEFAULT 0,
  seq bigint NOT NULL DEFAULT 0 CHECK (seq >= 0),
  hash bytea NOT NULL CHECK (length(hash) = 32),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, shard)) WITH (fillfactor = 10);
CALL protect('chain_head', 'SELECT, INSERT, UPDATE');

CREATE TABLE reservation (
  request_id uuid NOT NULL,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  decision_tx uuid NOT NULL REFERENCES ledger,
  state text NOT NULL CHECK (state IN ('RESERVED','SIGNED','DISPATCHED','SETTLED','RELEASED','EXPIRED')),
  state_version integer NOT NULL DEFAULT 0,
  category text NOT NULL CHECK (category IN ('api_call','compute','storage','blockchain')),
  amount_micros bigint NOT NULL CHECK (amount_micros > 0),
  periods jsonb NOT NULL,
  control_epoch bigint NOT NULL,
  expires_at timestamptz NOT NULL,
  spender text,
  dispatched_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, request_id),
  CHECK ((spender IS NULL) = (dispatched_at IS NULL)));
CREATE INDEX reservation_open ON reservation (tenant_id, expires_at) WHERE state IN ('RESERVED','SIGNED','DISPATCHED');
CALL protect('reservation', 'SELECT, INSERT, UPDATE');

-- The money engine: freezes, refunds, overruns, refusals and keys as ledger rows; what the engine asks in one round trip.

ALTER TABLE ledger
  DROP CONSTRAINT ledger_entry_type_check,
  DROP CONSTRAINT ledger_check,
  DROP CONSTRAINT ledger_check1,
  DROP CONSTRAINT ledger_check2,
  ADD CONSTRAINT ledger_entry_type CHECK (entry_type IN ('DECISION','SETTLE','RELEASE','EXPIRE','LIMIT_CHANGE',
    'REFUND','OVERRUN','FREEZE','UNFREEZE','REFUSAL','KEY')),
  -- rows about a request say whose it is
  ADD CONSTRAINT ledger_of_a_request CHECK (entry_type IN ('LIMIT_CHANGE','FREEZE','UNFREEZE','REFUSAL','KEY')
    OR (agent_id IS NOT NULL AND request_type IS NOT NULL)),
  ADD CONSTRAINT ledger_decision CHECK (entry_type <> 'DECISION'
    OR (decision IS NOT NULL AND amount_micros > 0 AND settles IS NULL)),
  ADD CONSTRAINT ledger_settles CHECK (
    (entry_type IN ('SETTLE','RELEASE','EXPIRE','REFUND','OVERRUN')) = (settles IS NOT NULL)),
  ADD CONSTRAINT ledger_amount CHECK (entry_type NOT IN ('REFUND','OVERRUN') OR amount_micros > 0),
  ADD CONSTRAINT ledger_no_amount CHECK (amount_micros = 0
    OR entry_type NOT IN ('RELEASE','EXPIRE','LIMIT_CHANGE','FREEZE','UNFREEZE','REFUSAL','KEY'));
CREATE INDEX ledger_refunds ON ledger (tenant_id, settles) WHERE entry_type = 'REFUND';
COMMENT ON COLUMN ledger.key_id IS 'the key that is to sign this row; empty before the tenant''s first KEY row';

-- A row here = nothing is approved in the scope until a person unfreezes it.
CREATE TABLE budget_freeze (
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  scope text NOT NULL CHECK (scope IN ('total','api_call','compute','storage')),
  entry_tx uuid NOT NULL REFERENCES ledger,      -- the FREEZE or OVERRUN row
  reason text NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, scope));
CALL protect('budget_freeze', 'SELECT, INSERT, DELETE', false);

CREATE TABLE ledger_key (
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  purpose text NOT NULL CHECK (purpose IN ('cfo','seal')),
  kid text NOT NULL,                             -- the key in use: that of the purpose's last KEY row
  entry_tx uuid NOT NULL REFERENCES ledger,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, purpose));
CALL protect('ledger_key', 'SELECT, INSERT, UPDATE');

-- Rows that wait for their signature, so that the sweep reads no more than these.
CREATE TABLE ledger_unsigned (
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  seq bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, seq)) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE ledger NO FORCE ROW LEVEL SECURITY;  -- the owner, who runs this, sees all tenants for a moment
ALTER TABLE ledger_signature NO FORCE ROW LEVEL SECURITY;
ALTER TABLE reservation NO FORCE ROW LEVEL SECURITY;
INSERT INTO ledger_unsigned (tenant_id, seq)
  SELECT l.tenant_id, l.seq FROM ledger l
  LEFT JOIN ledger_signature s USING (tenant_id, seq) LEFT JOIN reservation r ON r.decision_tx = l.tx_id
  WHERE s.seq IS NULL AND (r.state IS NULL OR r.state = 'RESERVED');
ALTER TABLE ledger FORCE ROW LEVEL SECURITY;
ALTER TABLE ledger_signature FORCE ROW LEVEL SECURITY;
ALTER TABLE reservation FORCE ROW LEVEL SECURITY;
CALL protect('ledger_unsigned', 'SELECT, INSERT, DELETE', false);

-- All that decisions rest on. Locks, in the order of everybody: limits (only to make rows) -> counters -> chain head.
-- VOLATILE: under READ COMMITTED each statement after the locks sees what was committed while it waited for them.
-- enable_seqscan is off because a plan made while the tables were small would be kept.
CREATE FUNCTION money_view(requests uuid[], askers uuid[], scopes text[], kinds text[], period_ids text[])
RETURNS TABLE (now timestamptz, head_seq bigint, head_hash bytea, key_id text, control_state text, control_epoch bigint,
  counters text, freezes jsonb, known bigint[], agents_known boolean[], histories text[])
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
  FOR i IN 1 .. cardinality(scopes) LOOP
    PERFORM 1 FROM budget_tracking b
      WHERE b.scope = scopes[i] AND b.kind = kinds[i] AND b.period_id = period_ids[i];
    CONTINUE WHEN FOUND;
    -- FOR SHARE: a change of limits either comes before these rows or sees them
    PERFORM 1 FROM budget_limits ORDER BY scope, kind FOR SHARE;
    INSERT INTO budget_tracking (scope, kind, period_id, target_limit_micros, limit_micros)
      SELECT scope, kind, k.period_id, l.limit_micros, l.limit_micros
      FROM unnest(scopes, kinds, period_ids) k (scope, kind, period_id) JOIN budget_limits l USING (scope, kind)
      ORDER BY scope COLLATE "C", kind COLLATE "C" ON CONFLICT DO NOTHING;
    EXIT;
  END LOOP;
  counters := money_lock(scopes, kinds, period_ids);
  SELECT h.seq, h.hash INTO head_seq, head_hash FROM money_head() h;
  now := clock_timestamp();
  SELECT k.kid INTO key_id FROM ledger_key k WHERE k.purpose = 'cfo';
  SELECT c.state, c.epoch INTO control_state, control_epoch FROM controls c;
  SELECT jsonb_object_agg(f.scope, jsonb_build_array(f.created_at, f.reason)) INTO freezes FROM budget_freeze f;
  known := ARRAY(SELECT coalesce((SELECT l.seq FROM ledger l WHERE l.request_id = q.id AND l.entry_type = 'DECISION'), 0)
    FROM unnest(requests) WITH ORDINALITY q (id, n) ORDER BY n);
  agents_known := ARRAY(SELECT EXISTS (SELECT 1 FROM agents a WHERE a.id = q.id)
    FROM unnest(askers) WITH ORDINALITY q (id, n) ORDER BY n);
  histories := ARRAY(SELECT (SELECT string_agg(concat_ws('|', h.decision, h.request_type, h.amount_micros,
        (extract(epoch FROM h.created_at) * 1000000)::bigint), ';' ORDER BY h.seq DESC)
      FROM (SELECT l.seq, l.decision, l.request_type, l.amount_micros, l.created_at FROM ledger l
        WHERE l.agent_id = q.id AND l.entry_type = 'DECISION' ORDER BY l.seq DESC LIMIT 100) h)
    FROM unnest(askers) WITH ORDINALITY q (id, n) ORDER BY n);
  RETURN NEXT;
END $$;

-- Lock counters that exist, sorted; one text 'scope|kind|period|limit|target|reserved|spent;…'.
CREATE FUNCTION money_lock(scopes text[], kinds text[], period_ids text[]) RETURNS text
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE k record; c record; counters text[] := '{}';
BEGIN
  -- one row a statement: each is one look-up in the primary key, whatever the planner knows of the table
  FOR k IN SELECT * FROM unnest(scopes, kinds, period_ids) u (scope, kind, period_id)
      ORDER BY scope COLLATE "C", kind COLLATE "C", period_id COLLATE "C" LOOP
    SELECT b.limit_micros, b.target_limit_micros, b.reserved_micros, b.spent_micros INTO c FROM budget_tracking b
      WHERE b.scope = k.scope AND b.kind = k.kind AND b.period_id = k.period_id FOR UPDATE;
    IF FOUND THEN
      counters := counters || concat_ws('|', k.scope, k.kind, k.period_id, c.limit_micros, c.target_limit_micros,
        c.reserved_micros, c.spent_micros);
    END IF;
  END LOOP;
  RETURN array_to_string(counters, ';');
END $$;

-- Lock the chain's head, the last lock of every transaction that writes a row.
CREATE FUNCTION money_head() RETURNS TABLE (seq bigint, hash bytea) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
BEGIN
  SELECT h.seq, h.hash INTO seq, hash FROM chain_head h WHERE h.shard = 0 FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO chain_head (shard, hash) VALUES (0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
    SELECT h.seq, h.hash INTO seq, hash FROM chain_head h WHERE h.shard = 0 FOR UPDATE;
  END IF;
  RETURN NEXT;
END $$;

-- Rows at the end of the chain, what they do to the counters, and new reservations; all locks are had already.
CREATE FUNCTION money_write(p jsonb) RETURNS void LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE m record;
BEGIN
  FOR m IN SELECT * FROM jsonb_to_recordset(p->'moves')
      AS m (scope text, kind text, period_id text, reserved bigint, spent bigint) LOOP
    -- only what shrinks may lower a frozen limit; for what grows, the table's check is the last guard
    UPDATE budget_tracking b SET reserved_micros = b.reserved_micros + m.reserved, spent_micros = b.spent_micros + m.spent,
        limit_micros = CASE WHEN m.reserved + m.spent > 0 THEN b.limit_micros
          ELSE greatest(b.target_limit_micros, b.reserved_micros + m.reserved + b.spent_micros + m.spent) END,
        ver = b.ver + 1
      WHERE b.scope = m.scope AND b.kind = m.kind AND b.period_id = m.period_id;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'there is no counter % % %', m.scope, m.kind, m.period_id;
    END IF;
  END LOOP;
  INSERT INTO ledger (tx_id, tenant_id, seq, entry_type, request_id, agent_id, request_type, amount_micros, currency,
      projected_roi, risk_score, decision, code, reason, justification, cfo_agent_id, made_by, override_of, settles, periods,
      control_epoch, expires_at, details, req_sha256, prev_hash, key_id, created_at, body, row_hash)
    SELECT tx_id, tenant_id, seq, entry_type, request_id, agent_id, request_type, amount_micros, currency,
      projected_roi, risk_score, decision, code, reason, justification, cfo_agent_id, made_by, override_of, settles, periods,
      control_epoch, expires_at, details, req_sha256, prev_hash, key_id, created_at, body, row_hash
    FROM jsonb_to_recordset(p->'rows') AS r (tx_id uuid, tenant_id uuid, seq bigint, entry_type text, request_id uuid,
      agent_id uuid, request_type text, amount_micros bigint, currency text, projected_roi numeric, risk_score numeric,
      decision text, code text, reason text, justification text, cfo_agent_id uuid, made_by text, override_of uuid,
      settles uuid, periods jsonb, control_epoch bigint, expires_at timestamptz, details jsonb, req_sha256 bytea,
      prev_hash bytea, key_id text, created_at timestamptz, body bytea, row_hash bytea);
  INSERT INTO ledger_unsigned (seq) SELECT seq FROM jsonb_to_recordset(p->'rows') AS r (seq bigint);
  INSERT INTO reservation (request_id, decision_tx, state, category, amount_micros, periods, control_epoch, expires_at,
      created_at)
    SELECT request_id, decision_tx, 'RESERVED', category, amount_micros, periods, control_epoch, expires_at, created_at
    FROM jsonb_to_recordset(p->'reserves') AS r (request_id uuid, decision_tx uuid, category text, amount_micros bigint,
      periods jsonb, control_epoch bigint, expires_at timestamptz, created_at timestamptz);
  UPDATE chain_head SET seq = (p->>'last_seq')::bigint, hash = (p->>'last_hash')::bytea
    WHERE shard = 0 AND seq = (p->>'prev_seq')::bigint AND hash = (p->>'prev_hash')::bytea;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'row % does not follow the head of the chain', (p->>'prev_seq')::bigint + 1;
  END IF;
END $$;

-- Keep a row's first signature; an approval goes RESERVED -> SIGNED.
CREATE FUNCTION money_sign(row_seq bigint, row_kid text, signature bytea) RETURNS void
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE approval record;
BEGIN
  -- one table a statement: each is one look-up in a unique index, whatever the planner knows of the tables
  SELECT l.request_id, l.tx_id, l.entry_type = 'DECISION' AND l.decision = 'approved' AS spends INTO approval
    FROM ledger l WHERE l.seq = row_seq;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF approval.spends THEN  -- reservation before ledger_signature, as everywhere
    UPDATE reservation SET state = 'SIGNED', state_version = state_version + 1
      WHERE request_id = approval.request_id AND decision_tx = approval.tx_id AND state = 'RESERVED';
    IF NOT FOUND THEN
      RETURN;  -- signed before, or ended unsigned: then it never will be
    END IF;
  END IF;
  INSERT INTO ledger_signature (seq, kid, sig) VALUES (row_seq, row_kid, signature) ON CONFLICT DO NOTHING;
  DELETE FROM ledger_unsigned WHERE seq = row_seq;
END $$;

-- Seals: a signed Merkle root for every 1 to 1000 ledger rows, at most 60 s apart. The anchor outside the database
-- (write-once folder, Object Lock bucket) is what counts; this is its record, for proofs and look-ups.
CREATE TABLE ledger_seal (
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  number bigint NOT NULL CHECK (number >= 1),
  first_seq bigint NOT NULL,
  last_seq bigint NOT NULL,
  body bytea NOT NULL CHECK (length(body) BETWEEN 2 AND 4096),  -- the exact bytes (RFC 8785) that are signed: root, head, prev, at
  kid text NOT NULL,
  alg text NOT NULL DEFAULT 'ES256',
  sig bytea NOT NULL CHECK (length(sig) = 64),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, number),
  UNIQUE (tenant_id, first_seq),
  UNIQUE (tenant_id, last_seq),
  FOREIGN KEY (tenant_id, last_seq) REFERENCES ledger (tenant_id, seq),
  CHECK (last_seq - first_seq BETWEEN 0 AND 999));
CALL protect('ledger_seal', 'SELECT, INSERT', false);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger_seal FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON ledger_seal FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- which key signs what, since when: few rows among many
CREATE INDEX IF NOT EXISTS ledger_keys ON ledger (tenant_id, seq) WHERE entry_type = 'KEY';

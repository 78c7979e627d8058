-- Allowances: the reservation of one dispatched approval, cut up; each paid call draws its worst case before it is made.
-- The same rows as the DynamoDB items on AWS (adapters/aws/dynamo_allowances.py). Amounts are micros (1e-6 USD).

CREATE TABLE allowance (
  request_id uuid NOT NULL,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  amount_micros bigint NOT NULL CHECK (amount_micros > 0),
  used_micros bigint NOT NULL DEFAULT 0 CHECK (used_micros >= 0),
  remaining_micros bigint GENERATED ALWAYS AS (greatest(0, amount_micros - used_micros)) STORED,
  overrun_micros bigint NOT NULL DEFAULT 0 CHECK (overrun_micros >= 0),  -- above 0 nothing more is drawn
  epoch bigint NOT NULL,                         -- the control switch's epoch that the approval was given in
  expires_at timestamptz NOT NULL,
  closed boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, request_id),
  FOREIGN KEY (tenant_id, request_id) REFERENCES reservation (tenant_id, request_id),  -- no budget comes from nowhere
  CONSTRAINT used_within_amount CHECK (used_micros <= amount_micros OR overrun_micros > 0)
) WITH (fillfactor = 50);  -- updated once or twice for each call
CALL protect('allowance', 'SELECT, INSERT, UPDATE');

CREATE TABLE allowance_draw (
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  request_id uuid NOT NULL,
  call_id text COLLATE "C" NOT NULL CHECK (length(call_id) BETWEEN 1 AND 200),
  step text NOT NULL,
  item text NOT NULL,
  quantity text NOT NULL,                        -- a decimal number: the most before the call, the measured after it
  unit text NOT NULL,
  category text NOT NULL CHECK (category IN ('api_call','compute','storage','blockchain')),
  drawn_micros bigint NOT NULL CHECK (drawn_micros >= 0),
  actual_micros bigint CHECK (actual_micros >= 0),
  state text NOT NULL DEFAULT 'OPEN' CHECK (state IN ('OPEN','CORRECTED','RETURNED')),
  attempt integer NOT NULL DEFAULT 1 CHECK (attempt >= 1),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, request_id, call_id),
  FOREIGN KEY (tenant_id, request_id) REFERENCES allowance (tenant_id, request_id),
  CHECK ((state = 'CORRECTED') = (actual_micros IS NOT NULL)));
CALL protect('allowance_draw', 'SELECT, INSERT, UPDATE');

-- Reviews by people, publications, measurements.
CREATE TABLE reviews (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  kind text NOT NULL CHECK (kind IN ('content','spend')),
  content_id uuid REFERENCES content_pipeline,
  request_id uuid,                       -- the escalated CFO request, for kind = spend
  subject_hash text NOT NULL,            -- content hash, or sha256 of the request: a decision is about this very version
  reason text NOT NULL DEFAULT '',
  task_token text,                       -- opaque, single use; null once decided in advance
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending','approved','rejected','expired')),
  decided_by text,
  decided_at timestamptz,
  note text NOT NULL DEFAULT '',
  delivered_at timestamptz,              -- when the waiting execution was told; null: still to be sent
  in_advance boolean NOT NULL DEFAULT false,
  state_version integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX reviews_pending ON reviews (tenant_id, created_at) WHERE status = 'pending';
CREATE INDEX reviews_undelivered ON reviews (tenant_id, decided_at)
  WHERE status <> 'pending' AND task_token IS NOT NULL AND delivered_at IS NULL;
CREATE INDEX reviews_created ON reviews (tenant_id, created_at DESC, id);
CREATE UNIQUE INDEX reviews_one_per_version ON reviews (tenant_id, kind, coalesce(content_id, request_id), subject_hash);
CALL protect('reviews', 'SELECT, INSERT, UPDATE');

CREATE TABLE publications (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  content_id uuid NOT NULL REFERENCES content_pipeline,
  content_hash text NOT NULL,
  platform text NOT NULL,
  channel_id text NOT NULL,
  idempotency_key text NOT NULL UNIQUE,
  title text NOT NULL,
  description text NOT NULL DEFAULT '',
  tags text[] NOT NULL DEFAULT '{}',
  request jsonb NOT NULL DEFAULT '{}',
  state text NOT NULL DEFAULT 'PLANNED' CHECK (state IN
    ('PLANNED','READY','SENDING','CONFIRMED','AMBIGUOUS','NEEDS_HUMAN','FAILED_PERMANENT','CANCELLED')),
  status text NOT NULL GENERATED ALWAYS AS (CASE state
    WHEN 'CONFIRMED' THEN 'published' WHEN 'SENDING' THEN 'publishing'
    WHEN 'AMBIGUOUS' THEN 'unknown' WHEN 'NEEDS_HUMAN' THEN 'unknown'
    WHEN 'FAILED_PERMANENT' THEN 'failed' WHEN 'CANCELLED' THEN 'failed' ELSE 'scheduled' END) STORED,
  grant_jti text,
  grant_used_at timestamptz,
  lease_until timestamptz,
  attempts integer NOT NULL DEFAULT 0,
  lookups integer NOT NULL DEFAULT 0,    -- look-ups without an answer since the last claim
  post_id text,
  url text,
  receipt jsonb NOT NULL DEFAULT '{}',
  last_error jsonb,
  scheduled_at timestamptz,
  published_at timestamptz,
  state_version integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (tenant_id, content_id, channel_id));
CREATE INDEX publications_platform_status ON publications (tenant_id, platform, status);
CREATE INDEX publications_published ON publications (tenant_id, published_at DESC);
CREATE INDEX publications_created ON publications (tenant_id, created_at DESC, id);
CREATE INDEX publications_unsettled ON publications (tenant_id, lease_until) WHERE state IN ('SENDING','AMBIGUOUS');
CALL protect('publications', 'SELECT, INSERT, UPDATE');

CREATE TABLE engagement (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  publication_id uuid NOT NULL REFERENCES publications,
  content_id uuid NOT NULL REFERENCES content_pipeline,
  due text NOT NULL,                     -- '1h','24h','72h','7d': one row each
  views bigint CHECK (views >= 0), likes bigint CHECK (likes >= 0),
  comments bigint CHECK (comments >= 0), shares bigint CHECK (shares >= 0),   -- null: no data, which is not zero
  engagement_rate double precision,
  recorded_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (publication_id, due));
CREATE INDEX engagement_recorded ON engagement (tenant_id, recorded_at DESC);
CALL protect('engagement', 'SELECT, INSERT', false);

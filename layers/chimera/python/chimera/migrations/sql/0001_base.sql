-- Tenants, people-facing configuration, agents, audit. Every table: tenant_id, created_at, forced row-level security.
CREATE EXTENSION IF NOT EXISTS vector;

CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql STABLE AS
$$ SELECT nullif(current_setting('app.tenant', true), '')::uuid $$;

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END $$;

-- Called once for each table: tenants see and write only their own rows, the owner included.
CREATE PROCEDURE protect(table_name regclass, grants text, has_updated_at boolean DEFAULT true) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', table_name);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', table_name);
  EXECUTE format('CREATE POLICY tenant_rows ON %s USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant())', table_name);
  EXECUTE format('GRANT %s ON %s TO chimera_app', grants, table_name);
  IF has_updated_at THEN
    EXECUTE format('CREATE TRIGGER touch BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION touch_updated_at()', table_name);
  END IF;
END $$;

CREATE TABLE tenants (
  tenant_id uuid PRIMARY KEY DEFAULT current_tenant(),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CALL protect('tenants', 'SELECT, INSERT, UPDATE');

CREATE TABLE personas (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  tone text NOT NULL,
  target_audience text NOT NULL,
  brand_guidelines jsonb NOT NULL DEFAULT '{}',
  channels text[] NOT NULL DEFAULT '{}',
  daily_quota integer NOT NULL DEFAULT 10 CHECK (daily_quota BETWEEN 0 AND 1000),
  cooldown_hours integer NOT NULL DEFAULT 72 CHECK (cooldown_hours >= 0),
  template text NOT NULL DEFAULT 'explainer@1',
  language text NOT NULL DEFAULT 'en',
  voice_id text NOT NULL DEFAULT 'en-us',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (tenant_id, name));
CALL protect('personas', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE agents (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  role text NOT NULL CHECK (role IN ('supervisor','scout','planner','director','artist','cfo','judge','publisher','analyst','worker')),
  status text NOT NULL DEFAULT 'idle' CHECK (status IN ('idle','busy','offline','error')),
  config jsonb NOT NULL DEFAULT '{}',
  capabilities jsonb NOT NULL DEFAULT '[]',
  last_heartbeat timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX agents_role ON agents (tenant_id, role);
CREATE INDEX agents_status ON agents (tenant_id, status);
CALL protect('agents', 'SELECT, INSERT, UPDATE');

CREATE TABLE channels (
  id text NOT NULL,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  platform text NOT NULL,
  name text NOT NULL,
  config jsonb NOT NULL DEFAULT '{}',
  connected boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, id));
CALL protect('channels', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE templates (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (tenant_id, name));
CALL protect('templates', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE template_versions (
  template_id uuid NOT NULL REFERENCES templates ON DELETE CASCADE,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  version text NOT NULL,
  body jsonb NOT NULL,
  sha256 text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (template_id, version));
CALL protect('template_versions', 'SELECT, INSERT', false);

CREATE TABLE plugins (
  name text NOT NULL,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  version text NOT NULL,
  enabled boolean NOT NULL DEFAULT true,
  manifest jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, name));
CALL protect('plugins', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE webhooks (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  url text NOT NULL,
  events text[] NOT NULL,
  secret_reference text NOT NULL,
  enabled boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CALL protect('webhooks', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  topic text NOT NULL,
  payload jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  sent_at timestamptz);
CREATE INDEX outbox_unsent ON outbox (id) WHERE sent_at IS NULL;
CALL protect('outbox', 'SELECT, INSERT, UPDATE', false);

CREATE TABLE audit_logs (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  agent_id text NOT NULL,
  action text NOT NULL,
  skill_name text,
  input_data jsonb NOT NULL DEFAULT '{}',
  output_data jsonb NOT NULL DEFAULT '{}',
  status text NOT NULL CHECK (status IN ('success','failure','pending')),
  request_id text NOT NULL DEFAULT '',
  trace_id text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX audit_logs_agent ON audit_logs (tenant_id, agent_id);
CREATE INDEX audit_logs_created ON audit_logs (tenant_id, created_at DESC);
CREATE INDEX audit_logs_skill ON audit_logs (tenant_id, skill_name);
CALL protect('audit_logs', 'SELECT, INSERT', false);

-- switches: RUN | PAUSE_PUBLISH | PAUSE_SPEND | STOP; a missing row is read as STOP (fail closed)
CREATE TABLE controls (
  tenant_id uuid PRIMARY KEY DEFAULT current_tenant() REFERENCES tenants,
  state text NOT NULL CHECK (state IN ('RUN','PAUSE_PUBLISH','PAUSE_SPEND','STOP')),
  epoch bigint NOT NULL DEFAULT 1,
  changed_by text NOT NULL,
  reason text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CALL protect('controls', 'SELECT, INSERT, UPDATE');

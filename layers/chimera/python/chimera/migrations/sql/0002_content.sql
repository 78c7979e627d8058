-- Trends, tasks and content.
CREATE TABLE trends (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  topic varchar(255) NOT NULL,
  title text NOT NULL,
  description text NOT NULL DEFAULT '',
  platforms text[] NOT NULL DEFAULT '{}',
  volume integer NOT NULL CHECK (volume BETWEEN 0 AND 1000000),
  sentiment_score numeric(3,2) NOT NULL CHECK (sentiment_score BETWEEN -1 AND 1),
  rising_velocity numeric(5,2) NOT NULL CHECK (rising_velocity BETWEEN 0 AND 10),
  engagement_metrics jsonb NOT NULL DEFAULT '{}',
  url text NOT NULL DEFAULT '',
  tags text[] NOT NULL DEFAULT '{}',
  metadata jsonb NOT NULL DEFAULT '{}',
  scout_agent_id uuid REFERENCES agents,
  embedding vector(384),
  published_at timestamptz NOT NULL,
  fetched_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX trends_topic ON trends (tenant_id, topic);
CREATE INDEX trends_created ON trends (tenant_id, created_at DESC, id);
CREATE INDEX trends_velocity ON trends (tenant_id, rising_velocity DESC);
CREATE INDEX trends_platforms ON trends USING gin (platforms);
CALL protect('trends', 'SELECT, INSERT, UPDATE');

CREATE TABLE trend_observations (
  trend_id uuid NOT NULL REFERENCES trends ON DELETE CASCADE,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  fetched_at timestamptz NOT NULL,
  volume integer NOT NULL,
  views bigint, likes bigint, comments bigint, shares bigint,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (trend_id, fetched_at));
CALL protect('trend_observations', 'SELECT, INSERT', false);

CREATE TABLE runs (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  execution_id text NOT NULL,
  options jsonb NOT NULL DEFAULT '{}',
  status text NOT NULL DEFAULT 'running' CHECK (status IN ('running','published','waiting_review','waiting_approval','rejected','failed','stopped')),
  summary jsonb NOT NULL DEFAULT '{}',
  state_version integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX runs_created ON runs (tenant_id, created_at DESC, id);
CALL protect('runs', 'SELECT, INSERT, UPDATE');

CREATE TABLE tasks (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  run_id uuid REFERENCES runs,
  type text NOT NULL,
  priority text NOT NULL DEFAULT 'normal' CHECK (priority IN ('high','normal','low')),
  persona_id uuid REFERENCES personas,
  trend_id uuid REFERENCES trends,
  payload jsonb NOT NULL DEFAULT '{}',
  status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued','running','done','failed','cancelled')),
  attempts integer NOT NULL DEFAULT 0,
  last_error jsonb,
  trace_id text NOT NULL DEFAULT '',
  state_version integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX tasks_status ON tasks (tenant_id, status, created_at);
CREATE INDEX tasks_persona ON tasks (tenant_id, persona_id, created_at DESC);
CALL protect('tasks', 'SELECT, INSERT, UPDATE');

CREATE TABLE content_pipeline (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  task_id uuid NOT NULL REFERENCES tasks,
  run_id uuid REFERENCES runs,
  brief_id uuid,
  trend_source_id uuid NOT NULL REFERENCES trends,
  persona_id uuid NOT NULL REFERENCES personas,
  stage text NOT NULL DEFAULT 'draft' CHECK (stage IN ('draft','generating','review','ready','published','failed')),
  format text CHECK (format IN ('video','image','thread','carousel')),
  title text NOT NULL DEFAULT '',
  script text,
  visual_prompts jsonb NOT NULL DEFAULT '[]',
  style text NOT NULL DEFAULT '',
  brief jsonb NOT NULL DEFAULT '{}',
  media_url text,
  media jsonb NOT NULL DEFAULT '{}',
  content_hash text,
  estimated_cost_micros bigint NOT NULL DEFAULT 0 CHECK (estimated_cost_micros >= 0),
  production_cost_micros bigint NOT NULL DEFAULT 0 CHECK (production_cost_micros >= 0),
  production_cost numeric(18,6) GENERATED ALWAYS AS (production_cost_micros / 1000000.0) STORED,
  quality_score numeric(3,2) CHECK (quality_score BETWEEN 0 AND 1),
  approval_request_id uuid,
  metadata jsonb NOT NULL DEFAULT '{}',
  director_agent_id uuid REFERENCES agents,
  artist_agent_id uuid REFERENCES agents,
  last_error jsonb,
  state_version integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  published_at timestamptz,
  UNIQUE (task_id));
CREATE INDEX content_stage ON content_pipeline (tenant_id, stage);
CREATE INDEX content_trend ON content_pipeline (trend_source_id);
CREATE INDEX content_created ON content_pipeline (tenant_id, created_at DESC, id);
CALL protect('content_pipeline', 'SELECT, INSERT, UPDATE');

CREATE TABLE video_metadata (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  content_id uuid NOT NULL UNIQUE REFERENCES content_pipeline ON DELETE CASCADE,
  title varchar(255) NOT NULL,
  description text,
  duration_seconds numeric(8,3) NOT NULL CHECK (duration_seconds > 0),
  resolution text CHECK (resolution IN ('720p','1080p','4k')),
  width integer NOT NULL, height integer NOT NULL,
  fps integer CHECK (fps IN (24, 30, 60)),
  codec text,
  file_size_bytes bigint NOT NULL CHECK (file_size_bytes > 0),
  sha256 text NOT NULL,
  thumbnail_url text,
  video_url text NOT NULL,
  platform_ids jsonb NOT NULL DEFAULT '{}',
  engagement_metrics jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX video_duration ON video_metadata (tenant_id, duration_seconds);
CALL protect('video_metadata', 'SELECT, INSERT, UPDATE');

CREATE TABLE assets (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  content_id uuid NOT NULL REFERENCES content_pipeline ON DELETE CASCADE,
  kind text NOT NULL,
  url text NOT NULL,
  sha256 text NOT NULL,
  bytes bigint NOT NULL CHECK (bytes >= 0),
  licence text NOT NULL,
  generator text NOT NULL,
  prompt text,
  cost_micros bigint NOT NULL DEFAULT 0 CHECK (cost_micros >= 0),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (content_id, url));
CALL protect('assets', 'SELECT, INSERT', false);

CREATE TABLE safety_reports (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenants,
  content_id uuid NOT NULL REFERENCES content_pipeline ON DELETE CASCADE,
  content_hash text NOT NULL,
  checks jsonb NOT NULL,
  confidence numeric(4,3) NOT NULL CHECK (confidence BETWEEN 0 AND 1),
  verdict text NOT NULL CHECK (verdict IN ('pass','review','reject')),
  policy_version text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (content_id, content_hash, policy_version));
CALL protect('safety_reports', 'SELECT, INSERT', false);

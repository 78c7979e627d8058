-- Each agent's functions log in as a role of their own (domain/agents.py) and may touch what their work needs, no more.
-- Row-level security holds for all of them as for the application's role. A right that is missing here is "permission
-- denied" at run time: the workflow tests run every function as its own role.

CREATE PROCEDURE allow(role_name name, grants text, VARIADIC table_names text[]) LANGUAGE plpgsql AS $$
DECLARE table_name text;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role_name) THEN
    RAISE EXCEPTION 'database role % is missing: roles are made before migrations run', role_name;
  END IF;
  FOREACH table_name IN ARRAY table_names LOOP
    EXECUTE format('GRANT %s ON %I TO %I', grants, table_name, role_name);
  END LOOP;
END $$;

-- UPDATE (updated_at) is the right to lock a row (FOR SHARE, FOR UPDATE), not to change it

-- whoever spends: the purse, and the switch that is read last before it opens
CALL allow('chimera_artist', 'SELECT, INSERT, UPDATE', 'allowance', 'allowance_draw');
CALL allow('chimera_artist', 'SELECT, UPDATE (updated_at)', 'controls');
CALL allow('chimera_judge', 'SELECT, INSERT, UPDATE', 'allowance', 'allowance_draw');
CALL allow('chimera_judge', 'SELECT, UPDATE (updated_at)', 'controls');

CALL allow('chimera_supervisor', 'SELECT, INSERT, UPDATE', 'runs');
CALL allow('chimera_supervisor', 'SELECT', 'content_pipeline', 'publications', 'personas', 'trends', 'controls');

CALL allow('chimera_scout', 'SELECT, INSERT, UPDATE', 'trends');
CALL allow('chimera_scout', 'SELECT, UPDATE', 'runs');
CALL allow('chimera_scout', 'SELECT, INSERT', 'trend_observations');
CALL allow('chimera_scout', 'SELECT', 'agents');

CALL allow('chimera_planner', 'SELECT, INSERT, UPDATE', 'tasks');
CALL allow('chimera_planner', 'SELECT, UPDATE', 'runs');
CALL allow('chimera_planner', 'SELECT, UPDATE (updated_at)', 'personas');
CALL allow('chimera_planner', 'SELECT', 'trends', 'trend_observations', 'content_pipeline', 'controls',
           'budget_limits', 'budget_tracking', 'budget_freeze');

CALL allow('chimera_director', 'SELECT, INSERT, UPDATE', 'content_pipeline');
CALL allow('chimera_director', 'SELECT, UPDATE', 'tasks', 'reviews');
CALL allow('chimera_director', 'INSERT', 'audit_logs');
CALL allow('chimera_director', 'SELECT', 'trends', 'trend_observations', 'personas', 'video_metadata', 'safety_reports');

CALL allow('chimera_cfo', 'SELECT, INSERT', 'ledger', 'ledger_signature', 'ledger_seal', 'audit_logs');
CALL allow('chimera_cfo', 'SELECT, INSERT, UPDATE', 'chain_head', 'reservation', 'budget_limits', 'budget_tracking',
           'ledger_key', 'ledger_checkpoint', 'allowance', 'allowance_draw');
CALL allow('chimera_cfo', 'SELECT, INSERT, DELETE', 'budget_freeze', 'ledger_unsigned');
CALL allow('chimera_cfo', 'SELECT, UPDATE', 'content_pipeline', 'runs', 'reviews');
CALL allow('chimera_cfo', 'SELECT, UPDATE (updated_at)', 'tenants', 'controls');
CALL allow('chimera_cfo', 'SELECT', 'ledger_entries', 'budget_overview', 'agents');

CALL allow('chimera_judge', 'SELECT, UPDATE', 'content_pipeline');
CALL allow('chimera_judge', 'INSERT', 'audit_logs');
CALL allow('chimera_judge', 'SELECT, INSERT, UPDATE', 'video_metadata');
CALL allow('chimera_judge', 'SELECT, INSERT', 'assets', 'safety_reports');

CALL allow('chimera_publisher', 'SELECT, INSERT, UPDATE', 'publications');
CALL allow('chimera_publisher', 'SELECT, UPDATE', 'content_pipeline', 'video_metadata');
CALL allow('chimera_publisher', 'INSERT', 'audit_logs');
CALL allow('chimera_publisher', 'SELECT, UPDATE (updated_at)', 'controls');
CALL allow('chimera_publisher', 'SELECT', 'channels', 'reviews', 'safety_reports', 'personas');

CALL allow('chimera_analyst', 'SELECT, INSERT', 'engagement');
CALL allow('chimera_analyst', 'SELECT', 'publications', 'content_pipeline', 'personas');

-- what people see and decide through the API; decisions about money are made by the CFO's own functions
CALL allow('chimera_people', 'SELECT, INSERT, UPDATE', 'reviews', 'runs', 'controls');
CALL allow('chimera_people', 'SELECT, UPDATE', 'content_pipeline');
CALL allow('chimera_people', 'SELECT, INSERT', 'audit_logs');
CALL allow('chimera_people', 'SELECT', 'tenants', 'personas', 'channels', 'agents', 'trends', 'trend_observations', 'tasks',
           'video_metadata', 'assets', 'safety_reports', 'publications', 'engagement', 'ledger', 'ledger_signature',
           'ledger_entries', 'ledger_seal', 'ledger_unsigned', 'ledger_key', 'ledger_checkpoint', 'reservation',
           'budget_limits', 'budget_tracking', 'budget_overview', 'budget_freeze', 'allowance', 'allowance_draw');
CALL allow('chimera_people', 'SELECT, UPDATE (updated_at)', 'chain_head');

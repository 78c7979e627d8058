-- Since when a piece of content is in its stage: how long each stage takes is measured from it.
ALTER TABLE content_pipeline ADD COLUMN stage_since timestamptz NOT NULL DEFAULT clock_timestamp();

"""Pure logic of ingest: fields, telemetry, recording, slot means, data quality, datasets."""

"""From states to metrics: field health, distances between two profiles, accuracy. Pure; knows no database, no Dagster."""

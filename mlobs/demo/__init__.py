"""JetBlue's 2013 replayed through Dagster: data, declaration, scripted faults, definitions, the replay itself."""

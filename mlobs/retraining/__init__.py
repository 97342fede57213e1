"""When to train again, on what, and whether the new version is better; parts are imported from their modules.

`policy` decides (pure), `situation` gathers the facts, `training_set` builds the rows, `challenger` trains and compares,
`run` does all of it and pins the reference. Nothing here knows Dagster.
"""

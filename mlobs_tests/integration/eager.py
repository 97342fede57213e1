"""The retraining policy of the process tests, apart from the location, which needs its folder at import."""

from datetime import timedelta

EAGER = {"failures": 1, "cooldown": timedelta(0), "monthly_budget": 99, "margin": 0.99}
"""Each failed evaluation calls for a training, and no challenger is good enough: so the next one fails as well."""

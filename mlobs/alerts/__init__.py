"""Alerts: the changes of incidents, sent to people through Apprise, once, from an outbox in history.

Works on incidents and history; reads addresses from the environment only, and knows nothing of Dagster.
"""

from mlobs.alerts.delivery import Delivery, deliver, held, undelivered
from mlobs.alerts.message import Context, Link, Note, body, subject
from mlobs.alerts.routes import Route
from mlobs.alerts.sending import check

__all__ = ["Context", "Delivery", "Link", "Note", "Route", "body", "check", "deliver", "held", "subject", "undelivered"]

"""Addresses of the pages that messages and assets link to: a check and a run in Dagster's UI, a model in the report.

Pure functions of strings; nothing is looked up.
"""

from __future__ import annotations

from urllib.parse import quote

import dagster as dg


def check_page(ui: str, check: dg.AssetCheckKey) -> str:
    """The page of an asset check.

    >>> check_page("http://dagster:3000/", dg.AssetCheckKey(dg.AssetKey(["shop", "orders"]), "drift"))
    'http://dagster:3000/assets/shop/orders?view=checks&checkDetail=drift'
    """
    path = "/".join(quote(part, safe="") for part in check.asset_key.path)
    return f"{ui.rstrip('/')}/assets/{path}?view=checks&checkDetail={quote(check.name, safe='')}"


def run_page(ui: str, run_id: str) -> str:
    """The page of a run.

    >>> run_page("http://dagster:3000", "3f2a")
    'http://dagster:3000/runs/3f2a'
    """
    return f"{ui.rstrip('/')}/runs/{quote(run_id, safe='')}"


def report_page(report: str, model: str = "", anchor: str = "") -> str:
    """The page of a model in the report, or the index; `report` is its folder or its index, a path or a URL.

    >>> report_page("https://reports/ml/index.html", "delay", "incident-3"), report_page("/srv/report")
    ('https://reports/ml/delay.html#incident-3', '/srv/report/index.html')
    """
    folder = report[: report.rfind("/") + 1] if report.endswith(".html") else report.rstrip("/") + "/"
    return f"{folder}{model or 'index'}.html" + (f"#{anchor}" if anchor else "")

"""The task each peer is measured on: drift of two sets of rows and a summary of them, with the peer's own defaults.

Run by `peers.py` as a script, in an environment that has that peer and not mlobs; only `mlobs_task` imports mlobs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def mlobs_task(reference: str, current: str) -> Any:
    from mlobs.metrics.distances import distances
    from mlobs.profiling import Reference, profile

    learned = Reference.learn(reference)
    batch = profile(current, reference=learned)
    return distances(learned.profile, batch), batch.metrics()


def evidently_task(reference: str, current: str) -> Any:
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset, DataSummaryPreset

    return (
        Report([DataDriftPreset(), DataSummaryPreset()])
        .run(pd.read_parquet(current), pd.read_parquet(reference))
        .dict()
    )


def whylogs_task(reference: str, current: str) -> Any:
    import pandas as pd
    import whylogs as why
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    views = [why.log(pandas=pd.read_parquet(path)).profile().view() for path in (current, reference)]
    return calculate_drift_scores(target_view=views[0], reference_view=views[1], with_thresholds=True), views[
        0
    ].to_pandas()


def nannyml_task(reference: str, current: str) -> Any:
    import nannyml
    import pandas as pd

    before, now = pd.read_parquet(reference), pd.read_parquet(current)
    columns = list(before.columns)
    numeric = list(before.select_dtypes("number").columns)
    drift = nannyml.UnivariateDriftCalculator(column_names=columns, chunk_number=1).fit(before).calculate(now)
    found = [drift.to_df()]
    for calculator in (
        nannyml.SummaryStatsAvgCalculator,
        nannyml.SummaryStatsStdCalculator,
        nannyml.SummaryStatsMedianCalculator,
    ):
        found.append(calculator(column_names=numeric, chunk_number=1).fit(before).calculate(now).to_df())
    found.append(
        nannyml.MissingValuesCalculator(column_names=columns, chunk_number=1).fit(before).calculate(now).to_df()
    )
    return found


def popmon_task(reference: str, current: str) -> Any:
    import pandas as pd
    import popmon

    before, now = pd.read_parquet(reference), pd.read_parquet(current)
    before["at"], now["at"] = pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02")
    made = popmon.df_stability_report(now, time_axis="at", time_width="1d", reference_type="external", reference=before)
    return made.to_html()


TASKS: dict[str, Callable[[str, str], Any]] = {
    "mlobs": mlobs_task,
    "evidently": evidently_task,
    "whylogs": whylogs_task,
    "nannyml": nannyml_task,
    "popmon": popmon_task,
}

if __name__ == "__main__":
    TASKS[sys.argv[1]](sys.argv[2], sys.argv[3])

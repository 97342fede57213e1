"""Run by a Python that has Evidently (and not mlobs): which columns does its drift preset call drifted, file by file?

Usage: evidently_alerts.py FOLDER COUNT, with reference.csv and 0.csv ... in the folder. Prints a JSON list of lists.
"""

import json
import sys
import warnings
from pathlib import Path

import pandas as pd


def drifted(reference: pd.DataFrame, current: pd.DataFrame) -> list[str]:
    """Columns whose default test fires; the classic Report of Evidently 0.6 or the new one of 0.7."""
    from evidently import Dataset, Report
    from evidently.presets import DataDriftPreset

    result = Report([DataDriftPreset()]).run(Dataset.from_pandas(current), Dataset.from_pandas(reference)).dict()
    names = []
    for metric in result["metrics"]:
        config = metric.get("config", {})
        column, value, limit = config.get("column"), metric.get("value"), config.get("threshold")
        if column is None or not isinstance(value, (int, float)) or limit is None:
            continue
        by_p = "p_value" in str(config.get("method", "")) or "p_value" in str(metric.get("metric_name", ""))
        if (value < limit) if by_p else (value >= limit):
            names.append(column)
    return names


def main() -> None:
    """Judge every file."""
    warnings.filterwarnings("ignore")
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    reference = pd.read_csv(folder / "reference.csv")
    found = []
    for at in range(count):
        current = pd.read_csv(folder / f"{at}.csv")
        try:
            found.append(drifted(reference, current))
        except Exception as error:  # noqa: BLE001 - a crash on a faulty batch is no alert, and is told
            sys.stderr.write(f"{at}: {error}\n")
            found.append([])
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

"""`python -m mlobs_tests.benchmarks.profiles speed --rows 1000000`: prints ratios; see --help for the other measurements."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mlobs_tests.benchmarks.profiles", description=__doc__)
    parser.add_argument("what", choices=["speed"])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--on", choices=["table", "parquet"], default="table")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "mlobs_benchmark")
    chosen = parser.parse_args()
    from mlobs_tests.benchmarks.profiles import speed

    for name, value in speed.run(chosen.folder, chosen.rows, chosen.on, chosen.times).items():
        print(f"{name:32s} {value:8.3f}")


if __name__ == "__main__":
    main()

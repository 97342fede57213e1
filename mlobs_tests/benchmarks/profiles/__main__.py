"""`python -m mlobs_tests.benchmarks.profiles speed --rows 1000000`: prints ratios in one run. See --help for the others."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mlobs_tests.benchmarks.profiles", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    folder = Path(tempfile.gettempdir()) / "mlobs_benchmark"

    speed = commands.add_parser("speed", help="profiles as multiples of count, min, max of every column")
    speed.add_argument("--rows", type=int, default=1_000_000)
    speed.add_argument("--times", type=int, default=5)
    speed.add_argument("--on", choices=["table", "parquet"], default="table")
    speed.add_argument("--folder", type=Path, default=folder)

    small = commands.add_parser("small", help="Python's own CPU, stored bytes, drift from stored profiles")
    small.add_argument("--columns", type=int, default=100)
    small.add_argument("--rows", type=int, default=1000)

    peers = commands.add_parser("peers", help="drift and data summary beside evidently, whylogs, nannyml, popmon")
    peers.add_argument("--rows", type=int, default=167_000)
    peers.add_argument("--folder", type=Path, default=folder)
    peers.add_argument("--limit", type=int, default=300, help="seconds a peer may take")
    peers.add_argument("--only", nargs="*", default=None)

    chosen = vars(parser.parse_args())
    what = chosen.pop("what")
    if what == "speed":
        from mlobs_tests.benchmarks.profiles.speed import run as found_speed

        found = found_speed(chosen["folder"], chosen["rows"], chosen["on"], chosen["times"])
    elif what == "small":
        from mlobs_tests.benchmarks.profiles.small import run as found_small

        found = found_small(chosen["columns"], chosen["rows"])
    else:
        from mlobs_tests.benchmarks.profiles.peers import run as found_peers

        found_peers(**chosen)
        return
    for name, value in found.items():
        print(f"{name:32s} {value:12.3f}")


if __name__ == "__main__":
    main()

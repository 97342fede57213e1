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

    limited = commands.add_parser(
        "limited", help="Parquet under a memory limit, without spilling; makes 150 MB a million rows"
    )
    limited.add_argument("--rows", type=int, default=100_000_000)
    limited.add_argument("--limit", default="4GB")
    limited.add_argument("--times", type=int, default=1)
    limited.add_argument("--folder", type=Path, default=folder)

    texts = commands.add_parser("texts", help="a text field of few and of all distinct values; patterns apart")
    texts.add_argument("--rows", type=int, default=1_000_000)
    texts.add_argument("--times", type=int, default=3)

    small = commands.add_parser("small", help="Python's own CPU, stored bytes, drift from stored profiles")
    small.add_argument("--columns", type=int, default=100)
    small.add_argument("--rows", type=int, default=1000)
    small.add_argument("--times", type=int, default=5)

    peers = commands.add_parser("peers", help="drift and data summary beside evidently, whylogs, nannyml, popmon")
    peers.add_argument("--rows", type=int, default=167_000)
    peers.add_argument("--folder", type=Path, default=folder)
    peers.add_argument("--limit", type=int, default=300, help="seconds a peer may take")
    peers.add_argument("--only", nargs="*", default=None)

    chosen = vars(parser.parse_args())
    what = chosen.pop("what")
    found: dict[str, float]
    if what == "speed":
        from mlobs_tests.benchmarks.profiles.speed import run

        found = run(chosen["folder"], chosen["rows"], chosen["on"], chosen["times"])
    elif what == "limited":
        from mlobs_tests.benchmarks.profiles.speed import run_limited

        found = run_limited(**chosen)
    elif what == "texts":
        from mlobs_tests.benchmarks.profiles.speed import run_texts

        found = run_texts(**chosen)
    elif what == "small":
        from mlobs_tests.benchmarks.profiles.small import run as run_small

        found = run_small(**chosen)
    else:
        from mlobs_tests.benchmarks.profiles.peers import run as run_peers

        run_peers(**chosen)
        return
    for name, value in found.items():
        print(f"{name:38s} {value:12.3f}")


if __name__ == "__main__":
    main()

"""Peers beside mlobs on drift and data summary of the same two Parquet files, each in an environment of its own.

Environments are made by `python -m venv` and pip the first time. What can't be installed or run says so in its line.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq

from mlobs_tests.benchmarks.profiles.workload import CATEGORICAL, NUMERIC, chunk

TASKS = Path(__file__).parent / "peer_tasks.py"
ROOT = Path(__file__).parents[3]

REQUIREMENTS = {
    "evidently": ["evidently", "pandas<3", "numpy<2.4", "pyarrow", "setuptools<82"],
    "whylogs": ["whylogs[viz]", "pandas<3", "numpy<2", "pyarrow<19", "setuptools<82"],
    "nannyml": ["nannyml", "statsmodels", "pandas<3", "pyarrow", "setuptools<82"],
    "popmon": ["popmon", "pandas<3", "numpy<2", "pyarrow<19", "setuptools<82"],
}


def files(folder: Path, rows: int) -> tuple[Path, Path]:
    """Reference and current rows, drawn alike."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / f"peers_reference_{rows}.parquet", folder / f"peers_current_{rows}.parquet"
    for number, path in enumerate(paths):
        if not path.exists():
            pq.write_table(chunk(1000 + number, rows, rows).select(NUMERIC + CATEGORICAL), path)
    return paths


def python_of(folder: Path, name: str) -> str:
    """The interpreter of a peer's environment, made when it isn't there."""
    if name == "mlobs":
        return sys.executable
    home = folder / "environments" / name
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", *REQUIREMENTS[name]], check=True, capture_output=True
        )
        (home / "ready").touch()
    return str(python)


def measured(python: str, name: str, paths: tuple[Path, Path], limit: int) -> tuple[float, float, float] | str:
    """(wall seconds, CPU seconds, peak MiB) of the whole process, or why there are none."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT) if name == "mlobs" else ""}
    started = time.monotonic()
    process = subprocess.Popen(
        [python, str(TASKS), name, *map(str, paths)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if time.monotonic() - started > limit:
            process.kill()
            os.wait4(process.pid, 0)
            return f"over {limit} s"
        time.sleep(0.02)
    wall = time.monotonic() - started
    if status:
        assert process.stderr is not None
        words = process.stderr.read().decode(errors="replace").strip().splitlines()
        return f"failed: {words[-1] if words else status}"
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def run(rows: int, folder: Path, limit: int, only: list[str] | None) -> None:
    """Print a line for each."""
    paths = files(folder, rows)
    base = None
    print(f"{rows} + {rows} rows, {len(NUMERIC)} numeric and {len(CATEGORICAL)} categorical columns, whole process")
    for name in ("mlobs", *REQUIREMENTS):
        if only and name not in only:
            continue
        try:
            found = measured(python_of(folder, name), name, paths, limit)
        except subprocess.CalledProcessError as error:
            found = f"can't be installed: {error}"
        if isinstance(found, str):
            print(f"{name:12s} {found}")
            continue
        base = base or found[1]
        print(
            f"{name:12s} {found[0]:8.1f} s  {found[1]:8.1f} s of CPU  {found[2]:8.0f} MiB  {found[1] / base:6.1f} x mlobs",
            flush=True,
        )

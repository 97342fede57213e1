"""Ranks causes in 30 worlds in which accuracy falls for one known reason; prints figures, and every miss with its list.

The weights in `incidents.causes` were chosen on worlds 0 to 103; these here are others. Half of them are mild: what goes
wrong has 0.4 of its full strength. Worlds in which the error doesn't rise by two standard errors are no falls, and left
out. Status 1 when the figures are below what is promised.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from itertools import count

from mlobs_tests.incidents.simulation import CLEAN, KINDS, Scenario, day

FIRST_PROMISED, THREE_PROMISED = 0.85, 0.95


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first-world", type=int, default=1001)
    parser.add_argument("--per-kind", type=int, default=6)
    given = parser.parse_args()
    places: dict[tuple[str, int, float], int] = {}
    onsets: Counter[int] = Counter()
    for kind in KINDS:
        for seed in count(given.first_world):
            for strength in (1.0, 0.4):
                if sum(world[0] == kind for world in places) == given.per_kind:
                    continue
                scenario = Scenario(kind, seed, strength)
                fell, found = scenario.explained()
                if not fell:
                    continue
                right = [n for n, cause in enumerate(found.causes, 1) if scenario.right(cause)]
                places[kind, seed, strength] = right[0] if right else 0
                onsets[(found.fall.window.start - day(CLEAN).start).days] += 1
                if right[:1] != [1]:
                    print(f"{kind}, world {seed}, strength {strength}: right cause at {right[:1] or 'no place'}")
                    for cause in found.causes[:3]:
                        print(f"    {cause.score:.2f} {cause.kind}: {cause.sentence}")
            if sum(world[0] == kind for world in places) == given.per_kind:
                break
    first = sum(place == 1 for place in places.values()) / len(places)
    three = sum(1 <= place <= 3 for place in places.values()) / len(places)
    for kind in KINDS:
        mine = [place for (k, _, _), place in places.items() if k == kind]
        print(f"{kind:18} first in {sum(p == 1 for p in mine)} of {len(mine)}")
    print(f"all: first {first:.0%}, in the first three {three:.0%}, of {len(places)} falls")
    print("days between the true and the found onset: " + ", ".join(f"{d:+d}: {n}" for d, n in sorted(onsets.items())))
    return 0 if first >= FIRST_PROMISED and three >= THREE_PROMISED else 1


if __name__ == "__main__":
    sys.exit(main())

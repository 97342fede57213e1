"""A training run killed at any step leaves the champion serving; run again, it finishes the job. Nothing is done twice."""

from __future__ import annotations

from typing import Any

import pytest

from mlobs.engines import connect
from mlobs.history import History
from mlobs.monitor import Monitoring
from mlobs.retraining import challenger, training_set
from mlobs.retraining.run import retrain
from mlobs.tracking import Tracking
from mlobs_tests.retraining.flights import day, declared, land, rows

STEPS: dict[str, tuple[Any, str]] = {
    "the training set": (training_set.TrainingSet, "rows_in"),
    "cross-validation": (challenger, "cross_validate"),
    "comparison": (challenger, "compare"),
    "fit": (challenger, "fit"),
    "importances": (challenger, "importances"),
    "logging": (Tracking, "log_training"),
    "remembering the version": (History, "save_version"),
    "moving the alias": (Tracking, "promote"),
    "remembering the promotion": (History, "record_promotion"),
    "pinning the reference": (Monitoring, "pin_reference"),
}


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step(step: str, history: History, tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    model, engine = declared(), connect("duckdb:///:memory:")
    land(engine, model, *rows(40, change=25))
    monitoring = Monitoring([model], engine, history)
    retrain(monitoring, tracking, model, day(21).start)
    place, name = STEPS[step]

    def killed(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(place, name, killed)
        with pytest.raises(KeyboardInterrupt):
            retrain(monitoring, tracking, model, day(36).start)
    served = tracking.champion("delays")
    assert served is not None
    moved = step in ("remembering the promotion", "pinning the reference")
    assert served.version == ("2" if moved else "1")
    assert tracking.load(served) is not None
    again = retrain(monitoring, tracking, model, day(36).start)
    champion, known = tracking.champion("delays"), history.champion("delays")
    assert champion is not None
    assert known is not None
    assert known.version == champion.version
    if not moved:
        assert (again.promoted, champion.version) == (True, again.version.version)
    pinned = history.reference(model.features.id)
    assert pinned is not None
    assert pinned.version == champion.version

"""The component: the same declaration in YAML, loaded as `dg` loads it, and its mistakes in words."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster.components.testing import create_defs_folder_sandbox

from mlobs.errors import SpecError
from mlobs.orchestration.component import SCAFFOLD, ModelMonitor, imported, length
from mlobs.spec import Drift, Model

# Dagster's own: it calls a function that pydantic deprecates, and classes of its own that are in beta.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated"),
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
]

ATTRIBUTES = {
    "model_name": "basket",
    "task": "regression",
    "warehouse": "duckdb:///w.duckdb",
    "features": {
        "name": "features",
        "schema_name": "shop",
        "time": "at",
        "key": "id",
        "start": "2024-01-01",
        "fields": [{"name": "amount", "kind": "numeric", "unit": "EUR"}, {"name": "store", "kind": "categorical"}],
        "segments": ["store"],
    },
    "predictions": {"name": "predictions", "schema_name": "shop", "time": "at", "key": ["id"]},
    "actuals": {"name": "actuals", "schema_name": "shop", "time": "at", "key": "id"},
    "prediction": "predicted",
    "actual": "total",
    "inputs": ["amount"],
    "monitors": [
        {"check": "drift", "options": {"floor": 0.3}, "on": ["features"]},
        {"check": "accuracy", "options": {"maturity": "2 days", "maximum": 10}},
    ],
    "train": "mlobs_tests.orchestration.shop:train",
    "predict": "mlobs_tests.orchestration.shop.predict",
    "retraining": {"failures": 5, "cooldown": "30 days"},
    "owners": ["team:shop"],
}


def declared(**changes: object) -> Model:
    component = ModelMonitor.resolve_from_dict(ATTRIBUTES | changes)
    return component.declared()


def test_yaml_declares_the_same_model() -> None:
    model = declared()
    assert model.features.path == ("shop", "features")
    assert model.retraining is not None
    assert (model.retraining.failures, model.retraining.cooldown) == (5, timedelta(days=30))
    drift, accuracy = model.monitors
    assert drift == Drift(on=("features",), floor=0.3)
    assert (accuracy.check, model.accuracy and model.accuracy.maturity) == ("accuracy", timedelta(days=2))
    assert model.train is not None
    assert model.train.__name__ == "train"


def test_left_out_means_defaults_and_null_means_none() -> None:
    attributes = {name: value for name, value in ATTRIBUTES.items() if name not in ("monitors", "retraining")}
    assert len(ModelMonitor.resolve_from_dict(attributes).declared().monitors) == 7
    assert declared(retraining=None).retraining is None
    assert declared(retraining={}).retraining is not None


def test_it_loads_as_dg_loads_it() -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=ModelMonitor, defs_yaml_contents={"type": "mlobs.ModelMonitor", "attributes": ATTRIBUTES}
        )
        with sandbox.load_component_and_build_defs(defs_path=path) as (component, defs):
            assert isinstance(component, ModelMonitor)
            dg.Definitions.validate_loadable(defs)
            graph = defs.resolve_asset_graph()
            assert dg.AssetKey(["shop", "features"]) in graph.get_all_asset_keys()
            assert {k.name for k in graph.asset_check_keys} == {"drift", "accuracy"}
            assert {job.name for job in defs.jobs or []} >= {"basket_daily", "basket_retrain"}


def test_the_scaffold_is_a_declaration_that_loads() -> None:
    text = SCAFFOLD.format(type="mlobs.ModelMonitor", name="my_model")
    component = ModelMonitor.resolve_from_dict(yaml.safe_load(text)["attributes"])
    dg.Definitions.validate_loadable(component.build_defs(None))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train": "mlobs_tests.orchestration.shop:trian"}, "has no function 'trian'; did you mean 'train'"),
        ({"train": "no_such_package.training:train"}, "can't import 'no_such_package.training'"),
        ({"retraining": {"failure": 3}}, "option 'failure' is unknown; did you mean 'failures'"),
        ({"retraining": {"cooldown": "soon"}}, "'soon' is no length of time"),
        ({"monitors": [{"check": "drift", "options": {"flor": 1}}]}, "option 'flor' is unknown; did you mean 'floor'"),
    ],
)
def test_mistakes_are_named(changes: dict[str, object], words: str) -> None:
    with pytest.raises(SpecError, match=words.replace("(", r"\(")):
        declared(**changes)


def test_lengths_and_import_paths(tmp_path: Path) -> None:
    assert length("6h", "x") == timedelta(hours=6)
    assert imported(None, "x") is None

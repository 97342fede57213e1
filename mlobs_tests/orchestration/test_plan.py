"""What runs when: due windows, maturity, and what follows a delivery."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg

from mlobs.orchestration.deployment import Deployment
from mlobs.orchestration.jobs import default_cron, run_key
from mlobs.orchestration.plan import after_arrival, due, request
from mlobs.spec import Accuracy, Model
from mlobs.windows import Window, instant
from mlobs_tests.orchestration.shop import Shop


def deployment(*models: Model) -> Deployment:
    return Deployment(models, "duckdb:///w.duckdb", "sqlite:///h.db", "sqlite:///m.db")


def names(keys: tuple[dg.AssetKey, ...]) -> list[str]:
    return [key.to_user_string() for key in keys]


def test_current_features_and_mature_actuals_are_due(tmp_path: Path) -> None:
    shop = deployment(Shop(tmp_path).model())
    (family,) = shop.families
    mature, current = due(shop, family, instant("2024-02-10 06:00"))
    assert (mature.window.key, names(mature.assets)) == ("2024-02-09", ["shop/actuals", "basket/performance"])
    assert (current.window.key, names(current.assets)) == ("2024-02-10", ["shop/features", "shop/predictions"])
    assert "accuracy" in {check.name for check in mature.checks}
    assert {check.name for check in current.checks if check.asset_key.path[-1] == "features"} == {
        "field_health", "drift", "freshness", "volume", "mix", "schema",
    }  # fmt: skip


def test_actuals_wait_until_their_labels_are_mature(tmp_path: Path) -> None:
    model = Shop(tmp_path).model(monitors=(Accuracy(maturity=timedelta(days=3)),))
    shop = deployment(model)
    first, *_ = due(shop, shop.families[0], instant("2024-02-10 06:00"))
    assert first.window.key == "2024-02-06"


def test_nothing_is_due_before_the_start(tmp_path: Path) -> None:
    shop = deployment(Shop(tmp_path).model())
    assert due(shop, shop.families[0], instant("2023-12-31 06:00")) == []


def test_tables_filled_elsewhere_wait_for_their_arrival(tmp_path: Path) -> None:
    tables = {role: replace(table, load=None) for role, table in Shop(tmp_path).tables().items()}
    shop = deployment(Shop(tmp_path).model(**tables))
    family = shop.families[0]
    assert due(shop, family, instant("2024-02-10 06:00")) == []
    target = after_arrival(shop, family, tables["features"], Window.day("2024-02-10"))
    assert names(target.assets) == ["shop/predictions"]
    assert {"drift", "volume"} <= {check.name for check in target.checks if check.asset_key.path[-1] == "features"}


def test_a_corrected_delivery_is_followed_by_what_was_made_of_it(tmp_path: Path) -> None:
    shop = deployment(Shop(tmp_path).model())
    (family,), (model,) = shop.families, shop.models
    target = after_arrival(shop, family, model.features, Window.day("2024-02-10"), [model])
    assert names(target.assets) == ["shop/features", "shop/predictions", "basket/performance"]


def test_a_request_for_checks_alone_carries_its_partition_as_a_tag(tmp_path: Path) -> None:
    model = Shop(tmp_path).model(train=None, predict=None)
    shop = deployment(model)
    family = shop.families[0]
    target = after_arrival(shop, family, model.predictions, Window.day("2024-02-10"))
    made = request(family, target, "basket_checks", run_key="k")
    assert made.partition_key is None
    assert made.tags["dagster/partition"] == "2024-02-10"
    assert {check.name for check in made.asset_check_keys or []} == {"field_health", "drift", "schema"}


def test_run_keys_name_the_window_and_what_is_made(tmp_path: Path) -> None:
    shop = deployment(Shop(tmp_path).model())
    family = shop.families[0]
    keys = [run_key(family, target) for target in due(shop, family, instant("2024-02-10 06:00"))]
    assert keys == [
        "basket:2024-02-09:shop/actuals+basket/performance",
        "basket:2024-02-10:shop/features+shop/predictions",
    ]


def test_schedules_follow_the_cadence(tmp_path: Path) -> None:
    def cron(cadence: timedelta) -> str:
        tables = {role: replace(table, cadence=cadence) for role, table in Shop(tmp_path).tables().items()}
        return default_cron(deployment(Shop(tmp_path).model(**tables)).families[0])

    crons = [cron(timedelta(days=1)), cron(timedelta(hours=1)), cron(timedelta(minutes=15)), cron(timedelta(days=7))]
    assert crons == ["0 6 * * *", "10 * * * *", "2-59/15 * * * *", "0 6 * * 1"]

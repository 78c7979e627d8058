"""The idle month stays almost free, and the table says what each thing costs."""

from __future__ import annotations

import importlib.util
import json
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.infra.conftest import Profile

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("infra")


@pytest.fixture(scope="module")
def cost() -> ModuleType:
    import sys

    spec = importlib.util.spec_from_file_location("cost_tool", ROOT / "tools/cost.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["cost_tool"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def deployed(cost: ModuleType, profile: Profile, *extra: dict[str, Any]) -> Any:
    return cost.Deployed([*profile.templates(), *({"Resources": more} for more in extra)])


def test_frugal_stays_below_its_aim_when_idle(cost: ModuleType, frugal: Profile) -> None:
    month = cost.idle(deployed(cost, frugal), cost.Prices())
    assert Decimal(2) < cost.total(month) < cost.IDLE_AIM == Decimal(10)
    assert cost.total(month, billed=True) < cost.total(month)


def test_the_sum_follows_the_template(cost: ModuleType, frugal: Profile) -> None:
    """One key more is one dollar more."""
    one = {"key": {"Type": "AWS::KMS::Key", "Properties": {}}}
    prices = cost.Prices()
    before = cost.total(cost.idle(deployed(cost, frugal), prices))
    after = cost.total(cost.idle(deployed(cost, frugal, one), prices))
    assert round(after - before, 6) == Decimal(1)


def test_a_video_stays_below_its_aim(cost: ModuleType, frugal: Profile) -> None:
    one = cost.video(deployed(cost, frugal), cost.Prices())
    assert Decimal("0.005") < cost.total(one) < cost.VIDEO_AIM == Decimal("0.05")


def test_production_says_what_availability_costs(cost: ModuleType, production: Profile) -> None:
    month = {item.what: item.listed for item in cost.idle(deployed(cost, production), cost.Prices())}
    assert month["Database, always awake"] == Decimal("87.60")
    assert month["RDS Proxy"] == Decimal("87.60")
    assert {"Web firewall", "SnapStart snapshots", "Secrets"} <= set(month)


def test_waking_the_database_each_minute_would_be_seen(cost: ModuleType, frugal: Profile) -> None:
    changed = json.loads(json.dumps(frugal.stateless))
    for resource in changed["Resources"].values():
        if resource["Type"] == "AWS::Scheduler::Schedule" and resource["Properties"]["Name"].endswith("-recover"):
            resource["Properties"]["ScheduleExpression"] = "rate(10 minutes)"
    woken = cost.idle(cost.Deployed([frugal.stateful, changed]), cost.Prices())
    assert cost.total(woken) > cost.IDLE_AIM


def test_every_price_has_its_source_and_every_assumption_its_reason() -> None:
    read = json.loads((ROOT / "infra/prices.json").read_text(encoding="utf-8"))
    assert read["as_of"] and read["region"] == "us-east-1"
    assert all("aws.amazon.com/" in price["source"] and Decimal(price["usd"]) > 0 for price in read["prices"].values())
    assert all(len(assumption["why"]) > 10 for assumption in read["assumptions"].values())


def test_prices_are_those_of_the_ledger() -> None:
    """The CFO's estimate and this table use the same list prices."""
    from chimera.domain import prices

    read = json.loads((ROOT / "infra/prices.json").read_text(encoding="utf-8"))["prices"]
    assert Decimal(read["fargate_vcpu_hour"]["usd"]) == prices.FARGATE_VCPU_HOUR_USD
    assert Decimal(read["fargate_gb_hour"]["usd"]) == prices.FARGATE_GB_HOUR_USD
    assert Decimal(read["lambda_gb_second"]["usd"]) == prices.LAMBDA_GB_SECOND_USD


def test_the_table_is_readable(cost: ModuleType, frugal: Profile) -> None:
    text = cost.table("a month", cost.idle(deployed(cost, frugal), cost.Prices()), 2)
    assert "KMS keys" in text
    assert "all of it" in text.splitlines()[-1]
    assert all(len(line) < 110 for line in text.splitlines())

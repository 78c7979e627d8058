"""`make cost`: what a deployment costs idle for a month and for one video, item by item, from its synthesised templates.

Quantities come from the templates (keys, alarms, queues, schedules, memory), prices and assumptions from
infra/prices.json, each with its source. Two columns: list prices, and what is left after AWS's free tier that never ends.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
IDLE_AIM = Decimal(10)
"""USD a month that an idle frugal deployment stays below."""
VIDEO_AIM = Decimal("0.05")
"""USD of AWS that one 45 s video stays below."""
HOUSEKEEPING = ("recover", "seal", "project_budgets", "start_measuring")
Template = Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """So much of something at a price: `free` is how much of it AWS gives every month for ever."""

    what: str
    quantity: Decimal
    unit: str
    price: Decimal
    free: Decimal = Decimal(0)

    @property
    def listed(self) -> Decimal:
        """USD at list prices."""
        return self.quantity * self.price

    @property
    def billed(self) -> Decimal:
        """USD after the free part."""
        return max(self.quantity - self.free, Decimal(0)) * self.price


class Prices:
    """Prices and assumptions; an unknown name is a `KeyError`."""

    def __init__(self, path: Path = ROOT / "infra/prices.json") -> None:
        read = json.loads(path.read_text(encoding="utf-8"))
        self._prices, self._assumptions = read["prices"], read["assumptions"]

    def assume(self, name: str) -> Decimal:
        """An assumption's value."""
        return Decimal(self._assumptions[name]["value"])

    def usd(self, name: str) -> Decimal:
        """A price in USD."""
        return Decimal(self._prices[name]["usd"])

    def item(self, what: str, quantity: Decimal | int, unit: str, price: str) -> Item:
        """An item at a named price, with the part of it that is always free."""
        return Item(
            what, Decimal(quantity), unit, self.usd(price), Decimal(str(self._prices[price].get("always_free", 0)))
        )


class Deployed:
    """The resources of a deployment's templates."""

    def __init__(self, templates: list[Template]) -> None:
        self._resources = [r for t in templates for r in t["Resources"].values()]

    def all(self, kind: str) -> list[Any]:
        """The properties of every resource of a type."""
        return [r.get("Properties", {}) for r in self._resources if r["Type"] == kind]

    def memory_gb(self, function: str) -> Decimal:
        """A function's memory, by the end of its name; 0 if it is not deployed."""
        for made in self.all("AWS::Lambda::Function"):
            if str(made.get("FunctionName", "")).endswith(f"-{function}"):
                return Decimal(made["MemorySize"]) / 1024
        return Decimal(0)


def idle(deployed: Deployed, prices: Prices) -> list[Item]:
    """What a month costs in which nobody makes anything."""
    hours = prices.assume("hours_a_month")
    alarms = sum(_metrics_of(alarm) for alarm in deployed.all("AWS::CloudWatch::Alarm"))
    queues = len(deployed.all("AWS::Pipes::Pipe"))
    calls = dict(_calls_a_month(deployed, hours))
    seconds = prices.assume("seconds_housekeeping")
    work = sum((deployed.memory_gb(name) * seconds * count for name, count in calls.items()), Decimal(0))
    images = 1 + bool(deployed.all("AWS::EC2::LaunchTemplate"))
    million = Decimal(1_000_000)
    items = [
        prices.item("KMS keys", len(deployed.all("AWS::KMS::Key")), "keys", "kms_key_month"),
        prices.item("Secrets", len(deployed.all("AWS::SecretsManager::Secret")), "secrets", "secret_month"),
        prices.item("Alarms", alarms, "alarm metrics", "alarm_metric_month"),
        prices.item("Dashboard", len(deployed.all("AWS::CloudWatch::Dashboard")), "dashboards", "dashboard_month"),
        prices.item("Queues polled by pipes", queues * prices.assume("polls_a_month_and_pipe") / million,
                    "million requests", "sqs_million_fifo"),
        prices.item("Schedules", sum(calls.values(), Decimal(0)) / million, "million calls", "scheduler_million"),
        prices.item("Housekeeping functions", work, "GB seconds", "lambda_gb_second"),
        prices.item("Container images", images * prices.assume("image_gb"), "GB", "ecr_gb_month"),
        prices.item("Media in S3", prices.assume("media_gb_idle"), "GB", "s3_gb_month"),
        prices.item("Web firewall", len(deployed.all("AWS::WAFv2::WebACL")), "lists", "waf_acl_month"),
        prices.item("Web firewall's rules", sum(len(a["Rules"]) for a in deployed.all("AWS::WAFv2::WebACL")),
                    "rules", "waf_rule_month"),
        prices.item("SnapStart snapshots", _snapshots_gb(deployed) * hours * 3600, "GB seconds",
                    "snapstart_cache_gb_second"),
        *_database(deployed, prices, hours, calls),
    ]  # fmt: skip
    return [item for item in items if item.quantity]


def video(deployed: Deployed, prices: Prices) -> list[Item]:
    """What AWS costs for one 45 s video, from the first scan to the last measurement; models are not in it."""
    functions = [f for f in deployed.all("AWS::Lambda::Function") if _ours(f)]
    remembering, thinking = _used(functions)
    gb_seconds = remembering * prices.assume("seconds_remembering") + thinking * prices.assume("seconds_thinking")
    jobs = (prices.assume("render_seconds") + prices.assume("inspect_seconds")) / 3600
    (size,) = {_size(job) for job in deployed.all("AWS::Batch::JobDefinition") if "render" in job["JobDefinitionName"]}
    spot = prices.usd("fargate_spot_part")
    million = Decimal(1_000_000)
    measurements = prices.assume("measurements")
    items = [
        Item("Fargate Spot, vCPU", jobs * size[0], "vCPU hours", prices.usd("fargate_vcpu_hour") * spot),
        Item("Fargate Spot, memory", jobs * size[1], "GB hours", prices.usd("fargate_gb_hour") * spot),
        prices.item("Public IPv4 of the jobs", jobs, "hours", "public_ipv4_hour"),
        prices.item("Functions", gb_seconds, "GB seconds", "lambda_gb_second"),
        prices.item("Calls of functions", Decimal(len(functions)) / million, "million", "lambda_million_requests"),
        prices.item("Step Functions", prices.assume("transitions_a_video"), "transitions", "step_functions_transition"),
        prices.item("S3 writes", prices.assume("puts_a_video") / 1000, "thousand", "s3_thousand_puts"),
        prices.item("S3 reads", prices.assume("gets_a_video") / 1000, "thousand", "s3_thousand_gets"),
        prices.item("S3, a month of it", prices.assume("media_gb_a_video"), "GB", "s3_gb_month"),
        prices.item(
            "DynamoDB writes", prices.assume("hot_writes_a_video") / million, "million", "dynamodb_million_writes"
        ),
        prices.item("Signatures (CFO, seals)", 6, "signatures", "kms_sign_ecc"),
        prices.item("Signatures (grants)", 1, "signatures", "kms_sign_rsa2048"),
        prices.item("Logs", prices.assume("log_gb_a_video"), "GB", "log_gb"),
    ]
    if deployed.all("Custom::ExpressDatabase"):
        acu = prices.assume("awake_acu")
        run, wake = prices.assume("run_minutes_awake") / 60, prices.assume("awake_minutes_a_wake") / 60
        items += [
            prices.item("Database awake for the run", run * acu, "ACU hours", "aurora_acu_hour"),
            prices.item("Database awake to measure", measurements * wake * acu, "ACU hours", "aurora_acu_hour"),
        ]
    items.append(prices.item("Database I/O", prices.assume("million_io_a_video"), "million", "aurora_million_io"))
    return items


def total(items: list[Item], *, billed: bool = False) -> Decimal:
    """USD of all items."""
    return sum((item.billed if billed else item.listed for item in items), Decimal(0))


def _database(deployed: Deployed, prices: Prices, hours: Decimal, calls: Mapping[str, Decimal]) -> Iterator[Item]:
    if deployed.all("Custom::ExpressDatabase"):
        # those of one rate run at the same minute: one wake for all
        wakes = max(calls.values(), default=Decimal(0))
        awake = wakes * prices.assume("awake_minutes_a_wake") / 60 * prices.assume("awake_acu")
        yield prices.item("Database woken by schedules", awake, "ACU hours", "aurora_acu_hour")
    for cluster in deployed.all("AWS::RDS::DBCluster"):
        least = Decimal(str(cluster["ServerlessV2ScalingConfiguration"]["MinCapacity"]))
        instances = len(deployed.all("AWS::RDS::DBInstance"))
        yield prices.item("Database, always awake", least * instances * hours, "ACU hours", "aurora_acu_hour")
    for _ in deployed.all("AWS::RDS::DBProxy"):
        yield prices.item("RDS Proxy", prices.assume("proxy_least_acu") * hours, "ACU hours", "rds_proxy_acu_hour")
    yield prices.item("Database storage", prices.assume("database_gb"), "GB", "aurora_storage_gb_month")


def _calls_a_month(deployed: Deployed, hours: Decimal) -> Iterator[tuple[str, Decimal]]:
    """How often each housekeeping function is called by its schedule."""
    minutes = {"minute": 1, "minutes": 1, "hour": 60, "hours": 60, "day": 1440, "days": 1440}
    for schedule in deployed.all("AWS::Scheduler::Schedule"):
        name = next((n for n in HOUSEKEEPING if schedule["Name"].endswith(f"-{n}")), None)
        rate = re.fullmatch(r"rate\((\d+) (\w+)\)", schedule["ScheduleExpression"])
        if name and rate and schedule["State"] == "ENABLED":
            yield name, hours * 60 / (int(rate[1]) * minutes[rate[2]])


def _metrics_of(alarm: Mapping[str, Any]) -> int:
    """An alarm on an expression is charged for each metric in it."""
    return sum("MetricStat" in metric for metric in alarm["Metrics"]) if "Metrics" in alarm else 1


def _snapshots_gb(deployed: Deployed) -> Decimal:
    sizes = (Decimal(f["MemorySize"]) / 1024 for f in deployed.all("AWS::Lambda::Function") if "SnapStart" in f)
    return sum(sizes, Decimal(0))


def _used(functions: list[Any]) -> tuple[Decimal, Decimal]:
    """GB of memory of all functions that a run calls, once each: those that remember, those that think."""
    sums = {True: Decimal(0), False: Decimal(0)}
    for function in functions:
        variables = function["Environment"]["Variables"]
        sums["CHIMERA_DATABASE_URL" in variables] += Decimal(function["MemorySize"]) / 1024
    return sums[True], sums[False]


def _ours(function: Mapping[str, Any]) -> bool:
    """Whether a run calls it: not the stacks' own functions, and not what runs by the clock or at a deployment."""
    name = str(function.get("FunctionName", ""))
    return bool(name) and not name.endswith(tuple(f"-{other}" for other in (*HOUSEKEEPING, "migrate", "api_money")))


def _size(job: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    """A job's vCPUs and GB."""
    asked = {r["Type"]: Decimal(r["Value"]) for r in job["ContainerProperties"]["ResourceRequirements"]}
    return asked["VCPU"], asked["MEMORY"] / 1024


def templates_of(profile: str, folder: Path) -> list[Template]:
    """Synthesise a profile as it is by default, and read its templates."""
    sys.path.insert(0, str(ROOT))
    from infra.node import use_our_node

    use_our_node()
    from aws_cdk import App

    from infra.config import read_config
    from infra.deployment import build

    app = App(outdir=str(folder))
    build(app, read_config({"profile": profile, "name": profile, "layers": "stub"}))
    app.synth()
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.template.json"))]


def table(title: str, items: list[Item], digits: int) -> str:
    """A heading, a line for each item, the sums."""
    lines = [title, f"  {'':34}{'quantity':>14} {'':18}{'list USD':>12}{'after free':>12}"]
    for item in items:
        quantity = f"{item.quantity:,.6f}".rstrip("0").rstrip(".")
        lines.append(
            f"  {item.what:34}{quantity:>14} {item.unit:18}{item.listed:>12.{digits}f}{item.billed:>12.{digits}f}"
        )
    lines.append(
        f"  {'all of it':34}{'':>14} {'':18}{total(items):>12.{digits}f}{total(items, billed=True):>12.{digits}f}"
    )
    return "\n".join(lines)


def main() -> int:
    """Print both profiles' idle month and one video; 1 if the frugal one is above its aim."""
    prices = Prices()
    above = 0
    for profile in ("frugal", "production"):
        with tempfile.TemporaryDirectory(prefix="cost-") as folder:
            deployed = Deployed(templates_of(profile, Path(folder)))
        month, one = idle(deployed, prices), video(deployed, prices)
        sys.stdout.write(table(f"{profile}: a month idle", month, 2) + "\n\n")
        sys.stdout.write(table(f"{profile}: one 45 s video, models not counted", one, 5) + "\n\n")
        if profile == "frugal":
            above = int(total(month) >= IDLE_AIM or total(one) >= VIDEO_AIM)
    sys.stdout.write(f"aims: frugal below {IDLE_AIM} USD a month idle, a video below {VIDEO_AIM} USD\n")
    return above


if __name__ == "__main__":
    sys.exit(main())

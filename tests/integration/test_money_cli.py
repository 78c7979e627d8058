"""`chimera budget`, `ledger`, `costs`, `control` as a person types them, over the tests' database."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chimera.adapters.postgres.tenancy import agent_id
from chimera.bootstrap import App
from chimera.domain.ids import new_id
from chimera.domain.models import CostLine
from chimera.errors import ChimeraError
from chimera.settings import Settings
from chimera.usecases.budget_watch import watch
from chimera_local.cli import budget as budget_cli
from chimera_local.cli import cli
from chimera_local.cli import control as control_cli
from chimera_local.cli import costs as costs_cli
from chimera_local.cli import ledger as ledger_cli


@dataclass
class Typed:
    """What a command answered."""

    code: int
    out: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Shell:
    """Commands of one tenant in this process."""

    app: App
    tenant: str

    def __call__(self, *words: str) -> Typed:
        done = CliRunner().invoke(cli, list(words), standalone_mode=False, catch_exceptions=False)
        return Typed(done.return_value, done.stdout)

    def refused(self, *words: str) -> ChimeraError:
        with pytest.raises(ChimeraError) as caught:
            self(*words)
        return caught.value

    def ask(self, **changes: Any) -> dict[str, Any]:
        """A request to the CFO."""
        asked = {
            "request_id": new_id(),
            "agent_id": agent_id(self.tenant, "artist"),
            "request_type": "compute",
            "request_cost": "0.06",
            "projected_roi": "2.5",
            "justification": "a video",
        }
        answer: dict[str, Any] = self.app.cfo(self.tenant).approve({**asked, **changes})
        return answer

    def settled(self, micros: int = 40_000, **changes: Any) -> str:
        """A request that was approved, used and settled; its id."""
        answer, cfo = self.ask(**changes), self.app.cfo(self.tenant)
        cfo.dispatch(answer["token"], "execution-1")
        line = CostLine(step="render", item="vCPU", quantity="2", unit="second", amount_micros=micros)
        cfo.settle(answer["request_id"], [line])
        return str(answer["request_id"])


@pytest.fixture
def shell(database_urls: Any, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """The commands, with the tests' database where the laptop's would be."""
    (tmp_path / "home" / "keys").mkdir(parents=True, mode=0o700)
    values = {"home": tmp_path / "home", "database_url": database_urls.app, "tenant_id": tenant}
    app = App(Settings().model_copy(update=values))
    made = Shell(app, tenant)

    @contextlib.contextmanager
    def world(*_: Any, **__: Any) -> Iterator[Shell]:
        yield made

    for module in (budget_cli, ledger_cli, costs_cli, control_cli):
        monkeypatch.setattr(module, "world", world)
    monkeypatch.setenv("COLUMNS", "80")
    yield made
    app.close()


# --- budget


def timeless(shown: str) -> str:
    """What is shown without its clock and its spans ("23h", "1d"): the second look is a moment later."""
    return re.sub(r"\d\d:\d\d:\d\d| +\d+[smhd]\b", "", shown)


def test_budget_shows_each_counter_within_eighty_columns_without_colour(shell: Shell) -> None:
    shell.settled()
    answer = shell.ask(request_cost="600")
    shown = shell("budget")
    assert shown.code == 0
    assert timeless(shown.out) == timeless(shell("budget", "show").out)
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "\x1b" not in shown.out
    daily = next(line for line in shown.out.splitlines() if line.startswith("compute"))
    assert daily.split()[:6] == ["compute", "1000.00", "600.00", "0.04", "399.96", "60.0%"]
    assert "notice: 60.0 % of the daily total limit is used" in shown.out
    assert re.search(rf"{answer['request_id']} compute +600\.00 SIGNED", shown.out)


def test_budget_as_json_is_what_the_api_tells(shell: Shell) -> None:
    shell.settled()
    value = shell("budget", "--json").json
    assert set(value) == {"currency", "at", "budgets", "warnings", "frozen", "open_reservations"}
    daily = next(i for i in value["budgets"] if (i["period"], i["category"]) == ("daily", "compute"))
    assert (daily["spent"], daily["level"], daily["forecast"]["low"]) == ("0.04", "ok", daily["forecast"]["low"])


def test_setting_a_limit_tells_before_and_after_and_when_it_freezes(shell: Shell) -> None:
    shell.settled()
    changed = shell("budget", "set", "--period", "daily", "--limit", "100.00", "--reason", "careful", "--by", "ada")
    assert "daily total: 1000.00 -> 100.00 USD" in changed.out
    assert "99.96 USD are left" in changed.out
    frozen = shell("budget", "set", "--period", "daily", "--category", "compute", "--limit", "0.01")
    assert "This freezes spending: 0.04 USD are used already" in frozen.out
    assert shell.ask()["code"] == "BUDGET_EXCEEDED"
    again = shell("budget", "set", "--period", "daily", "--category", "compute", "--limit", "2", "--json").json
    assert again["changed"] == {
        "period": "daily", "category": "compute", "before": "0.01", "after": "2.00", "used": "0.04", "freezes": False,
    }  # fmt: skip
    assert shell.ask()["decision"] == "approved"
    row = shell("ledger", "ls", "--type", "limit_change", "--json").json["entries"][2]
    assert (row["made_by"], row["reason"]) == ("ada", "careful")
    assert shell.refused("budget", "set", "--period", "daily", "--limit", "0").code == "VALIDATION_FAILED"


def test_a_frozen_category_is_shown_with_what_to_do_and_unfrozen(shell: Shell) -> None:
    shell.app.ledger(shell.tenant).freeze(["compute"], "the counters do not match", "recovery")
    shown = shell("budget").out
    assert "compute is FROZEN since" in shown
    assert "the counters do not match" in shown
    assert "chimera budget unfreeze --category compute" in shown
    thawed = shell("budget", "unfreeze", "--category", "compute", "--reason", "counted by hand")
    assert "compute may be spent from again" in thawed.out
    assert "FROZEN" not in shell("budget").out
    assert shell.refused("budget", "unfreeze", "--category", "compute", "--reason", "x").code == "CONFLICT"


# --- ledger


def test_rows_are_listed_and_filtered(shell: Shell) -> None:
    settled = shell.settled()
    rejected = shell.ask(projected_roi="1")["request_id"]
    listed = shell("ledger", "ls").out
    assert max(map(len, listed.splitlines())) <= 80
    assert [line.split()[3] for line in listed.splitlines()[:2]] == ["DECISION", "SETTLE"]

    def requests(*words: str) -> list[str]:
        return [row["request_id"] for row in shell("ledger", "ls", "--json", *words).json["entries"]]

    assert requests("--decision", "rejected") == [rejected]
    assert requests("--type", "settle") == [settled]
    assert requests("--request", settled) == [settled, settled]
    assert requests("--agent", "artist", "--type", "decision") == [rejected, settled]
    assert requests("--agent", "director") == []
    assert requests("--since", "1h", "--type", "settle") == [settled]
    assert requests("--until", "2020-01-01") == []
    first = shell("ledger", "ls", "--limit", "1", "--json").json
    second = shell("ledger", "ls", "--limit", "1", "--cursor", first["cursor"], "--json").json
    assert second["entries"][0]["seq"] == first["entries"][0]["seq"] - 1
    for words in (["--since", "soon"], ["--agent", "me"], ["--request", "1"]):
        assert shell.refused("ledger", "ls", *words).code == "VALIDATION_FAILED"


def test_the_story_of_a_request_is_told_by_each_of_its_names(shell: Shell) -> None:
    request = shell.settled()
    shell("ledger", "refund", request, "--amount", "0.01", "--reason", "vendor credit")
    told = shell("ledger", "show", request)
    row = shell("ledger", "ls", "--type", "decision", "--json").json["entries"][0]
    assert told.out == shell("ledger", "show", str(row["seq"])).out == shell("ledger", "show", row["tx_id"]).out
    for part in (
        "0.06 USD for compute, asked by artist",
        "“a video”",
        "Now SETTLED, 0.03 USD spent (0.01 came back)",
        "pressure",
        "0.06 asked for, 1000.00 left of the tightest budget",
        "used by execution-1",
        "2 second of vCPU: 0.04",
        "REFUND  0.01 USD",
        "vendor credit",
        "signature valid",
        "not sealed yet",
    ):
        assert part in told.out
    value = shell("ledger", "show", request, "--json").json
    assert (value["state"], value["spent"], value["refunded"]) == ("SETTLED", "0.03", "0.01")
    assert [r["entry_type"] for r in value["rows"]] == ["DECISION", "SETTLE", "REFUND"]
    points = sum(float(risk["points"]) for risk in value["rows"][0]["risk"])
    assert points == pytest.approx(float(value["rows"][0]["risk_score"]), abs=0.0005)
    for unknown in (new_id(), "999999", "x"):
        assert shell.refused("ledger", "show", unknown).code == "NOT_FOUND"


def test_the_story_of_an_escalated_request_has_the_persons_decision(shell: Shell) -> None:
    asked = {
        "request_id": new_id(),
        "agent_id": agent_id(shell.tenant, "artist"),
        "request_type": "compute",
        "request_cost": "999",
        "projected_roi": "1.5",
    }
    policy = shell.app.settings.model_copy(update={"risk_threshold": Decimal("0.3")})
    shell.app.settings = policy
    assert shell.app.cfo(shell.tenant).approve(asked)["decision"] == "escalated"
    shell.app.cfo(shell.tenant).approve_override(asked, "ada", approve=True, note="worth it")
    told = shell("ledger", "show", asked["request_id"]).out
    assert "DECISION  escalated  999.00 USD" in told
    assert "ada approved what was escalated: worth it" in told
    assert "Now SIGNED" in told
    override = shell("ledger", "ls", "--decision", "approved", "--json").json["entries"][0]
    assert shell("ledger", "show", override["request_id"]).out == told


def test_a_request_that_was_refused_before_it_was_decided_has_both_in_its_story(shell: Shell) -> None:
    request = new_id()
    shell.app.ledger(shell.tenant).refuse(
        "ada", "VALIDATION_FAILED", "projected_roi: got 'much'", b"{}", request_id=request
    )
    assert shell("ledger", "show", request).out.startswith(f"REFUSAL {request}")
    shell.ask(request_id=request)
    told = shell("ledger", "show", request).out
    assert told.startswith(f"Request {request}: 0.06 USD for compute, asked by artist")
    assert "projected_roi: got 'much' (VALIDATION_FAILED)" in told
    [limits] = shell("ledger", "ls", "--type", "limit_change", "--json").json["entries"]
    assert "daily total: none -> 1000.00" in shell("ledger", "show", str(limits["seq"])).out


def test_text_from_outside_cannot_steer_the_terminal_or_forge_a_line(shell: Shell) -> None:
    request = shell.settled(justification="a video\x1b[2J\x1b]0;owned\x07\u202e\r\n  Now REFUNDED")
    told = shell("ledger", "show", request).out
    assert not set(told) & set("\x1b\x07\r\u202e")
    assert not [line for line in told.splitlines() if line.strip().startswith("Now REFUNDED")]
    shell("ledger", "refund", request, "--amount", "0.01", "--reason", "credit\x1b[31m\nrow")
    assert "credit�[31m row" in shell("ledger", "ls", "--limit", "1").out


def test_a_signature_that_is_not_the_rows_is_told(shell: Shell, database_urls: Any) -> None:
    import psycopg

    request = shell.settled()
    with psycopg.connect(database_urls.super, autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            "UPDATE ledger_signature SET sig = decode(repeat('01', 64), 'hex') WHERE tenant_id = %s AND seq ="
            " (SELECT seq FROM ledger WHERE request_id = %s AND entry_type = 'SETTLE' AND tenant_id = %s)",
            (shell.tenant, request, shell.tenant),
        )
    assert "signature INVALID" in shell("ledger", "show", request).out


def test_a_refund_typed_twice_is_booked_once(shell: Shell) -> None:
    request = shell.settled()
    words = ("ledger", "refund", request, "--amount", "0.01", "--reason", "credit")
    first, second = shell(*words), shell(*words)
    assert first.out == second.out
    assert shell(*words, "--key", "second", "--json").json["amount"] == "0.01"
    assert shell("ledger", "show", request, "--json").json["refunded"] == "0.02"
    assert shell.refused("ledger", "refund", request, "--amount", "1", "--reason", "x").code == "CONFLICT"
    assert shell.refused("ledger", "refund", new_id(), "--amount", "1", "--reason", "x").code == "NOT_FOUND"


def test_the_export_is_whole_in_both_forms(shell: Shell, tmp_path: Path) -> None:
    shell.settled(justification='=cmd|"/c calc"!A1')
    printed = shell("ledger", "export", "--format", "csv").out
    target = tmp_path / "ledger.csv"
    shell("ledger", "export", "--format", "csv", "-o", str(target))
    written = target.read_bytes()
    assert written.decode() == printed.replace("\r\n", "\n").replace("\n", "\r\n")
    rows = list(csv.DictReader(io.StringIO(written.decode(), newline="")))
    as_json = shell("ledger", "export", "--format", "json").json
    assert [row["row_hash"] for row in rows] == [row["row_hash"] for row in as_json]
    assert [int(row["seq"]) for row in rows] == list(range(1, len(rows) + 1))
    assert rows[-2]["justification"] == '\'=cmd|"/c calc"!A1'
    assert (rows[-1]["amount"], as_json[-1]["amount"]) == ("0.04", "0.04")
    assert shell("ledger", "export", "--format", "json", "--until", "2020-01-01").json == []
    nowhere = shell.refused("ledger", "export", "--format", "csv", "-o", str(tmp_path / "no" / "x.csv"))
    assert nowhere.code == "VALIDATION_FAILED"


def test_an_export_of_many_rows_is_read_piece_by_piece(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from chimera.adapters.postgres import money_views

    monkeypatch.setattr(money_views, "BATCH", 3)
    for _ in range(4):
        shell.settled()
    rows = shell("ledger", "export", "--format", "json").json
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) > 6


# --- costs, control


def test_costs_without_anything_made_say_so(shell: Shell) -> None:
    assert shell.refused("costs").code == "NOT_FOUND"
    for unknown in ("x", new_id()):
        assert shell.refused("costs", unknown).code == "NOT_FOUND"


def test_the_switch_is_set_shown_and_logged(shell: Shell) -> None:
    assert shell("control").out.startswith("RUN: everything goes on")
    paused = shell("control", "pause-spend", "--reason", "vendor outage", "--by", "ada")
    assert "set by ada" in paused.out
    assert "vendor outage" in shell("control", "show").out
    assert shell("control", "stop", "--json").json["state"] == "STOP"
    assert shell.refused("control", "pause-publish").code == "CONFLICT"
    shell("control", "run", "--by", "ada")
    log = shell("control", "log", "--json").json["entries"]
    assert [(e["before"], e["after"]) for e in log] == [
        ("STOP", "RUN"), ("PAUSE_SPEND", "STOP"), ("RUN", "PAUSE_SPEND"),
    ]  # fmt: skip
    assert "RUN           -> PAUSE_SPEND   ada: vendor outage" in shell("control", "log").out


# --- the watch


def warnings(shell: Shell) -> list[tuple[str, str, str]]:
    found = watch(shell.tenant, shell.app.ledger(shell.tenant), shell.app.money_views(shell.tenant))
    return sorted((w.period, w.category, w.level) for w in found)


def entered(shell: Shell) -> list[dict[str, Any]]:
    return shell.app.money_views(shell.tenant).audited(["budget.warning"], 100)


def test_a_warning_is_entered_once_for_each_level(shell: Shell, caplog: pytest.LogCaptureFixture) -> None:
    assert warnings(shell) == []
    shell.ask(request_cost="500")
    assert warnings(shell) == [("daily", "compute", "notice"), ("daily", "total", "notice")]
    assert "budget notice: daily compute" in caplog.text
    assert warnings(shell) == []
    shell.ask(request_cost="460")
    assert warnings(shell) == [("daily", "compute", "critical"), ("daily", "total", "critical")]
    newest = entered(shell)[0]
    assert newest["by"] == "cfo"
    assert newest["after"] == {"level": "critical", "used": "960.00", "limit": "1000.00", "used_percent": "96.0"}


def test_a_budget_that_falls_back_warns_of_nothing_it_warned_of(shell: Shell) -> None:
    high = shell.ask(request_cost="960")
    assert len(warnings(shell)) == 2
    shell.app.cfo(shell.tenant).release(high["request_id"], "not begun")
    shell.ask(request_cost="850")
    assert warnings(shell) == []
    assert len(entered(shell)) == 2


def test_a_freeze_is_a_warning_of_its_own(shell: Shell) -> None:
    shell.ask(request_cost="960", request_type="storage")
    warnings(shell)
    shell.app.ledger(shell.tenant).freeze(["storage"], "an overrun", "recovery")
    assert warnings(shell) == [(period, "storage", "frozen") for period in ("daily", "monthly", "weekly")]
    assert entered(shell)[0]["after"]["reason"] == "an overrun"
    assert warnings(shell) == []


def test_two_that_watch_at_once_enter_one_warning(shell: Shell, db: Any) -> None:
    from chimera.adapters.postgres.money_views import PostgresMoneyViews

    shell.ask(request_cost="500")
    other: Callable[..., bool] = PostgresMoneyViews(db, shell.tenant).enter_warning
    mine = shell.app.money_views(shell.tenant)
    warning = new_id()
    assert mine.enter_warning(warning, {}, {}) is True
    assert other(warning, {}, {}) is False

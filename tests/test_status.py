"""What a person sees first when something was lost or a breaker tripped: the state, why, and what ends it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest

from app.render import print_status
from app.status import Standing, read_status
from domain.run import RunStatus
from domain.verdict import TradingState
from graph.conduct import Conductor
from graph.workflow import build_graph
from memory.trading_state import SqlTradingStateStore
from tests.fakes import Treasury
from tests.test_api import make_application
from tests.test_breakers_at_work import reprice, resume, state_of
from tests.test_conduct import Killed, break_usdx

DATABASE, ANCHOR = "treasury.db", "treasury.db.anchor"


@pytest.fixture
def treasury(tmp_path):
    with closing(Treasury(tmp_path)) as treasury:
        yield treasury


def standing_of(treasury: Treasury) -> Standing:
    return read_status(make_application(treasury))


def printed(treasury: Treasury, capsys: pytest.CaptureFixture[str]) -> str:
    print_status(standing_of(treasury))
    return " ".join(capsys.readouterr().out.split())


def test_an_active_treasury_gives_no_reasons(treasury, capsys):
    treasury.run()

    shown = printed(treasury, capsys)

    assert "trading active" in shown
    assert "autofi resume" not in shown


def test_a_tripped_breaker_is_shown_with_its_numbers_and_what_ends_it(treasury, capsys):
    treasury.run("run-1")
    reprice(treasury, weth="1500")
    treasury.run("run-2")

    shown = printed(treasury, capsys)

    assert "trading reducing" in shown
    assert "by system: day_drawdown of 24 hours: 0.04123711 of value, limit 0.03; `autofi resume` ends it" in shown


def test_an_operators_halt_and_an_incident_are_shown_with_who_and_why(treasury, capsys):
    resume(treasury, TradingState.HALTED)
    treasury.dependencies.incidents.open("aave-v3", by="carol", reason="[red]exploit", at=treasury.market.now())

    shown = printed(treasury, capsys)

    assert "by alice: looked into it" in shown
    assert "incident of aave-v3, opened by carol: [red]exploit" in shown


def roll_back(treasury: Treasury) -> None:
    """To before the first run: copied here, put back after it."""
    shutil.copy(treasury.folder / "copy", treasury.folder / DATABASE)


def lose_the_anchor(treasury: Treasury) -> None:
    (treasury.folder / ANCHOR).unlink()


def truncate_the_anchor(treasury: Treasury) -> None:
    anchor = treasury.folder / ANCHOR
    anchor.write_text(anchor.read_text()[:40])


def delete_the_database(treasury: Treasury) -> None:
    for file in treasury.folder.glob(f"{DATABASE}*"):
        if file.name != ANCHOR:
            file.unlink()


@pytest.mark.parametrize("lose", [roll_back, lose_the_anchor, truncate_the_anchor, delete_the_database])
def test_what_was_lost_or_rolled_back_halts_says_why_and_lets_exits_pass(
    treasury, capsys, lose: Callable[[Treasury], None]
):
    """Probe case 6, over the whole database."""
    treasury.close()
    shutil.copy(treasury.folder / DATABASE, treasury.folder / "copy")
    treasury.reopen()
    treasury.run("run-1")
    treasury.close()
    lose(treasury)
    treasury.reopen()

    denied = treasury.run("run-2")
    shown = printed(treasury, capsys)
    break_usdx(treasury)
    left = treasury.run("run-3")

    assert "trading halted" in shown
    assert "anchor" in shown
    assert denied.status in {RunStatus.DENIED, RunStatus.HELD}
    assert (left.status, left.verdict.is_exit) == (RunStatus.EXECUTED, True)
    assert state_of(treasury) is TradingState.HALTED


class KilledFirst(SqlTradingStateStore):
    def tighten(self, trips, *, at):
        raise Killed


def test_a_process_killed_before_a_breaker_is_written_leaves_it_to_whoever_resumes(treasury):
    treasury.run("run-1")
    reprice(treasury, weth="1500")
    dying = replace(treasury.dependencies, trading_state=KilledFirst(treasury.database))

    with pytest.raises(Killed):
        Conductor(build_graph(dying, treasury.saver), dying).start(treasury.request("run-2"))
    treasury.reopen()
    before = state_of(treasury)
    treasury.conductor.resume("run-2")

    assert (before, state_of(treasury)) == (TradingState.ACTIVE, TradingState.REDUCING)
    assert treasury.dependencies.budgets.state(at=treasury.market.now()).runs_hour_count == 2

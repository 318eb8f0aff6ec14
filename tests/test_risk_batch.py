"""Many books at once: equal to skfolio, equal to one book at a time, equal with and without the compiler."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from domain.errors import StaleOrDisputed
from tools.risk import risk_batch
from tools.risk.risk_batch import BatchRisk, Path, batch_risk, best_path, book_risk
from tools.risk.risk_kernels import build_kernels, compiled_kernels, is_compiler_installed
from tools.risk.risk_metrics import max_drawdown
from tools.risk.tail_definition import tail_of

FIELDS = ("var", "cvar", "max_drawdown", "deviation")
PATHS = [Path.PLAIN, Path.FAST]


@pytest.fixture(params=PATHS, ids=str)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The loops run as Python here: what the compiler makes of them has its own test."""
    kernels = build_kernels(lambda function: function)
    monkeypatch.setattr(risk_batch, "compiled_kernels", lambda: kernels)
    return Path(request.param)


def market(days: int = 130, assets: int = 4, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(4, (days, assets)) * np.geomspace(1e-4, 3e-2, assets)


def books(count: int = 7, assets: int = 4) -> np.ndarray:
    return np.random.default_rng(6).dirichlet(np.ones(assets), count)


def measured(returns: np.ndarray, weights: np.ndarray, path: Path, level: float = 0.95) -> BatchRisk:
    found = batch_risk(returns, weights, level=level, path=path)
    assert found is not None
    return found


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_measures_equal_skfolio(path: Path, level: float) -> None:
    peer = pytest.importorskip("skfolio.measures", reason="skfolio is a development dependency")
    returns, weights = market(), books()
    paths = returns @ weights.T

    found = measured(returns, weights, path, level)

    assert found.var == pytest.approx(peer.value_at_risk(paths, beta=level), abs=1e-12)
    assert found.cvar == pytest.approx(peer.cvar(paths, beta=level), abs=1e-12)
    assert found.deviation == pytest.approx(peer.standard_deviation(paths), abs=1e-12)
    drawdowns = peer.max_drawdown(peer.get_drawdowns(paths, compounded=True))
    assert found.max_drawdown == pytest.approx(np.abs(drawdowns), abs=1e-12)


def test_batch_equals_one_book_at_a_time_and_the_measures_of_a_series(path: Path) -> None:
    returns, weights = market(), books()

    found = measured(returns, weights, path)

    for number, row in enumerate(weights):
        single = book_risk(returns, row, level=0.95, path=path)
        assert single is not None
        assert [getattr(found, name)[number] for name in FIELDS] == pytest.approx(single[:4], rel=1e-12)
        drawdown = max_drawdown(returns @ row)
        assert drawdown is not None
        assert single[:2] == pytest.approx(tail_of(returns @ row, 0.95), rel=1e-12)
        assert single.max_drawdown == pytest.approx(drawdown.depth.value, rel=1e-9)


def test_blocks_do_not_show(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    returns, weights = market(), books()
    whole = measured(returns, weights, path)
    for name, size in (("ROWS_AT_ONCE", 3), ("BOOKS_AT_ONCE", 2), ("DAYS_AT_ONCE", 7)):
        monkeypatch.setattr(risk_batch, name, size)

    parts = measured(returns, weights, path)

    for name in FIELDS:
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-12)


@pytest.mark.skipif(not is_compiler_installed(), reason="numba, the extra `fast`, is not installed")
@pytest.mark.parametrize(
    "change",
    [
        lambda returns: returns,
        lambda returns: np.where(np.arange(len(returns))[:, None] == 50, -0.5, returns),  # all in one day
        lambda returns: np.round(returns, 3),  # ties
        np.zeros_like,
        np.abs,
    ],
)
def test_compiled_loops_equal_plain_arrays(change: Callable[[np.ndarray], np.ndarray]) -> None:
    returns, weights = change(market(400)), books(300)

    plain, fast = (measured(returns, weights, path) for path in PATHS)
    one = [book_risk(returns, weights[0], level=0.95, path=path) for path in PATHS]

    for name in FIELDS:
        assert getattr(fast, name) == pytest.approx(getattr(plain, name), rel=1e-12, abs=1e-15)
    assert one[1] is not None
    assert one[1][:4] == pytest.approx(one[0][:4] if one[0] else None, rel=1e-12, abs=1e-15)
    assert compiled_kernels() is compiled_kernels()


def test_answer_names_the_path_that_ran(path: Path) -> None:
    assert measured(market(), books(), path).path is path
    assert best_path() is (Path.FAST if is_compiler_installed() else Path.PLAIN)


def test_book_that_hedges_itself_has_no_deviation(path: Path) -> None:
    returns = np.repeat(market(assets=1), 2, axis=1)

    found = measured(returns, np.array([[1.0, -1.0]]), path)

    assert found.deviation[0] < 1e-17


def test_too_few_days_are_unknown(path: Path) -> None:
    assert batch_risk(market(99), books(), level=0.99, path=path) is None
    assert book_risk(market(19), books()[0], level=0.95, path=path) is None


@pytest.mark.parametrize(("row", "column", "value"), [(3, 2, np.nan), (0, 0, np.inf), (129, 3, -np.inf)])
def test_number_that_is_none_is_named(path: Path, row: int, column: int, value: float) -> None:
    returns = market()
    returns[row, column] = value

    with (
        np.errstate(invalid="ignore"),
        pytest.raises(StaleOrDisputed, match=f"row {row} of column {column} is {value}"),
    ):
        batch_risk(returns, books(), level=0.95, path=path)
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(StaleOrDisputed, match=f"row {row} of column {column} is {value}"),
    ):
        book_risk(returns, books()[0], level=0.95, path=path)


def test_weight_that_is_none_and_loss_beyond_everything_are_named(path: Path) -> None:
    weights = books()
    weights[2, 1] = np.nan
    levered = np.array([[0.0, 0.0, 0.0, 60.0]])

    with np.errstate(invalid="ignore"), pytest.raises(StaleOrDisputed, match="row 1 of weights of book 2 is nan"):
        batch_risk(market(), weights, level=0.95, path=path)
    with np.errstate(invalid="ignore"), pytest.raises(StaleOrDisputed, match=r"row 0 of drawdowns is .*, must be at"):
        batch_risk(market(), levered, level=0.95, path=path)


@pytest.mark.parametrize("weights", [np.ones((2, 3)), np.ones(4), np.ones((1, 1, 4))])
def test_shapes_that_do_not_fit_are_refused(weights: np.ndarray) -> None:
    with pytest.raises(StaleOrDisputed, match="weights"):
        batch_risk(market(), weights, level=0.95)


def test_book_without_assets_has_no_risk_to_measure(path: Path) -> None:
    with pytest.raises(StaleOrDisputed, match="needs at least one column"):
        book_risk(np.empty((400, 0)), np.empty(0), level=0.95, path=path)
    with pytest.raises(StaleOrDisputed, match="needs at least one column"):
        batch_risk(np.empty((400, 0)), np.empty((3, 0)), level=0.95, path=path)

"""Nothing is judged as it was handed over: what does not write itself down and read back equal is one denial."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.digest import GENESIS
from domain.portfolio import Balance, Portfolio, Position
from domain.verdict import BudgetState, Economics, Evidence, TradingState
from guards import check
from tests.builders_evidence import codes, make_evidence

SAMPLE = make_evidence()
NAN = Decimal("NaN")


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError


class Trap:
    """A value that fails however it is touched, even while it explains itself."""

    def __getattr__(self, name: str) -> object:
        raise Unspeakable


class Mute(int):
    """A number that cannot be written down."""

    def __str__(self) -> str:
        raise Unspeakable


def test_what_cannot_be_written_down_denies():
    before = SAMPLE.before.model_copy(update={"native_wei": Mute(1)})

    for evidence in (SAMPLE.model_copy(update={"before": before}), SAMPLE.model_copy(update={"now": Trap()}), Trap()):
        (denial,) = check(evidence).denials
        assert (denial.code, denial.subject) == ("evidence_invalid", "evidence")


@pytest.mark.parametrize("nothing", [None, 0, "", (), math.nan, object(), {}, [SAMPLE], SAMPLE.policy])
def test_what_is_no_evidence_at_all_is_one_denial_and_nothing_else_runs(nothing):
    verdict = check(nothing)

    assert codes(verdict.denials) == {"evidence_invalid"}
    assert (len(verdict.findings), verdict.is_exit, verdict.batch_digest) == (1, False, GENESIS)


def test_a_value_that_would_read_back_differently_denies():
    report = SAMPLE.simulation.model_copy(update={"block_hash": "0x" + "AB" * 32})

    (denial,) = check(SAMPLE.model_copy(update={"simulation": report})).denials

    assert denial.code == "evidence_invalid"
    assert "became" in denial.observed


GARBAGE = (None, NAN, Decimal("Infinity"), math.nan, math.inf, -1, True, "", "NaN", (), 10**400, object(), Trap())


@given(
    st.dictionaries(st.sampled_from(sorted(Evidence.model_fields)), st.sampled_from(GARBAGE), min_size=1, max_size=4)
)
@settings(max_examples=150, deadline=None)
def test_garbage_anywhere_never_raises_and_never_passes_for_truth(garbage):
    fields = {name: getattr(SAMPLE, name) for name in Evidence.model_fields}
    allowed = {"risk_before", "risk_after", "economics", "approval", "scores"}

    verdict = check(Evidence.model_construct(**{**fields, **garbage}))

    assert verdict.is_pass <= all(name in allowed and value in (None, ()) for name, value in garbage.items())


PARTS = ("policy", "plan", "batch", "simulation", "snapshot", "before", "after", "risk_after", "economics", "budget")


@given(st.sampled_from(PARTS), st.data())
@settings(max_examples=250, deadline=None)
def test_garbage_inside_a_part_never_raises_and_never_passes_for_truth(part, data):
    value = getattr(SAMPLE, part)
    name = data.draw(st.sampled_from(sorted(type(value).model_fields)))
    junk = data.draw(st.sampled_from(GARBAGE[:-2]))

    verdict = check(SAMPLE.model_copy(update={part: value.model_copy(update={name: junk})}))

    # Only a value that the field itself allows may pass: it reads back equal.
    assert not verdict.is_pass or reads_back(value, name, junk)


def reads_back(value, name, junk):
    fields = {field: getattr(value, field) for field in type(value).model_fields}
    try:
        type(value).model_validate({**fields, name: junk})
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_statistic_that_is_no_number_is_refused_and_not_taken_for_unknown(bad):
    economics = Economics.model_construct(lower_gain_usd=120.0, cost_usd=bad, break_even_days=5.0)

    (denial,) = check(SAMPLE.model_copy(update={"economics": economics})).denials

    assert (denial.code, denial.observed) == (
        "evidence_invalid",
        "evidence.economics.cost_usd: Input should be a finite number",
    )


def refusal(**changes):
    """The one denial's words."""
    (denial,) = check(SAMPLE.model_copy(update=changes)).denials
    assert denial.code == "evidence_invalid"
    return denial.observed


ESTIMATES = ("volatility", "max_drawdown")
AMOUNTS = [name for name in BudgetState.model_fields if name.endswith("_usd")]


@pytest.mark.parametrize("end", ["value", "lower", "upper"])
@pytest.mark.parametrize("name", ESTIMATES)
def test_a_risk_below_zero_is_refused_and_zero_is_none(name, end):
    report = SAMPLE.risk_after
    zero = getattr(report, name).model_copy(update={"value": 0.0, "lower": 0.0, end: 0.0})
    below = getattr(report, name).model_copy(update={end: -1e-9})

    said = refusal(risk_after=report.model_copy(update={name: below}))

    assert said == f"evidence.risk_after.{name}.{end}: Input should be greater than or equal to 0"
    assert "evidence_invalid" not in codes(
        check(SAMPLE.model_copy(update={"risk_after": report.model_copy(update={name: zero})})).denials
    )


@pytest.mark.parametrize("part", ["var", "cvar"])
def test_a_tail_that_gains_is_refused(part):
    report = SAMPLE.risk_after
    gain = getattr(report.tails[0], part).model_copy(update={"value": -0.5, "lower": -0.5})
    tails = (report.tails[0].model_copy(update={part: gain}), report.tails[1])

    assert refusal(risk_after=report.model_copy(update={"tails": tails})).startswith(
        f"evidence.risk_after.tails.0.{part}.value: "
    )


@pytest.mark.parametrize("name", ["cost_usd", "break_even_days"])
def test_a_cost_that_pays_is_refused_and_none_at_all_is_not(name):
    free = SAMPLE.economics.model_copy(update={name: 0.0})

    said = refusal(economics=SAMPLE.economics.model_copy(update={name: -0.01}))

    assert said == f"evidence.economics.{name}: Input should be greater than or equal to 0"
    assert codes(check(SAMPLE.model_copy(update={"economics": free})).denials) == set()


@pytest.mark.parametrize("name", AMOUNTS)
def test_a_ledger_that_owes_us_budget_is_refused(name):
    below = SAMPLE.budget.model_copy(update={name: Decimal("-0.01")})

    assert refusal(budget=below) == f"evidence.budget.{name}: Input should be greater than or equal to 0"


@pytest.mark.parametrize("amount", [0, 1])
@pytest.mark.parametrize("book", ["before", "after"])
@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("cash", lambda amount: Balance(token="ghost", amount=amount)),
        ("positions", lambda amount: Position(strategy="ghost", shares=amount, amount=amount)),
    ],
)
def test_a_line_that_the_catalog_does_not_list_is_refused_by_name(book, kind, line, amount):
    portfolio = getattr(SAMPLE, book)
    lines = (*getattr(portfolio, kind), line(amount))

    said = refusal(**{book: portfolio.model_copy(update={kind: lines})})

    assert said == f"evidence.{book}: ghost is held and not in the catalog"


def test_of_several_unlisted_lines_the_first_by_name_is_told():
    cash = tuple(Balance(token=name, amount=1) for name in ("spirit", "ghost", "usdc"))
    before = SAMPLE.before.model_copy(update={"cash": cash})
    after = SAMPLE.after.model_copy(update={"cash": cash[:1]})

    assert refusal(before=before, after=after) == "evidence.before: ghost is held and not in the catalog"


def test_a_strategy_is_no_token_and_a_token_no_strategy():
    cash = SAMPLE.after.model_copy(update={"cash": (Balance(token="aave-usdc", amount=1),)})
    position = SAMPLE.after.model_copy(update={"positions": (Position(strategy="usdc", shares=1, amount=1),)})

    assert refusal(after=cash) == "evidence.after: aave-usdc is held and not in the catalog"
    assert refusal(after=position) == "evidence.after: usdc is held and not in the catalog"


@pytest.mark.parametrize("value", [True, 0.5, "1"])
def test_money_that_is_no_decimal_is_refused(value):
    budget = SAMPLE.budget.model_copy(update={"value_day_usd": value})

    assert codes(check(SAMPLE.model_copy(update={"budget": budget})).denials) == {"evidence_invalid"}


def test_lookups_that_a_catalog_carries_along_are_not_believed():
    carried = SAMPLE.catalog.model_copy()
    carried.token("usdc")
    lies = {token.id: token.model_copy(update={"decimals": 0}) for token in SAMPLE.catalog.tokens}
    carried.__dict__["_tokens_by_id"] = lies

    assert check(SAMPLE.model_copy(update={"catalog": carried})) == check(SAMPLE)


class Liar(Portfolio):
    """Equal to whatever it is compared with, and richer than it says."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None

    def position_of(self, strategy_id: str) -> int:
        return 10**30


def test_a_subclass_is_judged_by_its_fields_alone():
    liar = Liar.model_validate(SAMPLE.before.model_dump())

    assert check(SAMPLE.model_copy(update={"before": liar})) == check(SAMPLE)


class Forger(Evidence):
    """Writes itself down as something better."""

    def model_dump_json(self, **options: object) -> str:
        return make_evidence().model_dump_json()


def test_evidence_does_not_get_to_say_how_it_is_written():
    halted = make_evidence(trading_state=TradingState.HALTED)

    assert check(Forger.model_construct(**dict(halted))) == check(halted)


def test_a_truth_value_that_poses_as_a_block_number_leaves_no_trace():
    """JSON knows neither: whichever of the two comes back, it is a plain integer."""
    posed, plain = (check(SAMPLE.model_copy(update={"head_block_number": head})) for head in (True, 1))

    assert posed == plain


def test_a_field_that_was_left_out_is_not_filled_in():
    """`is_paused` would be false by default; who left it out did not look."""
    rate = SAMPLE.snapshot.rates[0].model_copy()
    del rate.__dict__["is_paused"]
    snapshot = SAMPLE.snapshot.model_copy(update={"rates": (rate, *SAMPLE.snapshot.rates[1:])})

    assert codes(check(SAMPLE.model_copy(update={"snapshot": snapshot})).denials) == {"evidence_invalid"}


def test_half_a_surrogate_pair_is_no_text():
    report = SAMPLE.simulation.model_copy(update={"failure": "\ud800"})

    assert codes(check(SAMPLE.model_copy(update={"simulation": report})).denials) == {"evidence_invalid"}


def test_the_first_field_that_does_not_parse_is_named():
    calls = (SAMPLE.batch.calls[0].model_copy(update={"target": "0xshort"}), *SAMPLE.batch.calls[1:])

    (denial,) = check(SAMPLE.model_copy(update={"batch": SAMPLE.batch.model_copy(update={"calls": calls})})).denials

    assert denial.observed.startswith("evidence.batch.calls.0.target: String should match pattern")

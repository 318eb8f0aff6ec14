"""Exposure, budgets and slippage: the largest transaction that a limit allows, and its neighbour one unit over.

The book is worth 970,000 USD; every limit but the one in question is far away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from domain.plan import Move
from domain.verdict import BudgetState
from tests.builders_evidence import DAI, USDC, make_budget, make_limits
from tests.corpus.moves import deposit, supply, swap, withdraw
from tests.corpus.scene import make_evidence
from tests.corpus.specimen import Specimen, allowed, forbidden

SHARES: Final = (
    "max_strategy_share",
    "max_protocol_share",
    "max_chain_share",
    "max_token_share",
    "max_issuer_share",
    "max_oracle_share",
    "max_collateral_share",
    "max_factor_share",
    "max_pool_supplied_share",
    "max_pool_withdrawable_share",
    "max_run_turnover_share",
    "max_day_turnover_share",
)
FAR: Final[dict[str, dict[str, object]]] = {
    "exposure": {**dict.fromkeys(SHARES, "unlimited"), "min_reserve_share": 0},
    "approval": {"min_value_without_approval_usd": "unlimited"},
    "budgets": dict.fromkeys(
        (
            "max_transaction_value_usd",
            "max_day_value_usd",
            "max_week_value_usd",
            "max_day_loss_usd",
            "max_week_loss_usd",
        ),
        "unlimited",
    ),
}


def _only(section: str, **limits: object) -> dict[str, Any]:
    """The policy with one limit in reach."""
    sections = {**FAR, section: {**FAR.get(section, {}), **limits}}
    return {"policy": make_limits(**sections)}


def _pair(
    family: str, code: str, words: str, at: Sequence[Move], over: Sequence[Move], **changes: Any
) -> Iterator[Specimen]:
    sample = allowed(f"at-{code.replace('_', '-')}", f"Exactly {words}", at, family=family, **changes)
    yield sample
    more = make_evidence(over, **changes)
    yield forbidden(sample, "one-unit-over", "by one base unit more", code, evidence=more)


def _supplies() -> Iterator[Specimen]:
    """170,000 of 970,000 USD are in Aave before."""
    for code, words, limit, amount in (
        ("strategy_share", "a quarter of value in one strategy", {"max_strategy_share": "0.25"}, 242_500),
        ("protocol_share", "half of value in one protocol", {"max_protocol_share": "0.5"}, 315_000),
        ("chain_share", "half of value invested on the chain", {"max_chain_share": "0.5"}, 315_000),
        ("oracle_share", "half of value behind one oracle", {"max_oracle_share": "0.5"}, 315_000),
        ("collateral_share", "half of value lent against one collateral", {"max_collateral_share": "0.5"}, 315_000),
        ("reserve_share", "half of value left in reserve", {"min_reserve_share": "0.5"}, 215_000),
        (
            "pool_withdrawable_share",
            "a twentieth of what can leave the pool",
            {"max_pool_withdrawable_share": "0.05"},
            300_000,
        ),
        ("run_turnover", "a fifth of value moved in one run", {"max_run_turnover_share": "0.2"}, 194_000),
    ):
        at, over = [supply("aave-usdc", amount * USDC)], [supply("aave-usdc", amount * USDC + 1)]
        yield from _pair("exposure", code, words, at, over, **_only("exposure", **limit))


def _other_exposures() -> Iterator[Specimen]:
    # 202,020.202020 is a hundredth of 20,000,000 USDC and itself, rounded down
    at, over = ([supply("aave-usdc", 202_020_202_020 + extra)] for extra in (0, 1))
    words = "a hundredth of the pool, our own part counted in"
    yield from _pair(
        "exposure", "pool_supplied_share", words, at, over, **_only("exposure", max_pool_supplied_share="0.01")
    )
    yield from _pair(
        "exposure", "factor_share", "a twentieth of value with one vault owner",
        [deposit("vault-limited-dai", 48_500 * DAI)], [deposit("vault-limited-dai", 48_500 * DAI + 1)],
        **_only("exposure", max_factor_share="0.05"),
    )  # fmt: skip
    bought, more = _purchase(94_000 * USDC), _purchase(94_000 * USDC + 1)
    yield from _pair(
        "exposure", "token_share", "a fifth of value in DAI", bought, more, **_only("exposure", max_token_share="0.2")
    )
    at, over = ([swap("usdc-dai-100", "usdc", 1_600 * USDC - kept, 1_592 * DAI)] for kept in (0, 1))
    words = "72 % of value left with one issuer"
    yield from _pair("exposure", "issuer_share", words, at, over, **_only("exposure", max_issuer_share="0.72"))
    used = make_budget(turnover_day_usd=97_000)
    yield from _pair(
        "exposure", "day_turnover", "three tenths of value moved in a day",
        [supply("aave-usdc", 194_000 * USDC)], [supply("aave-usdc", 194_000 * USDC + 1)],
        budget=used, **_only("exposure", max_day_turnover_share="0.3"),
    )  # fmt: skip


def _purchase(amount: int) -> list[Move]:
    return [swap("usdc-dai-100", "usdc", amount, amount * 10**12 * 9_990 // 10_000)]


def _values() -> Iterator[Specimen]:
    at, over = [supply("aave-usdc", 100_000 * USDC)], [supply("aave-usdc", 100_000 * USDC + 1)]
    for code, words, limit, budget in (
        ("transaction_value", "the value of one transaction", {"max_transaction_value_usd": 100_000}, {}),
        ("day_value", "what is left of the day's value", {"max_day_value_usd": 500_000}, {"value_day_usd": 400_000}),
        (
            "week_value",
            "what is left of the week's value",
            {"max_week_value_usd": 900_000},
            {"value_week_usd": 800_000},
        ),
    ):
        yield from _pair("budgets", code, words, at, over, budget=make_budget(**budget), **_only("budgets", **limit))


def _used(
    family: str,
    code: str,
    words: str,
    moves: Sequence[Move],
    at: dict[str, object],
    over: dict[str, object],
    **changes: Any,
) -> Iterator[Specimen]:
    """The transaction stays; the ledger has used so much more."""
    sample = allowed(f"at-{code.replace('_', '-')}", words, moves, family=family, budget=make_budget(**at), **changes)
    yield sample
    used: BudgetState = make_budget(**over)
    changed = sample.evidence.model_copy(update={"budget": used})
    yield forbidden(
        sample, "more-used", "the ledger has used a little more", code, evidence=changed, differs_in="evidence"
    )


def _ledgers() -> Iterator[Specimen]:
    """The swap loses 100 of 100,000 dollars, may lose 500; the fee cap is 70 dollars."""
    trade = [swap("usdc-dai-100", "usdc", 100_000 * USDC, 99_500 * DAI)]
    for code, key, at, limit in (
        ("day_loss", "loss_day_usd", 4_900, {"max_day_loss_usd": 5_000}),
        ("week_loss", "loss_week_usd", 9_900, {"max_week_loss_usd": 10_000}),
    ):
        changes = {"haircut_bps": 10, **_only("budgets", **limit)}
        yield from _used("budgets", code, f"Uses up the {code.replace('_', ' of ')} exactly", trade,
                         {key: at}, {key: f"{at}.000001"}, **changes)  # fmt: skip
    for code, key, at in (("day_slippage", "slippage_day_usd", 1_500), ("week_slippage", "slippage_week_usd", 4_500)):
        words = f"Uses up the {code.replace('_', ' of ')} exactly"
        yield from _used("slippage", code, words, trade, {key: at}, {key: f"{at}.000001"}, **_only("exposure"))
    entry = [supply("aave-usdc", USDC)]
    yield from _used(
        "budgets",
        "day_gas",
        "Uses up the day's gas exactly",
        entry,
        {"gas_day_usd": 230},
        {"gas_day_usd": "230.000001"},
    )
    yield from _used(
        "budgets",
        "runs_per_hour",
        "Is the last run of the hour",
        entry,
        {"runs_hour_count": 30},
        {"runs_hour_count": 31},
    )
    yield from _used(
        "budgets", "ledger_corrupt", "Has an intact ledger", entry, {"is_intact": True}, {"is_intact": False}
    )


def _slippage() -> Iterator[Specimen]:
    at, over = 9_950 * DAI, 9_950 * DAI - 1
    yield from _pair(
        "slippage", "trade_slippage", "half a percent below the oracle",
        [swap("usdc-dai-500", "usdc", 10_000 * USDC, at)], [swap("usdc-dai-500", "usdc", 10_000 * USDC, over)],
    )  # fmt: skip
    whole = withdraw("aave-usdx", 100_000 * DAI, is_whole=True)
    floor = 99_000 * USDC  # 100 basis points under the 100,000 that healthy oracles say
    yield from _pair(
        "slippage", "emergency_floor", "the floor of a way out",
        [whole, swap("usdc-usdx-100", "usdx", 100_000 * DAI, floor)],
        [whole, swap("usdc-usdx-100", "usdx", 100_000 * DAI, floor - 1)],
    )  # fmt: skip


def specimens() -> tuple[Specimen, ...]:
    return (*_supplies(), *_other_exposures(), *_values(), *_ledgers(), *_slippage())

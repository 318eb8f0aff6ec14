"""The auditor can find what it looks for: every rule is broken on the real local chain and reported, and only then."""

from __future__ import annotations

import ast
from decimal import Decimal
from pathlib import Path

import pytest

from domain.transaction import UnsignedCall
from tests.redteam.desk import BOOKKEEPING, SMALL, Desk, honest
from tests.redteam.findings import Rule
from tests.redteam.forgeries import FORGERIES, THIEF, Forgery, approve, raw, supply, swap, withdraw
from tests.redteam.telling import told

pytestmark = pytest.mark.chain

ETHER = 10**18
MAY_CALL = ("domain.", "eth_abi", "eth_utils", "httpx", "tests.redteam.audit", "tests.redteam.findings")


def test_the_auditor_knows_nothing_of_guards_tools_graph_memory_or_chain() -> None:
    modules = sorted(Path(__file__).parent.glob("audit*.py"))
    imported = {
        name
        for module in modules
        for node in ast.walk(ast.parse(module.read_text()))
        for name in _names(node)
        if name.split(".")[0] in {"domain", "tests", "guards", "tools", "graph", "memory", "chain", "collectors", "app"}
    }

    assert len(modules) == 9
    assert [name for name in imported if not name.startswith(MAY_CALL)] == []


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_an_honest_batch_breaks_nothing_but_lacks_a_record(desk: Desk) -> None:
    desk.batch(*honest(desk.catalog))

    audit = desk.audit()

    assert audit.rules == BOOKKEEPING, audit.violations
    assert [len(batch.steps) for batch in audit.batches] == [6]


def test_an_honest_batch_with_its_record_breaks_nothing(desk: Desk) -> None:
    transaction = desk.batch(*honest(desk.catalog))

    audit = desk.audit(told(desk.chain, desk.catalog, transaction))

    assert audit.violations == ()


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
def test_a_forged_batch_is_reported_for_what_it_breaks(desk: Desk, forgery: Forgery) -> None:
    desk.rpc.call("anvil_setBalance", desk.catalog.account, hex(ETHER))
    desk.send(forgery.envelope(desk.catalog, forgery.calls(desk.catalog)))

    audit = desk.audit()

    assert forgery.rule in audit.rules, audit.violations


@pytest.mark.parametrize("name", ["transfer-to-thief", "withdrawal-to-thief", "swap-to-thief", "gas-refund"])
def test_money_that_reached_a_stranger_is_reported_as_such(desk: Desk, name: str) -> None:
    (forgery,) = [forgery for forgery in FORGERIES if forgery.name == name]
    desk.send(forgery.envelope(desk.catalog, forgery.calls(desk.catalog)))

    audit = desk.audit()

    expected = {Rule.STRANGER_PAID} if "transfer" in name or "refund" in name else {Rule.RECIPIENT}
    assert expected <= audit.rules, audit.violations


LIMITS = [
    ({"exposure__max_strategy_share": "0.1"}, Rule.STRATEGY_SHARE),
    ({"exposure__max_protocol_share": "0.1"}, Rule.PROTOCOL_SHARE),
    ({"exposure__max_token_share": "0.1"}, Rule.TOKEN_SHARE),
    ({"exposure__max_issuer_share": "0.5"}, Rule.ISSUER_SHARE),
    ({"exposure__max_chain_share": "0.1"}, Rule.CHAIN_SHARE),
    ({"exposure__max_oracle_share": "0.1"}, Rule.ORACLE_SHARE),
    ({"exposure__max_collateral_share": "0.1"}, Rule.COLLATERAL_SHARE),
    ({"exposure__max_factor_share": "0.01"}, Rule.FACTOR_SHARE),
    ({"exposure__min_reserve_share": "0.9"}, Rule.RESERVE_SHARE),
    ({"exposure__max_pool_supplied_share": "0.0001"}, Rule.POOL_SUPPLIED),
    ({"exposure__max_pool_withdrawable_share": "0.0001"}, Rule.POOL_WITHDRAWABLE),
    ({"exposure__max_run_turnover_share": "0.01"}, Rule.RUN_TURNOVER),
    ({"exposure__max_day_turnover_share": "0.01"}, Rule.DAY_TURNOVER),
    ({"budgets__max_transaction_value_usd": "1000"}, Rule.TRANSACTION_VALUE),
    ({"budgets__max_day_value_usd": "1000"}, Rule.DAY_VALUE),
    ({"budgets__max_week_value_usd": "1000"}, Rule.WEEK_VALUE),
    ({"budgets__max_day_loss_usd": "0.01"}, Rule.DAY_LOSS),
    ({"budgets__max_week_loss_usd": "0.01"}, Rule.WEEK_LOSS),
    ({"budgets__max_day_gas_usd": "0.01"}, Rule.DAY_GAS),
    ({"slippage__max_trade_slippage_bps": 5}, Rule.TRADE_SLIPPAGE),
    ({"slippage__max_day_slippage_usd": "1"}, Rule.DAY_SLIPPAGE),
    ({"slippage__max_week_slippage_usd": "1"}, Rule.WEEK_SLIPPAGE),
    ({"economics__max_gas_cost_usd": "0.01"}, Rule.GAS_COST),
    ({"economics__max_gas_price_wei": "1000"}, Rule.GAS_PRICE),
    ({"approval__min_value_without_approval_usd": "1000"}, Rule.APPROVAL),
]


@pytest.mark.parametrize(("limit", "rule"), LIMITS, ids=[rule for _, rule in LIMITS])
def test_the_honest_batch_breaks_exactly_the_limit_that_is_too_tight_for_it(
    desk: Desk, limit: dict[str, object], rule: Rule
) -> None:
    desk.batch(*honest(desk.catalog))

    audit = desk.audit(**limit)

    assert audit.rules == {rule} | BOOKKEEPING, audit.violations


def test_many_small_batches_break_the_limits_of_the_day_and_the_week(desk: Desk) -> None:
    for _ in range(3):
        desk.batch(*supply(desk.catalog, "usdc", 40_000))
    daily, weekly = "budgets__max_day_value_usd", "budgets__max_week_value_usd"

    within = desk.audit(**{daily: "130000", weekly: "130000"})
    beyond = desk.audit(**{daily: "110000", weekly: "110000"})

    assert within.rules == BOOKKEEPING
    assert beyond.rules == {Rule.DAY_VALUE, Rule.WEEK_VALUE} | BOOKKEEPING


def test_a_way_out_breaks_no_limit_however_tight(desk: Desk) -> None:
    desk.batch(*withdraw(desk.catalog, "weth"), *withdraw(desk.catalog, "usdx"))

    audit = desk.audit(**{key: value for limit, _ in LIMITS for key, value in limit.items()})

    assert audit.rules == BOOKKEEPING, audit.violations
    assert [batch.is_exit for batch in audit.batches] == [True]


def test_a_way_out_to_a_stranger_is_none(desk: Desk) -> None:
    desk.batch(*withdraw(desk.catalog, "weth", recipient=THIEF))

    audit = desk.audit()

    assert [batch.is_exit for batch in audit.batches] == [False]


def test_a_plain_payment_by_the_operator_is_reported(desk: Desk) -> None:
    desk.send(UnsignedCall(target=THIEF, data="0x", value_wei=ETHER))

    assert Rule.OUTER in desk.audit().rules


def test_a_stranger_who_uses_an_open_allowance_is_reported(desk: Desk) -> None:
    thief, token = desk.actors.trader, desk.catalog.token("usdc")
    desk.batch(approve(token, thief, 10**9))
    take = ("transferFrom(address,address,uint256)", ("address", "address", "uint256"))
    desk.send(raw(token.address, *take, desk.catalog.account, thief, 10**9), sender=thief)

    assert {Rule.STRANGER_TOOK, Rule.APPROVAL_LEFT} <= desk.audit().rules


def test_a_stale_price_is_reported(desk: Desk) -> None:
    desk.scenario.stall_feed("dai")
    desk.batch(*honest(desk.catalog))

    assert desk.audit().rules == {Rule.PRICE_STALE} | BOOKKEEPING


def test_a_disputed_price_is_reported(desk: Desk) -> None:
    _report(desk, "weth", "3600")
    desk.batch(*honest(desk.catalog))

    assert desk.audit().rules == {Rule.PRICE_DISPUTED} | BOOKKEEPING


def test_a_missing_price_is_reported(desk: Desk) -> None:
    _report(desk, "dai", "0")
    desk.batch(*supply(desk.catalog, "usdc", SMALL))

    assert Rule.PRICE_MISSING in desk.audit().rules


def test_entering_a_token_off_its_peg_is_reported(desk: Desk) -> None:
    desk.scenario.set_price("usdx", Decimal("0.97"))
    desk.batch(*supply(desk.catalog, "usdc", SMALL))
    untouched = desk.audit().rules
    desk.batch(*swap(desk.catalog, ("usdc", "usdx"), SMALL))

    assert untouched == BOOKKEEPING
    assert Rule.STABLE_DEVIATION in desk.audit().rules


# A DAI that the feed calls worth 1.5 % more is sold at a dollar; beyond 2 % its peg is broken and the pool decides.
@pytest.mark.parametrize(("usd", "rules"), [("1.015", {Rule.EMERGENCY_FLOOR}), ("1.025", set()), ("1.005", set())])
def test_a_way_out_into_a_pool_that_left_the_feed_is_reported(desk: Desk, usd: str, rules: set[Rule]) -> None:
    _report(desk, "dai", usd)
    desk.batch(*swap(desk.catalog, ("dai", "usdc"), SMALL))

    audit = desk.audit()

    assert [batch.is_exit for batch in audit.batches] == [True]
    assert audit.rules == rules | BOOKKEEPING, audit.violations
    observed = [violation.observed for violation in audit.violations if violation.rule in rules]
    assert [text.split()[0] for text in observed] == ["minimum", "lost"] * len(rules)


def test_a_gift_before_the_batch_makes_it_no_less_a_way_out(desk: Desk) -> None:
    token, issuer = desk.catalog.token("wbtc").address, desk.actors.issuer
    desk.send(raw(token, "mint(address,uint256)", ("address", "uint256"), desk.catalog.account, 1), sender=issuer)
    desk.batch(*withdraw(desk.catalog, "usdx"))

    assert [batch.is_exit for batch in desk.audit().batches if batch.steps] == [True]


def _report(desk: Desk, token_id: str, price_usd: str) -> None:
    feed = desk.catalog.token(token_id).feed
    answer = int(Decimal(price_usd) * 10**8)
    desk.send(raw(feed, "report(int256)", ("int256",), answer), sender=desk.actors.issuer)


def test_every_rule_of_the_auditor_has_been_broken_here() -> None:
    """Rules from NO_END on are the runner's own and are broken in its tests."""
    own = list(Rule)[: list(Rule).index(Rule.NO_END)]
    by_name = {forgery.rule for forgery in FORGERIES} | {rule for _, rule in LIMITS}
    folder = Path(__file__).parent
    source = "".join(file.read_text() for file in folder.glob("test_auditor*.py"))

    assert [rule for rule in own if rule not in by_name and f"Rule.{rule.name}" not in source] == []

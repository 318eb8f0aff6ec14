"""Ways to change what a batch is seen to do: transfers, approvals left, the books before and after."""

from __future__ import annotations

from random import Random
from typing import Final

from domain.portfolio import Balance, Portfolio, Position
from domain.transaction import NATIVE, BalanceDelta, LeftoverApproval
from domain.verdict import Evidence
from tests.builders import address
from tests.oracle.exact import raised
from tests.oracle.sample import Changes, Mutations, calls_of, changed, with_calls

STRANGER: Final = address(0xBAD)


def near(rng: Random, amount: int, bps: int) -> int:
    """Off by one, by the tolerance, by the tolerance and one, by everything."""
    tolerance = amount * bps // 10_000
    step = rng.choice((1, tolerance, tolerance + 1, amount, 2 * tolerance + 1))
    return amount + rng.choice((-1, 1)) * step


def change_delta(rng: Random, evidence: Evidence) -> Evidence:
    deltas = list(evidence.simulation.deltas)
    if not deltas:
        return evidence
    index = rng.randrange(len(deltas))
    bps = evidence.policy.simulation.max_delta_tolerance_bps
    deltas[index] = changed(deltas[index], amount=_int256(near(rng, deltas[index].amount, bps)))
    return _with_simulation(evidence, deltas=tuple(deltas))


def add_delta(rng: Random, evidence: Evidence) -> Evidence:
    """A transfer that nobody asked for: to a stranger, of native money, of an unlisted token, or split in two."""
    catalog = evidence.catalog
    receipts = [strategy.receipt for strategy in catalog.strategies]
    holder = rng.choice((STRANGER, catalog.account, catalog.operator, rng.choice(receipts), catalog.venues[0].pool))
    token = rng.choice((NATIVE, address(0xEEE), rng.choice(catalog.tokens).address, rng.choice(receipts)))
    amount = rng.choice((-1, 1, 10**6, -(10**18), 10**24))
    extra = BalanceDelta.model_construct(holder=holder, token=token, amount=amount)
    opposite = (changed(extra, amount=-amount),) if rng.random() < 0.2 else ()
    return _with_simulation(evidence, deltas=(*evidence.simulation.deltas, extra, *opposite))


def drop_delta(rng: Random, evidence: Evidence) -> Evidence:
    deltas = list(evidence.simulation.deltas)
    if deltas:
        del deltas[rng.randrange(len(deltas))]
    return _with_simulation(evidence, deltas=tuple(deltas))


def move_delta(rng: Random, evidence: Evidence) -> Evidence:
    """The same transfer, but somebody else's, or of another token."""
    deltas = list(evidence.simulation.deltas)
    if not deltas:
        return evidence
    index = rng.randrange(len(deltas))
    changes: Changes = ({"holder": STRANGER}, {"holder": evidence.catalog.account}, {"token": NATIVE})
    deltas[index] = changed(deltas[index], **rng.choice(changes))
    return _with_simulation(evidence, deltas=tuple(deltas))


def change_simulation(rng: Random, evidence: Evidence) -> Evidence:
    head, age = evidence.head_block_number, evidence.policy.simulation.max_age_blocks
    leftover = LeftoverApproval.model_construct(
        token=rng.choice(evidence.catalog.tokens).address, spender=STRANGER, amount=rng.choice((0, 1, 2**256 - 1))
    )
    changes: Changes = (
        {"succeeded": False},
        {"gas_used": rng.choice((0, 1))},
        {"batch_digest": "0" * 64},
        {"chain_id": 1},
        {"leftover_approvals": (leftover,)},
        {"block_number": max(0, head - age)},
        {"block_number": max(0, head - age - 1)},
        {"block_number": head + 1},
        {"deltas": ()},
    )
    return _with_simulation(evidence, **rng.choice(changes))


def _with_simulation(evidence: Evidence, **changes: object) -> Evidence:
    return changed(evidence, simulation=changed(evidence.simulation, **changes))


def change_line(rng: Random, evidence: Evidence) -> Evidence:
    """One line of a book: off by one, by the tolerance, gone, said twice, or of something that nobody lists."""
    name = rng.choice(("before", "after", "after"))
    portfolio: Portfolio = getattr(evidence, name)
    kind = rng.choice(("cash", "positions"))
    lines = list(getattr(portfolio, kind))
    bps = evidence.policy.simulation.max_delta_tolerance_bps
    if not lines:
        return evidence
    index = rng.randrange(len(lines))
    line = lines[index]
    match rng.randrange(6):
        case 0:
            del lines[index]
        case 1:
            lines.append(line)
        case 2 if kind == "positions":
            lines[index] = changed(line, shares=_uint256(near(rng, line.shares, bps)))
        case 3:
            lines[index] = changed(line, **_unlisted(rng, line))
        case 4:
            lines[index] = changed(line, amount=_at_growth(rng, evidence, line))
        case _:
            lines[index] = changed(line, amount=_uint256(near(rng, line.amount, bps)))
    return changed(evidence, **{name: changed(portfolio, **{kind: tuple(lines)})})


def _unlisted(rng: Random, line: Balance | Position) -> dict[str, object]:
    name = rng.choice(("unlisted", "usdx", "aave-dai", "wbtc"))
    return {"token": name} if isinstance(line, Balance) else {"strategy": name}


def _at_growth(rng: Random, evidence: Evidence, line: Balance | Position) -> int:
    """As much as a line may rise without having grown, or one more."""
    bps = evidence.policy.simulation.max_delta_tolerance_bps
    if isinstance(line, Balance):
        before = evidence.before.cash_of(line.token)
    else:
        before = evidence.before.position_of(line.strategy)
    return _uint256(raised(before, bps) + rng.choice((-1, 0, 1)))


def change_book(rng: Random, evidence: Evidence) -> Evidence:
    """The account, the chain, gas money; no cash, no positions, nothing at all."""
    name = rng.choice(("before", "after"))
    portfolio: Portfolio = getattr(evidence, name)
    changes: Changes = (
        {"account": STRANGER},
        {"chain_id": 1},
        {"native_wei": portfolio.native_wei + rng.choice((-1, 1))},
        {"native_wei": 0},
        {"cash": ()},
        {"positions": ()},
        {"cash": (), "positions": ()},
    )
    return changed(evidence, **{name: changed(portfolio, **rng.choice(changes))})


def change_holdings(rng: Random, evidence: Evidence) -> Evidence:
    """Another book to start from, played through to its end: scaled, without a line, or next to empty."""
    numerator = rng.choice((0, 1, 5, 20))
    lines = [changed(line, amount=line.amount * numerator // 10) for line in evidence.before.cash]
    before = changed(evidence.before, cash=tuple(lines))
    if rng.random() < 0.3:
        before = changed(before, positions=before.positions[1:])
    return with_calls(changed(evidence, before=before), calls_of(evidence))


def _uint256(amount: int) -> int:
    return min(max(amount, 0), 2**256 - 1)


def _int256(amount: int) -> int:
    return min(max(amount, -(2**255)), 2**255 - 1)


EFFECT_MUTATIONS: Final[Mutations] = (
    (change_delta, 8),
    (add_delta, 5),
    (drop_delta, 2),
    (move_delta, 2),
    (change_simulation, 5),
    (change_line, 8),
    (change_book, 3),
    (change_holdings, 3),
)
"""Each with its weight."""

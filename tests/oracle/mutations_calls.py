"""Ways to change what a batch does: amounts, parties, targets, selectors, operations and the order of its calls."""

from __future__ import annotations

from random import Random
from typing import Final

from eth_utils.crypto import keccak

from domain.verdict import Evidence
from tests.builders import address
from tests.oracle import bases
from tests.oracle.calldata import BY_NAME, Call, write_words
from tests.oracle.sample import Mutations, calls_of, with_calls, with_policy

STRANGER: Final = address(0xBAD)
HUGE: Final = (2**256 - 1, 2**255, 2**128, 10**30)


TEMPTING: Final = (
    "transfer(address,uint256)",
    "transferFrom(address,address,uint256)",
    "increaseAllowance(address,uint256)",
    "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
    "setApprovalForAll(address,bool)",
    "borrow(address,uint256,uint256,uint16,address)",
    "mint(uint256,address)",
    "withdraw(uint256,address,address)",
    "multicall(bytes[])",
    "exactInput((bytes,address,uint256,uint256))",
    "execTransactionFromModule(address,uint256,bytes,uint8)",
    "enableModule(address)",
)
"""What moves money, or lets somebody move it, and is in no list."""


def amount_near(rng: Random, amount: int) -> int:
    """Next to the amount, nothing, everything, or off by a token's decimals."""
    step = rng.choice((0, 0, 0, 1, 2, 3, 4, 5))
    near = (amount + rng.choice((-1, 1)), 0, rng.choice(HUGE), amount * 10**12, amount // 10**12, amount * 2)[step]
    return min(max(near, 0), 2**256 - 1)


def change_amount(rng: Random, evidence: Evidence) -> Evidence:
    """One amount of one call; sometimes of the approval before it too, so that they still agree."""
    calls = list(calls_of(evidence))
    index = rng.randrange(len(calls))
    amounts = [field for field, value in _words(calls[index]).items() if isinstance(value, int)]
    if not amounts:
        return evidence
    name = rng.choice(amounts)
    old = _words(calls[index])[name]
    new = amount_near(rng, int(old))
    calls[index] = _rewritten(calls[index], name, new)
    if index and rng.random() < 0.7 and _words(calls[index - 1]).get("amount") == old:
        calls[index - 1] = _rewritten(calls[index - 1], "amount", new)
    return with_calls(evidence, calls)


def scale_amounts(rng: Random, evidence: Evidence) -> Evidence:
    """The whole batch larger or smaller, minimum outs along with it."""
    numerator = rng.choice((1, 2, 3, 5, 9, 11, 15, 20))
    calls = []
    for call in calls_of(evidence):
        scaled = call
        for name in ("amount", "assets", "shares", "amountIn", "amountOutMinimum"):
            value = _words(call).get(name)
            if isinstance(value, int) and value < 2**200:
                scaled = _rewritten(scaled, name, value * numerator // 10)
        calls.append(scaled)
    return with_calls(evidence, calls)


def forgo_minimum(rng: Random, evidence: Evidence) -> Evidence:
    """A swap without a minimum out, where nothing else would mind."""
    calls = [_rewritten(call, "amountOutMinimum", 0) if rng.random() < 0.8 else call for call in calls_of(evidence)]
    wide = with_policy(evidence, "slippage", max_trade_slippage_bps=10_000, emergency_floor_bps=10_000)
    return with_calls(wide, calls)


def change_party(rng: Random, evidence: Evidence) -> Evidence:
    """A recipient, owner, spender or asset becomes somebody else."""
    calls = list(calls_of(evidence))
    index = rng.randrange(len(calls))
    parties = [name for name, value in _words(calls[index]).items() if isinstance(value, str)]
    if not parties:
        return evidence
    calls[index] = _rewritten(calls[index], rng.choice(parties), _somebody(rng, evidence))
    return with_calls(evidence, calls)


def change_target(rng: Random, evidence: Evidence) -> Evidence:
    calls = list(calls_of(evidence))
    index = rng.randrange(len(calls))
    calls[index] = calls[index]._replace(target=_somebody(rng, evidence))
    return with_calls(evidence, calls)


def change_operation(rng: Random, evidence: Evidence) -> Evidence:
    calls = list(calls_of(evidence))
    index = rng.randrange(len(calls))
    if rng.random() < 0.5:
        calls[index] = calls[index]._replace(is_delegatecall=True)
    else:
        calls[index] = calls[index]._replace(value=rng.choice((1, 10**18, 2**256 - 1)))
    return with_calls(evidence, calls, is_direct=rng.random() < 0.5)


def change_selector(rng: Random, evidence: Evidence) -> Evidence:
    """Another of the six functions, or one that nobody listed, around the same words."""
    calls = list(calls_of(evidence))
    index = rng.randrange(len(calls))
    known = bytes.fromhex(rng.choice(list(BY_NAME.values())).selector[2:])
    selector = rng.choice((known, rng.randbytes(4), keccak(text=rng.choice(TEMPTING))[:4], b"", b"\0"))
    calls[index] = calls[index]._replace(data=selector + calls[index].data[4:] if len(selector) == 4 else selector)
    return with_calls(evidence, calls)


def change_length(rng: Random, evidence: Evidence) -> Evidence:
    calls = list(calls_of(evidence))
    index = rng.randrange(len(calls))
    data = calls[index].data
    longer = (data[:-1], data + b"\0", data + bytes(32), data[:-32], data[:4], b"")
    calls[index] = calls[index]._replace(data=rng.choice(longer))
    return with_calls(evidence, calls)


def repeat_call(rng: Random, evidence: Evidence) -> Evidence:
    calls = list(calls_of(evidence))
    calls.insert(rng.randrange(len(calls) + 1), rng.choice(calls))
    return with_calls(evidence, calls)


def drop_call(rng: Random, evidence: Evidence) -> Evidence:
    calls = list(calls_of(evidence))
    del calls[rng.randrange(len(calls))]
    return with_calls(evidence, calls)


def reorder_calls(rng: Random, evidence: Evidence) -> Evidence:
    calls = list(calls_of(evidence))
    rng.shuffle(calls)
    return with_calls(evidence, calls)


def append_part(rng: Random, evidence: Evidence) -> Evidence:
    """Another base's part behind or before the batch: exits that also enter, entries that also leave."""
    parts, calls = bases.parts_for(evidence.before.account), list(calls_of(evidence))
    if not parts:
        return evidence
    part = list(rng.choice(parts))
    return with_calls(evidence, part + calls if rng.random() < 0.5 else calls + part)


def leave_approval(rng: Random, evidence: Evidence) -> Evidence:
    """An approval that nothing takes: of nothing, of one unit, of everything."""
    token = rng.choice(evidence.catalog.tokens)
    spender = rng.choice((evidence.catalog.contracts.swap_router, evidence.catalog.contracts.aave_pool, STRANGER))
    call = Call(token.address, 0, False, write_words("approve", spender, rng.choice((0, 1, 2**256 - 1))))
    calls = list(calls_of(evidence))
    calls.insert(rng.randrange(len(calls) + 1), call)
    return with_calls(evidence, calls)


def _words(call: Call) -> dict[str, int | str]:
    return call.arguments or {}


def _rewritten(call: Call, name: str, value: int | str) -> Call:
    words, signature = dict(_words(call)), call.signature
    width = {"uint16": 16, "uint24": 24, "uint160": 160}
    kinds = {} if signature is None else {field: kind for kind, field in signature.fields}
    if signature is None or name not in words:
        return call
    words[name] = value % 2 ** width.get(kinds[name], 256) if isinstance(value, int) else value
    return call._replace(data=write_words(signature.name, *words.values()))


def _somebody(rng: Random, evidence: Evidence) -> str:
    catalog = evidence.catalog
    known = [catalog.operator, catalog.contracts.swap_router, catalog.contracts.aave_pool, catalog.contracts.permit2]
    known += [strategy.contract for strategy in catalog.strategies] + [token.address for token in catalog.tokens]
    return rng.choice(
        (STRANGER, address(1), address(2), address(0), catalog.account, rng.choice(known), rng.choice(known))
    )


CALL_MUTATIONS: Final[Mutations] = (
    (change_amount, 12),
    (scale_amounts, 6),
    (forgo_minimum, 2),
    (change_party, 5),
    (change_target, 3),
    (change_operation, 3),
    (change_selector, 3),
    (change_length, 2),
    (repeat_call, 2),
    (drop_call, 3),
    (reorder_calls, 2),
    (append_part, 5),
    (leave_approval, 3),
)
"""Each with its weight."""

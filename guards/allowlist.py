"""Allowlist: every call goes to a known contract, calls a known function and names only us as recipient.

Catalogued reserves and venues only, exact approvals that the next calls consume, no native value, no delegatecall.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from domain.transaction import DecodedCall, Operation
from guards.actions import Action, ActionKind
from guards.case import Case
from guards.finding import Row, Ruler, text
from guards.measures import actions
from guards.registry import readings, registry

RULER = Ruler("allowlist")
FIXED_ARGUMENTS: Final = {"referralCode": "0", "sqrtPriceLimitX96": "0"}
"""A price limit of the router would let a swap stop half way and keep the rest of the approval open."""
CONSUMERS: Final = frozenset({ActionKind.SUPPLY, ActionKind.DEPOSIT, ActionKind.SWAP})


def check_allowlist(case: Case) -> tuple[Row, ...]:
    return (
        *_check_chain(case),
        *_check_completeness(case),
        *_check_calls(case),
        *_check_approvals(case),
        *_check_leftovers(case),
    )


def _check_chain(case: Case) -> Iterator[Row]:
    evidence, catalog = case.evidence, case.evidence.catalog
    home = (catalog.chain_id, catalog.account)
    for subject, chain_id, account in (
        ("plan", evidence.plan.chain_id, evidence.plan.account),
        ("batch", evidence.batch.chain_id, evidence.batch.account),
        ("portfolio before", evidence.before.chain_id, evidence.before.account),
        ("portfolio after", evidence.after.chain_id, evidence.after.account),
        ("simulation", evidence.simulation.chain_id, catalog.account),
        ("snapshot", evidence.snapshot.chain_id, catalog.account),
    ):
        limit, observed = f"{home[0]} {home[1]}", f"{chain_id} {account}"
        yield RULER.fact("chain_id", subject, passed=(chain_id, account) == home, limit=limit, observed=observed)


def _check_completeness(case: Case) -> Iterator[Row]:
    batch = case.evidence.batch
    unread = sum(call.function is None for call in batch.calls)
    complete = batch.is_complete and bool(batch.calls) and unread == 0
    observed = f"{len(batch.calls) - unread} of {len(batch.calls)} calls"
    yield RULER.fact("undecoded", "batch", passed=complete, limit="every byte explained", observed=observed)


def _check_calls(case: Case) -> Iterator[Row]:
    table = registry(case)
    for call, action in zip(case.evidence.batch.calls, readings(case), strict=True):
        subject = f"{call.function or call.selector or 'call'} at {call.target}"
        typed = table.find(call.target, call.selector)
        known = call.target in table.contracts
        yield RULER.fact("contract", subject, passed=known, limit="in the catalog", observed=_listed(listed=known))
        built = typed is not None and typed.read is not None and typed.name == call.function
        yield RULER.fact("selector", subject, passed=built, limit="in the allowlist", observed=_listed(listed=built))
        plain = call.operation is Operation.CALL
        yield RULER.fact("delegatecall", subject, passed=plain, limit="call", observed=call.operation.value)
        yield RULER.at_most("native_value", subject, observed=call.value_wei, limit=0, unit="wei")
        if built:
            yield from _check_arguments(subject, call, action, case)


def _listed(*, listed: bool) -> str:
    return "listed" if listed else "not listed"


def _check_arguments(subject: str, call: DecodedCall, action: Action | None, case: Case) -> Iterator[Row]:
    fits = action is not None and (action.kind is not ActionKind.SWAP or action.venue is not None)
    yield RULER.fact("argument", subject, passed=fits, limit="a listed reserve or venue", observed=_listed(listed=fits))
    for argument in call.arguments:
        fixed = FIXED_ARGUMENTS.get(argument.name)
        if fixed is not None:
            name, same = f"{argument.name} of {subject}", argument.value == fixed
            yield RULER.fact("argument", name, passed=same, limit=fixed, observed=argument.value)
    if action is not None:
        yield from _check_parties(subject, action, case)


def _check_parties(subject: str, action: Action, case: Case) -> Iterator[Row]:
    account = case.evidence.catalog.account
    for recipient in action.recipients:
        yield RULER.fact("recipient", subject, passed=recipient == account, limit=account, observed=recipient)
    if action.kind is ActionKind.APPROVE:
        listed = action.spender in _spenders(action, case)
        yield RULER.fact("spender", subject, passed=listed, limit="takes this token", observed=str(action.spender))


def _spenders(approval: Action, case: Case) -> frozenset[str]:
    """Strategies of this very token and the router: nobody else ever takes it from us."""
    catalog = case.evidence.catalog
    takers = {strategy.contract for strategy in catalog.strategies if strategy.token == approval.token.id}
    return frozenset(takers | {catalog.contracts.swap_router})


def _check_approvals(case: Case) -> Iterator[Row]:
    """Walks the calls: each taker finds exactly its amount approved, and nothing stays approved at the end."""
    open_amounts: dict[tuple[str, str], int] = defaultdict(int)
    for action in actions(case):
        key = (action.token.id, action.spender or action.contract)
        if action.kind is ActionKind.APPROVE:
            open_amounts[key] = action.amount
        elif action.kind in CONSUMERS:
            approved = open_amounts.pop(key, 0)
            yield _approval_row(f"{action.kind} {action.token.id}", approved=approved, taken=action.amount)
    for (token, spender), amount in open_amounts.items():
        yield _approval_row(f"{token} for {spender}", approved=amount, taken=0)


def _approval_row(subject: str, *, approved: int, taken: int) -> Row:
    passed = approved == taken
    return RULER.fact(
        "approval_amount", subject, passed=passed, limit=text(taken), observed=text(approved), unit="base units"
    )


def _check_leftovers(case: Case) -> Iterator[Row]:
    left = case.evidence.simulation.leftover_approvals
    if not left:
        yield RULER.fact("leftover_approval", "account", passed=True, limit="none", observed="none")
    for approval in left:
        subject = f"{approval.token} for {approval.spender}"
        yield RULER.at_most("leftover_approval", subject, observed=approval.amount, limit=0, unit="base units")

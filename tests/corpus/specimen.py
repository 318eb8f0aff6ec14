"""A corpus entry while it is made: the evidence itself, what is expected of it, and the neighbour it differs from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from domain.plan import Move, MoveKind, RebalancePlan
from domain.transaction import UnsignedCall
from domain.verdict import Evidence
from guards.decode import decode_batch
from tests.corpus.entry import Expected
from tests.corpus.scene import CATALOG, make_evidence
from tools.transactions.safe import wrap_calls

Difference = Literal["bytes", "terms", "evidence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """`codes` are all that the guards must say, the first of them the reason that the entry is about."""

    id: str
    sentence: str
    family: str
    evidence: Evidence
    base: str
    expected: Expected = Expected.ALLOW
    codes: tuple[str, ...] = ()
    neighbour: str | None = None
    difference: str | None = None
    differs_in: Difference | None = None
    is_exit: bool | None = False


def allowed(
    id_: str,
    sentence: str,
    moves: Sequence[Move],
    *,
    family: str = "allowlist",
    base: str = "treasury",
    **changes: object,
) -> Specimen:
    """Built from moves by the product's own builders; `changes` are of the evidence."""
    evidence = make_evidence(moves, base=base, **changes)  # type: ignore[arg-type]
    way_out = all(map(_leads_out, moves))
    return Specimen(id=id_, sentence=sentence, family=family, evidence=evidence, base=base, is_exit=way_out)


def _leads_out(move: Move) -> bool:
    """Out of a strategy, or into the reserve."""
    if move.kind is MoveKind.SWAP:
        return move.token_out == CATALOG.reserve_token
    return move.kind in {MoveKind.WITHDRAW, MoveKind.REDEEM}


def forbidden(
    neighbour: Specimen,
    name: str,
    difference: str,
    *codes: str,
    evidence: Evidence,
    differs_in: Difference = "bytes",
    family: str | None = None,
    expected: Expected = Expected.DENY,
) -> Specimen:
    """The neighbour with one thing changed."""
    return Specimen(
        id=f"{neighbour.id}-but-{name}",
        sentence=f"{neighbour.sentence}, but {difference}",
        family=family or neighbour.family,
        evidence=evidence,
        base=neighbour.base,
        expected=expected,
        codes=codes,
        neighbour=neighbour.id,
        difference=difference,
        differs_in=differs_in,
        is_exit=None,
    )


def replanned(evidence: Evidence, **changes: object) -> Evidence:
    """With another plan, whose bytes are what is judged and what was simulated."""
    plan = RebalancePlan.model_validate({**dict(evidence.plan), **changes})
    simulation = evidence.simulation.model_copy(update={"batch_digest": plan.batch_digest()})
    batch = decode_batch(plan.envelope, catalog=evidence.catalog)
    return evidence.model_copy(update={"plan": plan, "simulation": simulation, "batch": batch})


def with_calls(evidence: Evidence, calls: Sequence[UnsignedCall], **changes: object) -> Evidence:
    """With other inner calls, wrapped as the product wraps them."""
    return replanned(evidence, calls=tuple(calls), envelope=wrap_calls(calls, CATALOG), **changes)


def with_call(evidence: Evidence, position: int, call: UnsignedCall, **changes: object) -> Evidence:
    """With one inner call replaced."""
    calls = list(evidence.plan.calls)
    calls[position] = call
    return with_calls(evidence, calls, **changes)


def simulated(evidence: Evidence, **changes: object) -> Evidence:
    """With another simulation report."""
    report = evidence.simulation.model_validate({**dict(evidence.simulation), **changes})
    return evidence.model_copy(update={"simulation": report})

"""Trading state, approvals and binding: the same bytes under another state, another consent, another plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from domain.verdict import Approval, ApprovalStatus, Evidence, TradingState
from tests.builders import NOW
from tests.builders_evidence import DAI, USDC, make_approval, make_limits
from tests.corpus.entry import Expected
from tests.corpus.foreign import STRANGER
from tests.corpus.moves import supply, swap, withdraw
from tests.corpus.samples import EXIT, SUPPLY, SWAP
from tests.corpus.scene import BOOKS, SNAPSHOT, make_evidence, stress_of
from tests.corpus.specimen import Specimen, allowed, forbidden, replanned, simulated

LARGE: Final = [supply("aave-usdc", 400_000 * USDC)]
ROOM: Final = make_limits(
    exposure=dict.fromkeys(
        ("max_strategy_share", "max_run_turnover_share", "max_protocol_share", "max_chain_share"), "unlimited"
    )
)
"""So that only the approval threshold is in reach."""
FORK: Final = "0x" + "cd" * 32


def _in_state(sample: Specimen, state: TradingState) -> Evidence:
    return sample.evidence.model_copy(update={"trading_state": state})


def _again(sample: Specimen, id_: str, sentence: str, evidence: Evidence, family: str) -> Specimen:
    return replace(sample, id=id_, sentence=sentence, family=family, evidence=evidence)


def _states() -> Iterator[Specimen]:
    for state, codes in (
        (TradingState.REDUCING, ("trading_state_reducing",)),
        (TradingState.HALTED, ("trading_state_halted",)),
    ):
        words = f"trading is {state}"
        for sample in (SUPPLY, SWAP):
            changed = _in_state(sample, state)
            yield forbidden(
                sample, state, words, *codes, evidence=changed, differs_in="evidence", family="trading_state"
            )
        sentence = f"{EXIT.sentence}, while {words}"
        yield _again(EXIT, f"exit-while-{state}", sentence, _in_state(EXIT, state), "trading_state")
    yield from _reductions()


def _reductions() -> Iterator[Specimen]:
    """Not a way out, since DAI grows, but it enters nothing and the worst stress loss falls."""
    moves = [withdraw("aave-usdx", 50_000 * DAI), swap("usdc-dai-100", "usdc", 1_000 * USDC, 996 * DAI)]
    before = make_evidence(moves).risk_before
    worse = before.model_copy(update={"stress": stress_of(BOOKS["treasury"], exploit=0.3)}) if before else None
    changes: dict[str, Any] = {"trading_state": TradingState.REDUCING, "risk_before": worse}
    sample = allowed(
        "reducing", "Lowers the worst stress loss while trading is reducing", moves, family="trading_state", **changes
    )
    yield sample
    same = sample.evidence.model_copy(update={"risk_before": before})
    codes = ("trading_state_reducing",)
    yield forbidden(sample, "risk-stays", "the worst stress loss stays", *codes, evidence=same, differs_in="evidence")
    unknown = sample.evidence.model_copy(update={"risk_before": None})
    yield forbidden(
        sample, "risk-unknown", "nobody knows the loss before", *codes, evidence=unknown, differs_in="evidence"
    )
    halted = _in_state(sample, TradingState.HALTED)
    yield forbidden(
        sample, "halted", "trading is halted", "trading_state_halted", evidence=halted, differs_in="evidence"
    )


def _approvals() -> Iterator[Specimen]:
    unasked = allowed("below-threshold", "Supplies exactly what needs no human", LARGE, family="approval", policy=ROOM)
    yield unasked
    more = make_evidence([supply("aave-usdc", 400_000 * USDC + 1)], policy=ROOM)
    yield forbidden(unasked, "one-unit-over", "it is one base unit more", evidence=more, expected=Expected.WAIT)
    consented = _answered(more)
    sample = _again(unasked, "approved", "Supplies more than the threshold, approved by a human", consented, "approval")
    yield sample
    for name, difference, code, changes in (
        ("other-batch", "the consent is for another batch", "approval_digest", {"batch_digest": "0" * 64}),
        ("other-run", "the consent is for another run", "approval_digest", {"run_id": "run-2"}),
        ("used", "the consent was used before", "approval_used", {"status": ApprovalStatus.USED}),
        ("denied", "the human said no", "approval_denied", {"status": ApprovalStatus.DENIED}),
        ("expired", "the consent expires this second", "approval_expired", {"expires_at": NOW}),
        ("operator-role", "an operator answered", "approval_role", {"role": "operator"}),
        ("no-role", "the answer has no role", "approval_role", {"role": None}),
        ("admin-role", "an administrator answered", "approval_role", {"role": "admin"}),
        ("role-spelled", "the role is spelled with a capital", "approval_role", {"role": "Approver"}),
        ("nobody", "nobody's name is on it", "approval_role", {"answered_by": None}),
        ("empty-name", "an empty name is on it", "approval_role", {"answered_by": ""}),
        ("own-proposal", "the proposer answered himself", "four_eyes", {"answered_by": "scheduler"}),
    ):
        changed = _answered(more, **changes)
        yield forbidden(sample, name, difference, code, evidence=changed, differs_in="evidence")
    for name, difference, status in (("pending", "nobody has answered yet", ApprovalStatus.PENDING),):
        changed = _answered(more, status=status, answered_by=None, role=None)
        yield forbidden(sample, name, difference, evidence=changed, differs_in="evidence", expected=Expected.WAIT)
    alone = more.model_copy(update={"approval": None})
    yield forbidden(
        sample, "unasked", "nobody was asked", evidence=alone, differs_in="evidence", expected=Expected.WAIT
    )
    other = replanned(consented, fee_cap_wei=consented.plan.fee_cap_wei + 1)
    yield forbidden(
        sample,
        "dearer",
        "the fee cap is a wei higher than approved",
        "approval_digest",
        evidence=other,
        differs_in="terms",
    )


def _answered(evidence: Evidence, **changes: object) -> Evidence:
    answer: Approval = make_approval(evidence.plan, **changes)
    return evidence.model_copy(update={"approval": answer})


def _large_exit() -> Iterator[Specimen]:
    policy = make_limits(approval={"min_value_without_approval_usd": 0})
    moves = [withdraw("aave-usdx", 100_000 * DAI, is_whole=True)]
    yield allowed("exit-unasked", "A way out never waits for a human", moves, family="approval", policy=policy)
    asked = make_evidence([supply("aave-usdc", 50_000 * USDC)], policy=policy)
    yield forbidden(
        SUPPLY,
        "always-asked",
        "every entry waits for a human",
        evidence=asked,
        differs_in="evidence",
        expected=Expected.WAIT,
        family="approval",
    )


def _bindings() -> Iterator[Specimen]:
    """Terms that another plan, policy, snapshot or time would have."""
    evidence = SUPPLY.evidence
    other = make_evidence([supply("aave-usdc", 49_999 * USDC)])
    swapped = SWAP.evidence
    for sample, name, difference, code, changed, where in (
        (
            SUPPLY,
            "other-policy",
            "it was made under another policy",
            "policy_digest",
            replanned(evidence, policy_digest="0" * 64),
            "terms",
        ),
        (
            SUPPLY,
            "other-snapshot",
            "it was made of another snapshot",
            "snapshot_digest",
            replanned(evidence, snapshot_digest="0" * 64),
            "terms",
        ),
        (SUPPLY, "expired", "it expires this second", "plan_expired", replanned(evidence, expires_at=NOW), "terms"),
        (
            SUPPLY,
            "other-calls",
            "the plan lists other calls",
            "batch_mismatch",
            replanned(evidence, calls=other.plan.calls),
            "terms",
        ),
        (
            SUPPLY,
            "other-judged",
            "other calls were judged",
            "batch_mismatch",
            evidence.model_copy(update={"batch": other.batch}),
            "evidence",
        ),
        (
            SWAP,
            "minimum-unlisted",
            "the plan lists no minimum",
            "batch_mismatch",
            replanned(swapped, minimum_outs=()),
            "terms",
        ),
        (
            SWAP,
            "minimum-lower",
            "the plan lists a lower minimum",
            "batch_mismatch",
            replanned(swapped, minimum_outs=(1,)),
            "terms",
        ),
        (
            SUPPLY,
            "other-chain",
            "the plan names another chain",
            "chain_id",
            replanned(evidence, chain_id=1),
            "evidence",
        ),
        (
            SUPPLY,
            "other-account",
            "the plan names another account",
            "chain_id",
            replanned(evidence, account=STRANGER),
            "evidence",
        ),
    ):
        yield forbidden(sample, name, difference, code, evidence=changed, differs_in=where, family="binding")  # type: ignore[arg-type]
    for name, part in (("before", "before"), ("after", "after"), ("snapshot", "snapshot")):
        foreign = getattr(evidence, part).model_copy(update={"chain_id": 1})
        changed = evidence.model_copy(update={part: foreign})
        more = ("snapshot_digest",) if part == "snapshot" else ()
        difference = f"the {part} is of another chain"
        yield forbidden(
            SUPPLY,
            f"{name}-of-chain-1",
            difference,
            "chain_id",
            *more,
            evidence=changed,
            differs_in="evidence",
            family="binding",
        )
    yield from _mixed_blocks()
    foreign = simulated(evidence, chain_id=1)
    yield forbidden(
        SUPPLY,
        "simulated-on-chain-1",
        "it was simulated on another chain",
        "chain_id",
        evidence=foreign,
        differs_in="evidence",
        family="binding",
    )


def _mixed_blocks() -> Iterator[Specimen]:
    """One part was read of another block or fork than the rest."""
    evidence = SUPPLY.evidence
    earlier = evidence.before.model_copy(update={"block_number": SNAPSHOT.block_number - 1})
    rates = tuple(rate.model_copy(update={"block_number": rate.block_number + 1}) for rate in SNAPSHOT.rates)
    later = make_evidence([supply("aave-usdc", 50_000 * USDC)], snapshot=SNAPSHOT.model_copy(update={"rates": rates}))
    for name, difference, changed in (
        (
            "before-of-another-block",
            "the book before is of an earlier block",
            evidence.model_copy(update={"before": earlier}),
        ),
        ("rates-of-a-later-block", "the rates are of a later block", later),
        ("simulated-on-a-fork", "the simulation's block has another hash", simulated(evidence, block_hash=FORK)),
    ):
        yield forbidden(
            SUPPLY, name, difference, "block_mismatch", evidence=changed, differs_in="evidence", family="binding"
        )


def _late_exits() -> Iterator[Specimen]:
    """Age does not close the way out; sender and signer refuse an expired envelope by themselves."""
    late = EXIT.evidence.model_copy(update={"now": NOW + timedelta(days=30), "head_block_number": 10**6})
    yield _again(EXIT, "exit-late", "A way out judged a month later", late, "freshness")
    blind = make_evidence(
        [withdraw("aave-usdx", 100_000 * DAI, is_whole=True)],
        snapshot=EXIT.evidence.snapshot.model_copy(update={"prices": (), "rates": ()}),
    )
    yield _again(EXIT, "exit-blind", "A way out without any price or rate", blind, "freshness")
    poor = EXIT.evidence.model_copy(
        update={
            "budget": EXIT.evidence.budget.model_copy(update={"is_intact": False, "runs_hour_count": 10**6}),
            "economics": None,
            "scores": (),
            "risk_after": None,
        }
    )
    yield _again(EXIT, "exit-unmeasured", "A way out without ledger, economics, scores or risk", poor, "budgets")


def specimens() -> tuple[Specimen, ...]:
    return (*_states(), *_approvals(), *_large_exit(), *_bindings(), *_late_exits())

"""The certificate that a signer asks for: it names one batch, one simulation and the verdict that passed them."""

from __future__ import annotations

from domain.errors import InvariantBroken
from domain.verdict import Certificate, Evidence, Verdict
from guards.soundness import read_again


def issue_certificate(verdict: Verdict, evidence: Evidence) -> Certificate:
    """Raises InvariantBroken for a verdict that denies, waits for a human or is about another batch."""
    judged = read_again(evidence)
    digest = judged.plan.batch_digest()
    if not verdict.is_pass:
        codes = sorted({denial.code for denial in verdict.denials})
        raise InvariantBroken(f"batch {digest} is denied by {codes} and gets no certificate")
    if verdict.needs_approval:
        raise InvariantBroken(f"batch {digest} waits for an approval and gets no certificate")
    if verdict.batch_digest != digest:
        raise InvariantBroken(f"verdict about batch {verdict.batch_digest} does not certify batch {digest}")
    return Certificate(
        batch_digest=digest,
        simulation_digest=judged.simulation.digest(),
        verdict_digest=verdict.digest(),
        account=judged.catalog.account,
        expires_at=judged.plan.expires_at,
    )

"""Risk, economics and protocols: what is measured lies exactly at the limit, and a hair beyond it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from domain.risk import Estimate, ProtocolScore, RiskReport, TailRisk
from domain.stress import StressFamily
from domain.verdict import Economics
from tests.builders_evidence import DAI, LIMITS, USDC
from tests.corpus.moves import deposit, supply, withdraw
from tests.corpus.samples import SUPPLY
from tests.corpus.scene import SNAPSHOT, make_evidence, stress_of
from tests.corpus.specimen import Difference, Specimen, allowed, forbidden

ENTRY: Final = [supply("aave-usdc", 50_000 * USDC)]
REPORT: Final = make_evidence(ENTRY).risk_after or RiskReport.model_validate({})
HAIR: Final = 1e-9
FEED: Final = "0x" + "5e" * 20


def _estimate(upper: float, *, sample_size: int = 90, confidence: float = 0.9) -> Estimate:
    return Estimate(
        value=upper * 0.2, lower=0.0, upper=upper, confidence=confidence, sample_size=sample_size, method="historical"
    )


def _tails(level: float, **measures: Estimate) -> tuple[TailRisk, ...]:
    """The report's tails with one measure replaced."""
    return tuple(tail.model_copy(update=measures if tail.level == level else {}) for tail in REPORT.tails)


def _reported(**changes: object) -> RiskReport:
    return REPORT.model_copy(update=changes)


def judged_pair(
    family: str, code: str, words: str, at: Mapping[str, Any], over: Mapping[str, Any], *, name: str = ""
) -> Iterator[Specimen]:
    """One supply under evidence at the limit, and the same under evidence a hair beyond."""
    id_ = (name or code).replace("_", "-")
    sample = allowed(f"judged-{id_}", f"Supplies 50,000 USDC with {words}", ENTRY, family=family, **at)
    yield sample
    beyond = make_evidence(ENTRY, **over)
    where: Difference = "terms" if "fee_cap_wei" in over else "evidence"
    yield forbidden(sample, "beyond", "a hair beyond the limit", code, evidence=beyond, differs_in=where)


def _tail_risks() -> Iterator[Specimen]:
    for name, level, part, limit in (
        ("var_95", 0.95, "var", 0.02),
        ("var_99", 0.99, "var", 0.03),
        ("cvar_95", 0.95, "cvar", 0.03),
        ("cvar_99", 0.99, "cvar", 0.05),
    ):
        at = _reported(tails=_tails(level, **{part: _estimate(limit)}))
        over = _reported(tails=_tails(level, **{part: _estimate(limit + HAIR)}))
        words = f"the upper end of {name.replace('_', ' ')} at its limit"
        yield from judged_pair("risk", name, words, {"risk_after": at}, {"risk_after": over})
    for name, part, limit in (("volatility", "volatility", 0.25), ("drawdown", "max_drawdown", 0.15)):
        at, over = (_reported(**{part: _estimate(value)}) for value in (limit, limit + HAIR))
        yield from judged_pair(
            "risk", name, f"the upper end of {name} at its limit", {"risk_after": at}, {"risk_after": over}
        )


def _samples() -> Iterator[Specimen]:
    at, over = (_reported(volatility=_estimate(0.05, sample_size=size)) for size in (60, 59))
    words = "a volatility of sixty observations"
    yield from judged_pair("risk", "sample_too_small", words, {"risk_after": at}, {"risk_after": over})
    at, over = (_reported(volatility=_estimate(0.05, confidence=share)) for share in (0.9, 0.899))
    words = "a volatility whose interval covers nine tenths"
    yield from judged_pair("risk", "interval_confidence", words, {"risk_after": at}, {"risk_after": over})


def _stresses() -> Iterator[Specimen]:
    after = make_evidence(ENTRY).after
    for family in StressFamily:
        limit = float(str(LIMITS["stress"][f"max_{family}_loss_share"]))
        at, over = (_reported(stress=stress_of(after, **{family.value: loss})) for loss in (limit, limit + HAIR))
        words = f"a stress loss at the limit of {family.value}"
        name = f"stress_{family.value}"
        yield from judged_pair("risk", "stress_loss", words, {"risk_after": at}, {"risk_after": over}, name=name)


def _unmeasured() -> Iterator[Specimen]:
    """Unknown is not small."""
    others = tuple(tail for tail in REPORT.tails if tail.level != 0.99)
    monthly = tuple(tail.model_copy(update={"horizon_days": 30}) for tail in REPORT.tails)
    tails = ("var_95", "cvar_95", "var_99", "cvar_99")
    unknown = ("sample_too_small", "interval_confidence")
    for name, difference, report, codes in (
        ("no-report", "there is no risk report", None, ("risk_missing",)),
        ("no-tail", "the 99 % tail was not measured", _reported(tails=others), (*tails[2:], *unknown)),
        ("other-horizon", "the tails are of thirty days", _reported(tails=monthly), (*tails, *unknown)),
        ("no-volatility", "volatility was not measured", _reported(volatility=None), ("volatility", *unknown)),
        ("no-drawdown", "drawdown was not measured", _reported(max_drawdown=None), ("drawdown", *unknown)),
        ("no-stress", "no scenario was run", _reported(stress=()), ("stress_loss",)),
        ("one-scenario-less", "one scenario was left out", _reported(stress=REPORT.stress[1:]), ("stress_loss",)),
    ):
        changed = SUPPLY.evidence.model_copy(update={"risk_after": report})
        yield forbidden(SUPPLY, name, difference, *codes, evidence=changed, differs_in="evidence", family="risk")


def _economics() -> Iterator[Specimen]:
    def gains(gain: float | None, cost: float | None = 20.0, days: float | None = 5.0) -> dict[str, object]:
        return {"economics": Economics(lower_gain_usd=gain, cost_usd=cost, break_even_days=days)}

    yield from judged_pair("economics", "net_gain", "five dollars of net gain", gains(25.0), gains(24.99))
    yield from judged_pair(
        "economics", "break_even", "break-even in thirty days", gains(120.0, 20.0, 30.0), gains(120.0, 20.0, 30.01)
    )
    fees = ({"fee_cap_wei": 28_571_428_571_428_571 + extra} for extra in (0, 1))
    yield from judged_pair("economics", "gas_cost", "a fee cap of a hundred dollars, rounded down", *fees)
    needs = ({"gas_used": 952_380 + extra} for extra in (0, 1))
    yield from judged_pair("economics", "fee_cap", "gas that just fits the fee cap", *needs)
    at, over = (SNAPSHOT.model_copy(update={"base_fee_wei": 199 * 10**9 + extra}) for extra in (0, 1))
    yield from judged_pair(
        "economics", "gas_price", "gas at its highest price",
        {"snapshot": at, "gas_used": 90_000}, {"snapshot": over, "gas_used": 90_000},
    )  # fmt: skip
    for name, difference, parts, codes in (
        ("no-gain", "the gain is unknown", gains(None), ("net_gain",)),
        ("no-cost", "the cost is unknown", gains(120.0, None), ("net_gain",)),
        ("never-pays", "it never breaks even", gains(120.0, 20.0, None), ("break_even",)),
        ("no-economics", "nothing was computed", {"economics": None}, ("net_gain", "break_even")),
    ):
        changed = SUPPLY.evidence.model_copy(update=parts)
        yield forbidden(SUPPLY, name, difference, *codes, evidence=changed, differs_in="evidence", family="economics")


def _protocols() -> Iterator[Specimen]:
    def scored(points: float, *, incident: bool = False) -> dict[str, object]:
        return {"scores": (ProtocolScore(protocol="aave-v3", score=points, has_open_incident=incident, reasons=()),)}

    yield from judged_pair("protocol", "protocol_score", "a score of fifty", scored(50), scored(49.999))
    yield from judged_pair("protocol", "open_incident", "no incident", scored(80), scored(80, incident=True))
    other = [deposit("vault-slashable-usdc", USDC)]
    known = make_evidence(other).scores
    sample = allowed("judged-scored", "Deposits into a scored vault", other, family="protocol", scores=known)
    yield sample
    unknown = make_evidence(other, scores=tuple(s for s in known if s.protocol != "slashable-vault"))
    codes = ("protocol_score", "open_incident")
    yield forbidden(sample, "unscored", "nobody scored it", *codes, evidence=unknown, differs_in="evidence")


def _exit_fees() -> Iterator[Specimen]:
    """Thirty times 400,000 gas at 21 gwei."""
    out, most = [withdraw("aave-usdx", 100_000 * DAI, is_whole=True)], 30 * 400_000 * 21 * 10**9
    sentence = "Leaves USDX in Aave at thirty times the fee that it was seen to need"
    sample = allowed("judged-exit-fee-cap", sentence, out, family="simulation", fee_cap_wei=most)
    yield sample
    beyond = make_evidence(out, fee_cap_wei=most + 1)
    difference = "its fee cap is one wei higher"
    yield forbidden(sample, "beyond", difference, "exit_fee_cap", evidence=beyond, differs_in="terms")


def specimens() -> tuple[Specimen, ...]:
    return (*_tail_risks(), *_samples(), *_stresses(), *_unmeasured(), *_economics(), *_protocols(), *_exit_fees())

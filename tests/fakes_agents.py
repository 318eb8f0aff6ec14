"""Fakes around agents: an artifact store in memory, a scripted model, and sample candidates and risk reports."""

from __future__ import annotations

import json
from collections.abc import Sequence

from domain.digest import sha256_hex
from domain.errors import ModelUnavailable
from domain.market import Forecast
from domain.plan import Candidate, CandidateKind, Weight
from domain.ports import Message, ModelReply, ToolOffer, ToolRequest
from domain.risk import Estimate, RiskReport, StressLoss, TailRisk
from domain.run import AgentName, RunRecord
from domain.stress import StressFamily

Script = ModelReply | ModelUnavailable


class MemoryArtifacts:
    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    def put(self, content: bytes) -> str:
        digest = sha256_hex(content)
        self.contents[digest] = content
        return digest

    def get(self, digest: str) -> bytes:
        return self.contents[digest]


class NoIncidents:
    def open_among(self, protocols: frozenset[str]) -> frozenset[str]:
        return frozenset()


class ForgetfulRecall:
    """Remembers nothing: the search by words has to do."""

    def nearest(self, text: str, records: Sequence[RunRecord], *, limit: int) -> Sequence[str]:
        return ()


class ScriptedModel:
    """Replies in order; remembers what it was asked. Runs out loudly."""

    def __init__(self, *script: Script) -> None:
        self._script = list(script)
        self.asked: list[tuple[tuple[Message, ...], tuple[ToolOffer, ...]]] = []

    @property
    def name(self) -> str:
        return "scripted-1"

    def complete(self, agent: AgentName, messages: Sequence[Message], tools: Sequence[ToolOffer]) -> ModelReply:
        self.asked.append((tuple(messages), tuple(tools)))
        answer = self._script.pop(0)
        if isinstance(answer, ModelUnavailable):
            raise answer
        return answer


def reply(*requests: ToolRequest, text: str = "", input_tokens: int = 0) -> ModelReply:
    return ModelReply(model="scripted-1", text=text, tool_requests=requests, input_tokens=input_tokens, output_tokens=5)


def request(tool: str, arguments: object = None, *, raw: str | None = None) -> ToolRequest:
    text = json.dumps({} if arguments is None else arguments) if raw is None else raw
    return ToolRequest(call_id="call1", tool=tool, arguments=text)


def make_candidate(kind: CandidateKind = CandidateKind.OPTIMAL, **changes: object) -> Candidate:
    fields: dict[str, object] = {
        "id": kind.value.replace("_", "-"),
        "kind": kind,
        "weights": (Weight(strategy="aave-usdc", weight_bps=3000),),
        "expected_apr": 0.05,
        "lower_apr": 0.04,
        "turnover": 0.3,
        "cost_usd": 20.0,
        "gain_usd": 1500.0,
        "lower_gain_usd": 900.0,
        "break_even_days": 0.7,
        "binding": (),
    }
    return Candidate.model_validate({**fields, **changes})


def make_hold() -> Candidate:
    still = {"turnover": 0.0, "cost_usd": 0.0, "gain_usd": 0.0, "lower_gain_usd": 0.0, "break_even_days": 0.0}
    return make_candidate(CandidateKind.HOLD, **still)


def make_forecast(strategy: str = "aave-usdc") -> Forecast:
    return Forecast(
        strategy=strategy,
        horizon_days=30,
        expected_apr=0.05,
        lower_apr=0.04,
        upper_apr=0.06,
        confidence=0.8,
        sample_days=120,
        model="ewma",
    )


def make_estimate(value: float) -> Estimate:
    return Estimate(value=value, lower=value, upper=value, confidence=0.9, sample_size=120, method="historical")


def make_report(subject: str, *, cvar_99: float = 0.02, stress: float = 0.2) -> RiskReport:
    return RiskReport(
        subject=subject,
        net_asset_value_usd=1_000_000.0,
        tails=(TailRisk(level=0.99, horizon_days=1, var=make_estimate(cvar_99 / 2), cvar=make_estimate(cvar_99)),),
        volatility=make_estimate(0.05),
        max_drawdown=make_estimate(0.03),
        stress=(StressLoss(family=StressFamily.EXPLOIT, subject="aave-v3", loss=stress),),
        herfindahl=0.2,
    )

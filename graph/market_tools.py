"""The chat's reads over markets, protocols and shocks, and how agents are shown them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from graph.agent_tools import NoArguments
from graph.breakers import read_breakers
from graph.briefing import Fact
from graph.dependencies import Dependencies
from graph.market_briefing import brief_assessment, brief_breaking, brief_market, brief_replay
from graph.toolbox import RiskClass, ToolSpec
from graph.what_breaks import Standing, find_what_breaks
from tools.markets.market_analyzer import analyze_markets
from tools.markets.protocol_assessment import assess_protocols
from tools.markets.protocol_readings import read_protocols
from tools.shocks.stress_replay import replay_episodes

HISTORY_DAYS: Final = 120
MAX_SHOWN: Final = 16


def market_reads(dependencies: Dependencies) -> tuple[ToolSpec[NoArguments], ...]:
    """What the chat may read; two of them compute what would be."""
    return (
        _market_state(dependencies),
        _protocol_scores(dependencies),
        _historical_replays(dependencies),
        _reverse_stress(dependencies),
    )


def _market_state(dependencies: Dependencies) -> ToolSpec[NoArguments]:
    def run(_: NoArguments) -> Fact:
        snapshot = dependencies.market.snapshot()
        history = dependencies.observations.history(days=HISTORY_DAYS, until=snapshot.block_time)
        states = analyze_markets(snapshot, history, dependencies.catalog)
        ordered = sorted(states, key=lambda state: -len(state.warnings))
        shown: Fact = {state.strategy: brief_market(state) for state in ordered[:MAX_SHOWN]}
        return {"strategies": shown, "not_shown": len(ordered) - len(shown)}

    return _read("market_state", "Trend, regime, pool, peg and warnings of every strategy now.", run)


def _protocol_scores(dependencies: Dependencies) -> ToolSpec[NoArguments]:
    def run(_: NoArguments) -> Fact:
        catalog, snapshot = dependencies.catalog, dependencies.market.snapshot()
        history = dependencies.observations.history(days=HISTORY_DAYS, until=snapshot.block_time)
        readings = read_protocols(catalog, snapshot, history, incidents=dependencies.open_incidents())
        found = assess_protocols(readings, dependencies.risk_facts)
        ordered = sorted(found, key=lambda assessment: assessment.composite.lower)
        shown: Fact = {assessment.protocol: brief_assessment(assessment) for assessment in ordered[:MAX_SHOWN]}
        return {"protocols": shown, "not_shown": len(ordered) - len(shown)}

    return _read("protocol_scores", "Score of every protocol with its bounds and the reasons for lost points.", run)


def _historical_replays(dependencies: Dependencies) -> ToolSpec[NoArguments]:
    def run(_: NoArguments) -> list[Fact]:
        snapshot = dependencies.market.snapshot()
        portfolio = dependencies.market.portfolio(snapshot.block_number)
        losses = replay_episodes(portfolio, snapshot, dependencies.catalog, dependencies.risk_facts)
        return [brief_replay(loss) for loss in losses]

    return ToolSpec(
        name="historical_replays",
        description="What five recorded crashes, 2020 to 2023, would cost the portfolio now.",
        risk_class=RiskClass.SIMULATE,
        arguments=NoArguments,
        run=run,
    )


def _reverse_stress(dependencies: Dependencies) -> ToolSpec[NoArguments]:
    def run(_: NoArguments) -> Fact:
        return brief_breaking(find_what_breaks(_standing(dependencies)))

    return ToolSpec(
        name="reverse_stress",
        description="The smallest fall of each kind of token held that trips a drawdown breaker.",
        risk_class=RiskClass.SIMULATE,
        arguments=NoArguments,
        run=run,
    )


def _standing(dependencies: Dependencies) -> Standing:
    snapshot = dependencies.market.snapshot()
    return Standing(
        portfolio=dependencies.market.portfolio(snapshot.block_number),
        snapshot=snapshot,
        catalog=dependencies.catalog,
        facts=dependencies.risk_facts,
        policy=dependencies.policy,
        readings=read_breakers(dependencies),
    )


def _read(name: str, description: str, run: Callable[[NoArguments], Any]) -> ToolSpec[NoArguments]:
    return ToolSpec(name=name, description=description, risk_class=RiskClass.READ, arguments=NoArguments, run=run)

"""The offline policy's words for what it read of markets, protocol scores and shocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Said = tuple[str, list[str]]


def _say_market(result: Mapping[str, Any]) -> Said:
    warned = {name: state["warnings"] for name, state in result["strategies"].items() if state["warnings"]}
    calm = len(result["strategies"]) + result["not_shown"] - len(warned)
    lines = [f"{name}: {', '.join(warnings)}" for name, warnings in warned.items()]
    return "; ".join([*lines, f"{calm} strategies without a warning"]) + ".", []


def _say_scores(result: Mapping[str, Any]) -> Said:
    lines = [
        f"{name} {'unknown' if found['score'] is None else found['score']} "
        f"(between {found['lower']} and {found['upper']}), {found['reasons'][0]}"
        for name, found in result["protocols"].items()
    ]
    return f"protocol scores of 100, worst bound first: {'; '.join(lines)}.", []


def _say_replays(result: Sequence[Mapping[str, Any]]) -> Said:
    if not result:
        return "the portfolio has no value to replay.", []
    lines = [f"{loss['episode']} {loss['loss']:.1%}" for loss in result]
    return f"held through recorded crashes the portfolio would have lost: {', '.join(lines)}.", []


def _say_breaking(result: Mapping[str, Any]) -> Said:
    lines = [
        f"{name} by {found['smallest_fall']:.1%} ({', '.join(found['trips'])})"
        for name, found in result.items()
        if found["smallest_fall"] is not None
    ]
    if not lines:
        return "no fall of any kind of token held would trip a drawdown breaker.", []
    return f"smallest falls that trip a drawdown breaker: {'; '.join(lines)}.", []


MARKET_SENTENCES: Final[Mapping[str, Callable[[Any], Said]]] = {
    "market_state": _say_market,
    "protocol_scores": _say_scores,
    "historical_replays": _say_replays,
    "reverse_stress": _say_breaking,
}

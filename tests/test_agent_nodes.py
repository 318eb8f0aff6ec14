"""The agent nodes over real tools: models choose among what was computed, and static rules answer when they cannot."""

from __future__ import annotations

import pytest

from domain.errors import InvariantBroken, ModelUnavailable
from domain.plan import CandidateKind, MoveKind
from domain.run import RiskEvent
from domain.units import value_usd
from graph.models import make_model
from graph.nodes.optimizer import optimizer
from graph.nodes.rebalancer import HELD_BY_AGENT, HELD_BY_RULE, NOTHING_TO_MOVE, rebalancer
from graph.nodes.risk import risk
from graph.state import State
from tests.agent_run import AgentRun, make_wide_catalog, weights_of
from tests.builders import make_policy, make_price, make_snapshot
from tests.fakes_agents import Script, ScriptedModel, reply, request
from tests.openai_server import Behaviour, OpenAIServer

DOWN = ModelUnavailable("model scripted-1 did not answer")
PEG_BREAK = RiskEvent(kind="peg_break", subject="aave-usdx", observed="usdx at 0.93 USD", limit="200 bps from 1 USD")
NO_GAIN_IS_ENOUGH = make_policy(economics={"min_net_gain_usd": 10_000_000})


def choose(candidate: str, *excluded: str) -> Script:
    arguments = {"candidate_id": candidate, "excluded_strategies": excluded, "reason": "nets most"}
    return reply(request("choose_candidate", arguments))


def judge(action: str, candidate: str) -> Script:
    return reply(request("judge", {"action": action, "candidate_id": candidate, "reason": "tail risk"}))


def leave_by(candidate: str) -> Script:
    return reply(request("choose_mitigation", {"candidate_id": candidate, "reason": "cheapest"}))


def confirm(action: str) -> Script:
    return reply(request("confirm_plan", {"action": action, "reason": "costs are low"}))


def walk(run: AgentRun, *nodes: object) -> State:
    for node in nodes:
        run.state.update(node(run.state, run.dependencies))  # type: ignore[operator]  # nodes of one signature
    return run.state


def mitigation(*script: Script) -> AgentRun:
    prices = [make_price(token, "0.93" if token == "usdx" else price, source=source)
              for token, price in {"usdc": "1", "dai": "1", "usdx": "1", "weth": "3500", "wbtc": "60000"}.items()
              for source in ("oracle", "uniswap")]  # fmt: skip
    return AgentRun(model=ScriptedModel(*script), events=(PEG_BREAK,), snapshot=make_snapshot(prices=tuple(prices)))


def test_offline_policy_chooses_what_the_deterministic_optimizer_would() -> None:
    selection = walk(AgentRun(), optimizer)["selection"]

    assert selection.chosen == selection.optimizer_alone == "optimal"
    assert selection.trace.decision.reason.startswith("offline policy: optimal nets")


def test_nothing_worth_moving_costs_no_model_call() -> None:
    selection = walk(AgentRun(model=ScriptedModel(), policy=NO_GAIN_IS_ENOUGH), optimizer)["selection"]

    assert (selection.chosen, selection.trace.model_calls) == ("hold", ())
    assert not selection.trace.decision.is_by_rule


def test_optimizer_model_that_is_down_means_hold_by_rule() -> None:
    selection = walk(AgentRun(model=ScriptedModel(DOWN)), optimizer)["selection"]

    assert (selection.chosen, selection.optimizer_alone) == ("hold", "optimal")
    assert selection.trace.decision.is_by_rule
    assert [call.outcome for call in selection.trace.model_calls] == ["unavailable"]


def test_turnover_that_the_day_has_used_up_is_not_proposed_again() -> None:
    """The demo's policy allows 80 % a day; 776,000 of 970,000 USD are used."""
    fresh, used = AgentRun(), AgentRun(turnover_day_usd="776000")

    chosen = [walk(run, optimizer)["selection"].chosen for run in (fresh, used)]

    assert chosen == ["optimal", "hold"]


def test_excluded_strategy_leaves_the_same_kind_of_candidate_without_it() -> None:
    free = walk(AgentRun(model=ScriptedModel(choose("optimal"))), optimizer)["selection"]
    best = max(weights_of(free.candidates[1]).items(), key=lambda item: item[1])[0]

    tightened = walk(AgentRun(model=ScriptedModel(choose("optimal", best))), optimizer)["selection"]

    chosen = next(candidate for candidate in tightened.candidates if candidate.id == tightened.chosen)
    assert chosen.kind is CandidateKind.OPTIMAL
    assert best not in weights_of(chosen)
    assert tightened.trace.decision.excluded == (best,)


def test_model_may_hold_where_the_optimizer_would_move() -> None:
    selection = walk(AgentRun(model=ScriptedModel(choose("hold"))), optimizer)["selection"]

    assert (selection.chosen, selection.optimizer_alone) == ("hold", "optimal")


def test_risk_accepts_what_breaches_nothing() -> None:
    assessment = walk(AgentRun(), optimizer, risk)["assessment"]

    assert assessment.chosen == "optimal"
    assert [report.subject for report in assessment.reports] == [c.id for c in assessment.candidates]


def test_risk_vetoes_a_choice_above_the_policy_when_nothing_safer_is_offered() -> None:
    strict = make_policy(stress={"max_exploit_loss_share": "0.01"})
    run = AgentRun(policy=strict)
    run.state["selection"] = walk(AgentRun(), optimizer)["selection"]

    assessment = walk(run, risk)["assessment"]

    assert (assessment.chosen, assessment.trace.decision.choice) == (None, "veto")


def test_riskier_choice_is_asked_again_and_then_held_by_rule() -> None:
    """Diversified carries more stress loss than optimal here."""
    model = ScriptedModel(choose("optimal"), judge("safer", "diversified"), judge("safer", "diversified"))

    assessment = walk(AgentRun(model=model), optimizer, risk)["assessment"]

    assert assessment.chosen == "hold"
    assert [call.outcome for call in assessment.trace.model_calls] == ["malformed", "malformed"]


def test_risk_model_that_is_down_means_hold_by_rule() -> None:
    assessment = walk(AgentRun(model=ScriptedModel(choose("optimal"), DOWN)), optimizer, risk)["assessment"]

    assert (assessment.chosen, assessment.trace.decision.is_by_rule) == ("hold", True)


def test_choice_that_is_no_candidate_halts() -> None:
    run = AgentRun()
    selection = walk(run, optimizer)["selection"]
    run.state["selection"] = selection.model_copy(update={"chosen": "all-in"})

    with pytest.raises(InvariantBroken, match="no candidate"):
        risk(run.state, run.dependencies)


def test_confirmed_plan_carries_the_bytes_and_floors_of_its_moves() -> None:
    proposal = walk(AgentRun(), optimizer, risk, rebalancer)["proposal"]

    assert proposal.plan is not None
    assert proposal.plan.candidate == "optimal"
    assert len(proposal.plan.calls) >= 2
    assert all(move.minimum_out > 0 for move in proposal.plan.moves if move.kind is MoveKind.SWAP)


def test_whole_decision_takes_three_calls_in_the_common_case() -> None:
    state = walk(AgentRun(), optimizer, risk, rebalancer)
    traces = (state["selection"].trace, state["assessment"].trace, state["proposal"].trace)

    assert [len(trace.model_calls) for trace in traces if trace] == [1, 1, 1]


@pytest.mark.parametrize(
    ("answer", "reason", "by_rule"), [(confirm("hold"), HELD_BY_AGENT, False), (DOWN, HELD_BY_RULE, True)]
)
def test_plan_that_is_not_confirmed_is_held(answer: Script, reason: str, by_rule: bool) -> None:
    model = ScriptedModel(choose("optimal"), judge("accept", "optimal"), answer)

    proposal = walk(AgentRun(model=model), optimizer, risk, rebalancer)["proposal"]

    assert (proposal.plan, proposal.hold_reason) == (None, reason)
    assert proposal.trace is not None
    assert proposal.trace.decision.is_by_rule is by_rule


def test_costs_at_fresh_quotes_are_what_the_economics_state() -> None:
    cheap, dear = AgentRun(), AgentRun()
    dear.market.loss_bps = 25

    costs = [walk(run, optimizer, risk, rebalancer)["proposal"].economics for run in (cheap, dear)]

    assert costs[0] is not None
    assert costs[1] is not None
    assert (costs[1].cost_usd or 0) > (costs[0].cost_usd or 0) + 200


def test_fee_cap_stays_within_the_policy_s_gas_cost() -> None:
    policy = make_policy(economics={"max_gas_cost_usd": 10})
    run = AgentRun(policy=policy)
    run.state["selection"] = walk(AgentRun(), optimizer)["selection"]

    plan = walk(run, risk, rebalancer)["proposal"].plan

    assert plan is not None
    assert (
        value_usd(plan.fee_cap_wei, decimals=18, price_usd=run.market.snapshot().prices_of("weth")[0].price_usd) <= 10
    )


def test_mitigation_takes_the_way_out_that_the_agent_chose() -> None:
    state = walk(mitigation(leave_by("exit")), risk, rebalancer)
    plan = state["proposal"].plan

    assert state["assessment"].chosen == "exit"
    assert plan is not None
    assert [(move.kind, move.strategy, move.is_whole) for move in plan.moves] == [
        (MoveKind.WITHDRAW, "aave-usdx", True)
    ]


def test_mitigation_with_the_model_down_takes_the_policy_s_default() -> None:
    state = walk(mitigation(DOWN), risk, rebalancer)

    assert state["assessment"].chosen == "exit-to-reserve"
    assert state["assessment"].trace.decision.is_by_rule
    assert state["proposal"].plan is not None


def test_mitigation_plan_asks_no_model_again() -> None:
    proposal = walk(mitigation(leave_by("exit-to-reserve")), risk, rebalancer)["proposal"]

    assert (proposal.trace, proposal.economics) == (None, None)
    assert proposal.plan is not None


def test_doing_nothing_is_not_offered_in_a_mitigation() -> None:
    state = walk(mitigation(leave_by("hold"), leave_by("hold")), risk)

    assert state["assessment"].chosen == "exit-to-reserve"


def test_exit_without_a_venue_that_pays_still_leaves_into_its_own_token() -> None:
    run = mitigation(leave_by("exit-to-reserve"))
    run.market.is_dry = True

    plan = walk(run, risk, rebalancer)["proposal"].plan

    assert plan is not None
    assert [move.kind for move in plan.moves] == [MoveKind.WITHDRAW]


def test_position_that_cannot_leave_is_held_without_asking() -> None:
    rates = tuple(rate.model_copy(update={"is_paused": rate.strategy == "aave-usdx"}) for rate in make_snapshot().rates)
    event = RiskEvent(kind="paused", subject="aave-usdx", observed="paused", limit="open")
    run = AgentRun(model=ScriptedModel(), events=(event,), snapshot=make_snapshot(rates=rates))

    assessment = walk(run, risk)["assessment"]

    assert (assessment.chosen, assessment.trace.model_calls) == ("hold", ())


def test_exit_s_fee_cap_is_not_bounded_by_economics() -> None:
    policy = make_policy(economics={"max_gas_cost_usd": 0, "max_gas_price_wei": 0})
    run = AgentRun(events=(PEG_BREAK,), policy=policy)

    plan = walk(run, risk, rebalancer)["proposal"].plan

    assert plan is not None
    assert plan.fee_cap_wei > 10**15


def test_whole_decision_over_ten_strategies_stays_far_within_the_budget_on_the_wire() -> None:
    with OpenAIServer(Behaviour.GOOD) as server:
        model = make_model("test-model", base_url=server.base_url, api_key="sk-test", timeout_seconds=20.0)
        catalog = make_wide_catalog()

        state = walk(AgentRun(model=model, catalog=catalog), optimizer, risk, rebalancer)

    assert len(catalog.strategies) == 10
    assert state["proposal"].plan is not None
    assert server.calls == 3
    assert server.input_tokens <= 7_500


def test_every_agent_asked_twice_over_ten_strategies_still_fits_the_budget_on_the_wire() -> None:
    with OpenAIServer(*(Behaviour.MALFORMED, Behaviour.GOOD) * 3) as server:
        model = make_model("test-model", base_url=server.base_url, api_key="sk-test", timeout_seconds=20.0)

        state = walk(AgentRun(model=model, catalog=make_wide_catalog()), optimizer, risk, rebalancer)

    assert state["proposal"].plan is not None
    assert server.calls == 6
    assert server.input_tokens <= 10_000


def test_plan_of_dust_is_not_proposed() -> None:
    run = AgentRun()
    walk(run, optimizer, risk)
    assessment = run.state["assessment"]
    hold = next(candidate for candidate in assessment.candidates if candidate.kind is CandidateKind.HOLD)
    run.state["assessment"] = assessment.model_copy(update={"chosen": hold.id})

    assert walk(run, rebalancer)["proposal"].hold_reason == NOTHING_TO_MOVE

"""The whole machine on one screen: nodes, edges and the questions that choose between them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from langgraph.graph import END, START, StateGraph

from domain.run import Workflow
from graph.dependencies import Dependencies
from graph.nodes.approve import approve
from graph.nodes.execute import execute
from graph.nodes.guard import guard
from graph.nodes.observe import observe
from graph.nodes.optimizer import optimizer
from graph.nodes.rebalancer import rebalancer
from graph.nodes.record import record
from graph.nodes.risk import risk
from graph.nodes.router import router
from graph.nodes.simulate import simulate
from graph.state import Entry, State

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

RECURSION_LIMIT: Final = 25  # supersteps; the longest path has ten nodes

NODES: Final[tuple[Callable[..., State], ...]] = (
    router, observe, optimizer, risk, rebalancer, simulate, guard, approve, execute, record,
)  # fmt: skip


def build_graph(
    dependencies: Dependencies, checkpointer: BaseCheckpointSaver[str] | None = None
) -> CompiledStateGraph[State, None, Entry, State]:
    """Compile the machine around one portfolio's ports."""
    machine = StateGraph(State, input_schema=Entry)
    for node in NODES:
        machine.add_node(node.__name__, partial(node, dependencies=dependencies))
    machine.add_conditional_edges(START, entry)
    machine.add_edge("router", END)
    machine.add_conditional_edges("observe", after_observe)
    machine.add_conditional_edges("optimizer", after_optimizer)
    machine.add_conditional_edges("risk", after_risk)
    machine.add_conditional_edges("rebalancer", after_rebalancer)
    machine.add_edge("simulate", "guard")
    machine.add_conditional_edges("guard", after_guard)
    machine.add_conditional_edges("approve", after_approve)
    machine.add_edge("execute", "record")
    machine.add_edge("record", END)
    return machine.compile(checkpointer=checkpointer, name="autofi")


def entry(state: State) -> Literal["router", "observe"]:
    return "router" if "question" in state else "observe"


def after_observe(state: State) -> Literal["optimizer", "risk", "record"]:
    observation = state["observation"]
    if observation.workflow is Workflow.MITIGATE:
        return "risk" if observation.events else "record"
    return "record" if observation.is_unchanged else "optimizer"


def after_optimizer(state: State) -> Literal["risk", "record"]:
    return "record" if state["selection"].chosen == "hold" else "risk"


def after_risk(state: State) -> Literal["rebalancer", "record"]:
    return "record" if state["assessment"].chosen in {None, "hold"} else "rebalancer"


def after_rebalancer(state: State) -> Literal["simulate", "record"]:
    return "record" if state["proposal"].plan is None else "simulate"


def after_guard(state: State) -> Literal["approve", "execute", "record"]:
    """A denied plan ends the run; it never goes back for the model to look for a hole."""
    verdict = state["judgement"].verdict
    if not verdict.is_pass:
        return "record"
    return "approve" if verdict.needs_approval else "execute"


def after_approve(state: State) -> Literal["execute", "record"]:
    return "record" if state["approval"] is None else "execute"

"""Router: answers an operator's question from read-only tools, or proposes a workflow that a human may start."""

from __future__ import annotations

from typing import Final

from domain.errors import InvariantBroken, StaleOrDisputed, Unavailable
from domain.run import AgentDecision, AgentName, Workflow
from domain.stages import AgentTrace, ChatAnswer
from graph.agent import AgentTask, ask_agent
from graph.budget import remaining_budget
from graph.chat_tools import MAX_LISTED_RUNS, AnswerQuestion, ChatReply, ProposeRun, chat_toolbox, recent_runs
from graph.dependencies import Dependencies
from graph.recorder import Recorder
from graph.state import State
from prompts.load import load

MAX_QUESTION_CHARACTERS: Final = 2_000
MAX_READS: Final = 3
DOWN: Final = "The model did not answer. Runs, approvals and the audit trail work without it."


def router(state: State, dependencies: Dependencies) -> State:
    """Write `answer`. Nothing that a question or a model says can start, approve or move anything."""
    question = state["question"].strip()[:MAX_QUESTION_CHARACTERS]
    recorder = Recorder(dependencies.artifacts)
    try:
        reply = _ask(question, dependencies, recorder)
    except (Unavailable, StaleOrDisputed) as error:
        recorder.problem = "unavailable"
        trace = recorder.trace_rule(AgentName.ROUTER, choice="unknown", rule="a read failed")
        return State(answer=ChatAnswer(text=f"That cannot be read now: {error}", trace=trace))
    if reply is None:
        trace = recorder.trace_rule(AgentName.ROUTER, choice="unknown", rule="no answer")
        return State(answer=ChatAnswer(text=DOWN, trace=trace))
    return State(answer=_phrase(reply, dependencies, recorder))


def _ask(question: str, dependencies: Dependencies, recorder: Recorder) -> ChatReply | None:
    runs = recent_runs(dependencies)
    task = AgentTask(
        agent=AgentName.ROUTER,
        template=load("router"),
        facts={
            "now": dependencies.clock.now().isoformat(timespec="seconds"),
            "workflows": [workflow.value for workflow in Workflow],
            "runs": [record.request.run_id for record in runs[:MAX_LISTED_RUNS]],
        },
        question=question or "What can I ask?",
        max_reads=MAX_READS,
    )
    return ask_agent(
        task,
        toolbox=chat_toolbox(dependencies, runs),
        model=dependencies.model,
        budget=remaining_budget(AgentName.ROUTER),
        recorder=recorder,
    )


def _phrase(reply: ChatReply, dependencies: Dependencies, recorder: Recorder) -> ChatAnswer:
    if isinstance(reply, AnswerQuestion):
        trace = _trace("answer", f"answered with {len(reply.citations)} citations", dependencies, recorder)
        return ChatAnswer(text=reply.text, citations=reply.citations, trace=trace)
    if isinstance(reply, ProposeRun):
        trace = _trace(reply.workflow, reply.reason, dependencies, recorder)
        return ChatAnswer(text=reply.reason, proposed_workflow=Workflow(reply.workflow), trace=trace)
    raise InvariantBroken(f"the router cannot phrase a {type(reply).__name__}")


def _trace(choice: str, reason: str, dependencies: Dependencies, recorder: Recorder) -> AgentTrace:
    decision = AgentDecision(agent=AgentName.ROUTER, choice=choice, reason=reason, model=dependencies.model.name)
    return recorder.trace(decision)

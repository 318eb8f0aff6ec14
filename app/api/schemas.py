"""What clients send, and the few answers that are no domain value; unknown fields are refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints

from domain.change_history import Proposal
from domain.journal import JournalEntry
from domain.policy import Policy
from domain.run import RunStatus, Workflow
from domain.units import Digest, Slug, Value

MAX_QUESTION_CHARACTERS = 2_000
MAX_REASON_CHARACTERS = 200

Person = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.@-]{0,39}$")]
"""As AUTOFI_USER."""


class StartRun(Value):
    workflow: Workflow = Workflow.OPTIMIZE


class RunAccepted(Value):
    """The run is stored; it begins when the runs before it are done."""

    run_id: Slug
    status: RunStatus


class AnswerApproval(Value):
    decision: Literal["approve", "deny"]
    answered_by: Person


class HaltTrading(Value):
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_REASON_CHARACTERS)]
    by: Person


class ResumeTrading(HaltTrading):
    reducing: bool = False
    """Allow only what lowers risk."""


class OpenIncident(HaltTrading):
    protocol: Slug


class CloseIncident(HaltTrading):
    pass


class Question(Value):
    question: Annotated[str, Field(min_length=1, max_length=MAX_QUESTION_CHARACTERS)]


class CatalogInForce(Value):
    digest: Digest
    """Of what this server works with."""
    pending: Proposal | None
    """Another one that waits for an approval, or for its time."""
    problem: str | None
    """Why strategies.toml is not followed; what is in force stays."""
    restart: str | None
    """Why this server should be started again: another catalog came into force since."""


class PolicyInForce(Value):
    catalog: CatalogInForce
    digest: Digest
    policy: Policy
    pending: Proposal | None
    """A looser one that waits for an approval, or for its time."""
    problem: str | None
    """Why the file is not followed; what is in force stays."""


class AuditEntry(Value):
    """A link of the journal with what it covers; the body's canonical JSON has the entry's body_digest."""

    entry: JournalEntry
    body: JsonValue


class Liveness(Value):
    status: Literal["live"] = "live"


class Readiness(Value):
    """Without a word on why: this answer needs no token. `autofi doctor` says why."""

    status: Literal["ready", "not_ready"]
    is_chain_answering: bool
    is_store_answering: bool

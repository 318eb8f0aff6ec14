"""All adversarial cases, in the order of the families; each module is one family or two. Data, no behaviour."""

from __future__ import annotations

from itertools import chain

from tests.redteam.case import Case
from tests.redteam.cases import (
    approver,
    data,
    encoded,
    exhaustion,
    fake_message,
    handle,
    memory,
    override,
    salami,
    schema,
    token_metadata,
    tool_injection,
)

MODULES = (
    override,
    tool_injection,
    token_metadata,
    encoded,
    fake_message,
    memory,
    handle,
    schema,
    salami,
    data,
    approver,
    exhaustion,
)
CASES: tuple[Case, ...] = tuple(chain.from_iterable(module.CASES for module in MODULES))

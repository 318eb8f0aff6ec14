"""Checkpoints of the graph's state in their own SQLite file: only known types come back, and only if they are valid."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping
from enum import Enum
from inspect import isclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

import domain.market
import domain.plan
import domain.policy
import domain.portfolio
import domain.ports
import domain.risk
import domain.run
import domain.transaction
import domain.verdict
from domain.errors import StoreUnavailable
from domain.units import Value

if TYPE_CHECKING:
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    from langgraph.checkpoint.sqlite import SqliteSaver

BUSY_TIMEOUT_SECONDS: Final = 30
STRICT: Final = "LANGGRAPH_STRICT_MSGPACK"
_MODULES: Final = (
    domain.market,
    domain.plan,
    domain.policy,
    domain.portfolio,
    domain.ports,
    domain.risk,
    domain.run,
    domain.transaction,
    domain.verdict,
)


def open_checkpointer(path: Path) -> SqliteSaver:
    """A saver on its own connection; close it with `saver.conn.close()`.

    NORMAL instead of FULL: a power cut may cost the last checkpoints, never their order, and the execution journal
    (which is FULL) decides what was sent.
    """
    os.environ.setdefault(STRICT, "true")  # langgraph reads it when it is imported, to derive its own allowlist too
    from langgraph.checkpoint.sqlite import SqliteSaver

    try:
        if not path.exists():
            path.touch(mode=0o600)
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, check_same_thread=False)
        connection.execute("PRAGMA synchronous=NORMAL")
        saver = SqliteSaver(connection, serde=make_serializer())
        saver.setup()
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"checkpoint file {path} cannot be used: {error}; delete it to start afresh") from error
    return saver


def make_serializer() -> JsonPlusSerializer:
    """Domain values come back equal. An unknown or invalid one raises, where langgraph would rebuild it unchecked."""
    os.environ.setdefault(STRICT, "true")
    import ormsgpack
    from langgraph.checkpoint.serde.jsonplus import EXT_PYDANTIC_V2, JsonPlusSerializer

    types = state_types()
    lenient = JsonPlusSerializer(allowed_msgpack_modules=tuple(types))

    def revive(code: int, payload: bytes) -> Any:
        if code == EXT_PYDANTIC_V2:
            module, name, fields, _ = ormsgpack.unpackb(payload, ext_hook=revive, option=ormsgpack.OPT_NON_STR_KEYS)
            if module.startswith("domain."):
                return _revived(types, (module, name), fields)
        return lenient.loads_typed(("msgpack", ormsgpack.packb(ormsgpack.Ext(code, payload))))

    return JsonPlusSerializer(allowed_msgpack_modules=tuple(types), __unpack_ext_hook__=revive)


def state_types() -> Mapping[tuple[str, str], type]:
    """Every value and enumeration of the domain, under the key that langgraph writes."""
    found = (each for module in _MODULES for each in vars(module).values() if isclass(each))
    return {(each.__module__, each.__name__): each for each in _of_domain(found)}


def _of_domain(classes: Iterable[type]) -> Iterable[type]:
    return (each for each in classes if each.__module__.startswith("domain.") and issubclass(each, (Value, Enum)))


def _revived(types: Mapping[tuple[str, str], type], key: tuple[str, str], fields: object) -> Value:
    model = types.get(key)
    if model is None or not issubclass(model, Value):
        raise StoreUnavailable(f"a checkpoint holds {'.'.join(key)}, which the state does not carry")
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise StoreUnavailable(f"a checkpoint holds an invalid {key[1]}: {error.error_count()} fields") from error

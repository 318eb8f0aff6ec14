"""How state is written to a checkpoint and read back; imports langgraph, so memory.checkpoints loads it lazily."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from enum import Enum
from importlib import import_module
from inspect import isclass
from pkgutil import iter_modules
from typing import Any

import ormsgpack
from langgraph.checkpoint.serde.jsonplus import EXT_PYDANTIC_V2, JsonPlusSerializer
from pydantic import ValidationError

import domain
from domain.errors import StoreUnavailable
from domain.units import Value


class StrictSerializer(JsonPlusSerializer):
    """Domain values come back equal. An unknown or invalid one raises, where langgraph would rebuild it unchecked."""

    def __init__(self) -> None:
        self._types = state_types()
        allowed = tuple(self._types)
        super().__init__(allowed_msgpack_modules=allowed, __unpack_ext_hook__=self._revive)
        self._plain = JsonPlusSerializer(allowed_msgpack_modules=allowed)
        self._refusal = threading.local()  # msgpack swallows what its hook raises

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        self._refusal.text = None
        try:
            return super().loads_typed(data)
        except ValueError as error:
            raise StoreUnavailable(f"a checkpoint cannot be read back: {self._refusal.text or error}") from error

    def _revive(self, code: int, payload: bytes) -> Any:
        if code == EXT_PYDANTIC_V2:
            module, name, fields, _ = ormsgpack.unpackb(
                payload, ext_hook=self._revive, option=ormsgpack.OPT_NON_STR_KEYS
            )
            if module.startswith("domain."):
                return self._validated((module, name), fields)
        return self._plain.loads_typed(("msgpack", ormsgpack.packb(ormsgpack.Ext(code, payload))))

    def _validated(self, key: tuple[str, str], fields: object) -> Value:
        model = self._types.get(key)
        if model is None or not issubclass(model, Value):
            raise self._refused(f"it holds {'.'.join(key)}, which the state does not carry")
        try:
            return model.model_validate(fields)
        except ValidationError as error:
            raise self._refused(f"it holds an invalid {key[1]} ({error.error_count()} fields)") from error

    def _refused(self, problem: str) -> ValueError:
        self._refusal.text = problem
        return ValueError(problem)


def state_types() -> Mapping[tuple[str, str], type]:
    """Every value and enumeration of the domain, under the key that langgraph writes."""
    modules = [import_module(f"domain.{module.name}") for module in iter_modules(domain.__path__)]
    found = (each for module in modules for each in vars(module).values() if isclass(each))
    return {(each.__module__, each.__name__): each for each in found if _is_of_domain(each)}


def _is_of_domain(each: type) -> bool:
    return each.__module__.startswith("domain.") and issubclass(each, (Value, Enum))

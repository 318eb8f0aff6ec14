"""The model backends behind one setting: the offline policy, or any OpenAI-compatible endpoint."""

from __future__ import annotations

from typing import Final

from domain.errors import ConfigurationInvalid
from domain.ports import AgentModel
from graph.model_offline import OfflineModel
from graph.model_openai import OpenAIModel

OFFLINE: Final = "offline"
KEYLESS: Final = "none"  # local endpoints ask for no key, the client library insists on one


def make_model(
    name: str, *, base_url: str | None = None, api_key: str | None = None, timeout_seconds: float = 60.0
) -> AgentModel:
    """The backend of that name. Raises ConfigurationInvalid for a hosted model without a key."""
    if name == OFFLINE:
        return OfflineModel()
    if api_key is None and base_url is None:
        raise ConfigurationInvalid(
            f"model {name!r} needs OPENAI_API_KEY, or OPENAI_BASE_URL for an endpoint without a key; "
            f"model {OFFLINE!r} needs neither"
        )
    return OpenAIModel(name, base_url=base_url, api_key=api_key or KEYLESS, timeout_seconds=timeout_seconds)

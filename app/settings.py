"""Settings from environment and flags, policy and catalog from TOML: read once, refused with one clear error."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from domain.market import Catalog
    from domain.policy import Policy
    from domain.risk_facts import RiskFacts

CONFIG_DIRECTORY: Final = Path(__file__).parent.parent / "config"
DATABASE_FILE: Final = "autofi.db"
POLICY_FILE: Final = "policy.toml"
STRATEGIES_FILE: Final = "strategies.toml"
PROTOCOL_SCORES_FILE: Final = "protocol_scores.toml"
MAX_SHOWN: Final = 80
PREFIX: Final = "AUTOFI_"
KNOWN_ELSEWHERE: Final = ("DATA", "REQUIRE_SERVICES")
"""After the prefix: read by the tools around the product, not by the product."""


class Settings(BaseSettings):
    """Every knob outside the policy. Environment names are AUTOFI_<FIELD>, except OpenAI's own two."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, populate_by_name=True)

    home: Path = Field(default_factory=lambda: Path.home() / ".autofi")
    cache: Path = Field(default_factory=lambda: Path.home() / ".cache" / "autofi")
    mode: Literal["paper", "shadow", "live"] = "paper"
    live_confirmed: bool = False
    """The second of the two settings that live mode needs."""
    user: str = Field(default="operator", pattern=r"^[a-z][a-z0-9_.@-]{0,39}$")
    policy: Path | None = None
    """Default: policy.toml in home, where `autofi init` put a copy to edit."""
    strategies: Path | None = None
    """Default: strategies.toml in home, where `autofi init` wrote the account."""
    protocol_scores: Path | None = None
    """Default: protocol_scores.toml in home where there is one, else the one that ships."""
    database_url: str | None = None
    rpc_url: str | None = None
    keystore: Path | None = None
    keystore_passphrase: SecretStr | None = None
    model: str = "offline"
    """`offline`, or a model name at an OpenAI-compatible endpoint."""
    model_timeout_seconds: float = Field(default=30.0, gt=0, le=600)
    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(default=None, validation_alias="OPENAI_BASE_URL")
    api_token: SecretStr | None = None

    @field_validator("home", "cache", "policy", "strategies", "protocol_scores", mode="after")
    @classmethod
    def _expand(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.home / DATABASE_FILE}"

    @property
    def policy_path(self) -> Path:
        return self.policy or _first_existing(self.home / POLICY_FILE, CONFIG_DIRECTORY / POLICY_FILE)

    @property
    def strategies_path(self) -> Path:
        return self.strategies or _first_existing(self.home / STRATEGIES_FILE, CONFIG_DIRECTORY / STRATEGIES_FILE)

    @property
    def protocol_scores_path(self) -> Path:
        ships = CONFIG_DIRECTORY / PROTOCOL_SCORES_FILE
        return self.protocol_scores or _first_existing(self.home / PROTOCOL_SCORES_FILE, ships)


def _first_existing(preferred: Path, fallback: Path) -> Path:
    return preferred if preferred.exists() else fallback


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment with flags on top. Raises ConfigurationInvalid naming field, value and limit."""
    _refuse_unknown_variables()
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # values are validated here
    except ValidationError as error:
        raise ConfigurationInvalid(f"settings: {_explain(error)}") from None
    _require_scheme(settings.openai_base_url)
    if settings.mode == "live" and not settings.live_confirmed:
        raise ConfigurationInvalid("live mode needs both AUTOFI_MODE=live and AUTOFI_LIVE_CONFIRMED=true; got one")
    return settings


def _refuse_unknown_variables() -> None:
    """A misspelled AUTOFI_POLICY would silently run with other limits."""
    known = sorted({*(field.upper() for field in Settings.model_fields), *KNOWN_ELSEWHERE})
    for name in sorted(os.environ):
        key = name.upper().removeprefix(PREFIX)
        if name.upper().startswith(PREFIX) and key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {PREFIX}{close[0]}?" if close else f"after {PREFIX} may stand {', '.join(known)}"
            raise ConfigurationInvalid(f"settings: unknown variable {name} in the environment: {hint}")


def _require_scheme(base_url: str | None) -> None:
    if base_url is not None and not re.match(r"https?://[^/]", base_url, re.IGNORECASE):
        raise ConfigurationInvalid(
            f"settings: OPENAI_BASE_URL must start with http:// or https://, got {without_secrets(base_url)!r}; "
            "correct it, or unset it for OpenAI's own endpoint"
        )


def without_secrets(url: str) -> str:
    """The address as a message may show it: no user, password or query."""
    return re.sub(r"[^/]*@", "", url.partition("?")[0])[:MAX_SHOWN]


def load_policy(path: Path) -> Policy:
    """Limits from TOML that contradict neither their types nor each other. Raises ConfigurationInvalid."""
    from app.toml_file import read_toml
    from app.toml_refusal import parse_toml, require_consistent, require_numbers
    from domain.policy import Policy

    file = read_toml(path, what="policy")
    policy = parse_toml(file, Policy)
    require_numbers(file, policy)
    require_consistent(file, policy)
    return policy


def load_catalog(path: Path) -> Catalog:
    """Tokens, strategies, venues and contracts from TOML, each listed once. Raises ConfigurationInvalid."""
    from app.toml_file import read_toml
    from app.toml_refusal import parse_toml, require_unique
    from domain.market import Catalog

    file = read_toml(path, what="strategies")
    require_unique(file)
    return parse_toml(file, Catalog)


def load_risk_facts(path: Path) -> RiskFacts:
    """Weights of scores, roles of tokens and facts about protocols from TOML. Raises ConfigurationInvalid."""
    from app.toml_file import read_toml
    from app.toml_refusal import parse_toml
    from domain.risk_facts import RiskFacts

    return parse_toml(read_toml(path, what="protocol_scores"), RiskFacts)


def _explain(error: ValidationError) -> str:
    """One bad value of the environment in one sentence."""
    problem = error.errors(include_url=False, include_context=False)[0]
    name = PREFIX + str(problem["loc"][0]).upper()
    message = problem["msg"].removeprefix("Value error, ")
    return f"key {name!r}: {message}, got {str(problem['input'])[:MAX_SHOWN]!r}"

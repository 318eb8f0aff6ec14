"""Settings from environment and flags, policy and catalog from TOML: read once, refused with one clear error."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from domain.market import Catalog
    from domain.policy import Policy

CONFIG_DIRECTORY: Final = Path(__file__).parent.parent / "config"
DATABASE_FILE: Final = "autofi.db"
POLICY_FILE: Final = "policy.toml"
STRATEGIES_FILE: Final = "strategies.toml"
MAX_CONFIG_BYTES: Final = 1_000_000
MAX_SHOWN: Final = 80
PREFIX: Final = "AUTOFI_"
KNOWN_ELSEWHERE: Final = ("DATA", "REQUIRE_SERVICES")
"""After the prefix: read by the tools around the product, not by the product."""

Model = TypeVar("Model", bound=BaseModel)


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

    @field_validator("home", "cache", "policy", "strategies", mode="after")
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


def _first_existing(preferred: Path, fallback: Path) -> Path:
    return preferred if preferred.exists() else fallback


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment with flags on top. Raises ConfigurationInvalid naming field, value and limit."""
    _refuse_unknown_variables()
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # values are validated here
    except ValidationError as error:
        raise ConfigurationInvalid(f"settings: {explain(error, prefix=PREFIX)}") from None
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
    """Limits from TOML. Raises ConfigurationInvalid naming the key, the limit and the fix."""
    from domain.policy import Policy

    return _load(path, Policy, what="policy")


def load_catalog(path: Path) -> Catalog:
    """Tokens, strategies, venues and contracts from TOML. Raises ConfigurationInvalid."""
    from domain.market import Catalog

    return _load(path, Catalog, what="strategies")


def _load(path: Path, model: type[Model], *, what: str) -> Model:
    raw = read_toml(path, what=what)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ConfigurationInvalid(f"{what} {path}: {explain(error, model=model)}") from None


def read_toml(path: Path, *, what: str) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigurationInvalid(f"{what} {path}: {path.stat().st_size} bytes, limit {MAX_CONFIG_BYTES}")
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        raise ConfigurationInvalid(f"{what} {path}: no such file; set AUTOFI_{what.upper()} to one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid(f"{what} {path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationInvalid(f"{what} {path}: not valid TOML: {error}") from None


def explain(error: ValidationError, *, model: type[BaseModel] | None = None, prefix: str = "") -> str:
    """One problem of a validation in one sentence, with a suggestion for a misspelled or unitless key.

    An unknown key comes first: it is why the right one is missing.
    """
    problems = error.errors(include_url=False, include_context=False)
    problem = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    # pydantic adds the branch of a union to the location, which is no key of the file
    location = [str(part) for part in problem["loc"] if isinstance(part, int) or part.isidentifier()]
    where = prefix + ".".join(location) if not prefix else prefix + location[0].upper()
    if problem["type"] == "extra_forbidden":
        return f"unknown key {where!r}{_suggestion(location, model)}"
    if problem["type"] == "missing":
        return f'key {where!r} is missing; every limit needs a value, or the word "unlimited" where it may be one'
    message = re.sub(r"Decimal\('([^']*)'\)", r"\1", problem["msg"].removeprefix("Value error, "))
    if not location:
        return message
    said = message.partition(", got ")[0]  # our own types repeat the value with its Python type
    above_one = location[-1].endswith("_share") and problem["type"] == "less_than_equal"
    hint = "; a fraction: 0.35 is 35 %" if above_one else ""
    return f"key {where!r}: {said}, got {str(problem['input'])[:MAX_SHOWN]!r}{hint}"


def _suggestion(location: list[str], model: type[BaseModel] | None) -> str:
    known = _fields_at(location[:-1], model)
    if not known:
        return ""
    key = location[-1]
    unit_forms = [field for field in known if field.startswith(key + "_")]
    close = unit_forms or difflib.get_close_matches(key, known, n=1)
    if unit_forms:
        return f": the unit is missing, write {unit_forms[0]!r}"
    return f": did you mean {close[0]!r}?" if close else f"; known keys: {', '.join(sorted(known))}"


def _fields_at(location: list[str], model: type[BaseModel] | None) -> list[str]:
    for part in location:
        if part.isdecimal():
            continue
        field = model.model_fields.get(part) if model is not None else None
        annotation = field.annotation if field is not None else None
        annotation = next(iter(get_args(annotation)), annotation)  # an entry of a list of tables
        model = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return list(model.model_fields) if model is not None else []

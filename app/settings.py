"""Settings from environment and flags, policy and catalog from TOML: read once, refused with one clear error."""

from __future__ import annotations

import difflib
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

Model = TypeVar("Model", bound=BaseModel)


class Settings(BaseSettings):
    """Every knob outside the policy. Environment names are AUTOFI_<FIELD>, except OpenAI's own two."""

    model_config = SettingsConfigDict(env_prefix="AUTOFI_", extra="ignore", frozen=True, populate_by_name=True)

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
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # values are validated here
    except ValidationError as error:
        raise ConfigurationInvalid(f"settings: {explain(error, prefix='AUTOFI_')}") from None
    if settings.mode == "live" and not settings.live_confirmed:
        raise ConfigurationInvalid("live mode needs both AUTOFI_MODE=live and AUTOFI_LIVE_CONFIRMED=true; got one")
    return settings


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
    message = problem["msg"].removeprefix("Value error, ")
    return f"key {where!r}: {message}, got {str(problem['input'])[:80]!r}" if location else message


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

"""`autofi doctor`: looks at every part that a run needs and says what it saw and how to mend it."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from app.books import require_home
from app.doctor_chain import examine_chain
from app.findings import Finding, gather, look_at
from app.settings import Settings, load_catalog, load_policy
from app.stores import Stores, open_stores
from chain.anvil import find_anvil
from domain.errors import ConfigurationInvalid, ModelUnavailable, StoreUnavailable
from domain.run import RunStatus

if TYPE_CHECKING:
    from pydantic import SecretStr

    from domain.change_history import D, Standing

OLDEST_PYTHON: Final = (3, 11)
OLDEST_NODE: Final = 18
MIN_FREE_BYTES: Final = 1_000_000_000
NODE_DEADLINE_SECONDS: Final = 10
MODEL_DEADLINE_SECONDS: Final = 5.0
OPENAI_URL: Final = "https://api.openai.com/v1"
REFUSED_STATUSES: Final = frozenset({401, 403})
SERVER_ERROR_STATUS: Final = 500
ADOPT: Final = "restore the last backup; after an update: autofi policy adopt --reason WHY --yes"
DATABASE_FIXES: Final = (
    ("books_missing", "restore the database, correct AUTOFI_DATABASE_URL, or autofi books move --reason WHY --yes"),
    ("books_foreign", "correct AUTOFI_DATABASE_URL, or autofi books move --reason WHY --yes"),
    ("newer than", "update this program; init does not bring a database back"),
    ("run `autofi init`", "autofi init"),
    ("not ours", "correct AUTOFI_DATABASE_URL"),
    ("anchor", "restore database and anchor from one backup, or autofi audit reanchor --reason WHY --yes"),
)
"""By what the message says; the first that fits."""


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Never raises. A part that needs another, which is not well, is left out.

    In paper mode this starts the home's local chain, as every command that needs it does.
    """
    machine = _examine_machine(settings)
    home = _examine_home(settings)
    files = (
        look_at("policy", lambda: _see_policy(settings), fix="autofi policy check"),
        look_at("strategies", lambda: _see_strategies(settings), fix="correct strategies.toml as the message says"),
        look_at("model", lambda: _see_model(settings), fix="check AUTOFI_MODEL, OPENAI_BASE_URL and OPENAI_API_KEY"),
    )
    _, strategies, _ = files
    if not (home[0].is_healthy and strategies.is_healthy):
        return (*machine, *home, *files)
    return (
        *machine, *home, *files,
        *_examine_database(settings),
        *gather("chain", lambda: examine_chain(settings), fix="start the node, or correct AUTOFI_RPC_URL"),
    )  # fmt: skip


def _examine_machine(settings: Settings) -> tuple[Finding, ...]:
    python = look_at("python", _see_python, fix="install Python 3.11 or newer")
    if settings.mode != "paper":
        return (python,)
    return (
        python,
        look_at("node", _see_node, fix=f"install Node.js {OLDEST_NODE} or newer; it compiles the local contracts"),
        look_at("anvil", lambda: str(find_anvil()), fix="npm install --ignore-scripts --legacy-peer-deps"),
    )


def _see_python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        raise ConfigurationInvalid(f"Python {version}, at least 3.11 is needed")
    return version


def _see_node() -> str:
    node = shutil.which("node")
    if node is None:
        raise ConfigurationInvalid("PATH has no node")
    command = [node, "--version"]
    asked = subprocess.run(command, capture_output=True, text=True, check=True, timeout=NODE_DEADLINE_SECONDS)  # noqa: S603
    version = asked.stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        raise ConfigurationInvalid(f"Node.js {version}, at least {OLDEST_NODE} is needed")
    return version


def _examine_home(settings: Settings) -> tuple[Finding, ...]:
    home = settings.home
    found = look_at("home", lambda: _see_home(settings), fix="autofi init")
    if not found.is_healthy:
        return (found,)
    return (
        found,
        look_at("privacy", lambda: _see_privacy(settings), fix=f"chmod 700 {home}"),
        look_at("disk", lambda: _see_disk(settings), fix="free some space, or move AUTOFI_HOME to another disk"),
    )


def _see_home(settings: Settings) -> str:
    require_home(settings)
    if not settings.home.is_dir():
        raise ConfigurationInvalid(f"{settings.home} is not a directory")
    return str(settings.home)


def _see_privacy(settings: Settings) -> str:
    mode = stat.S_IMODE(settings.home.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationInvalid(f"{settings.home} has mode {mode:03o}: others can read it, limit 700")
    return f"mode {mode:03o}"


def _see_disk(settings: Settings) -> str:
    free = shutil.disk_usage(settings.home).free
    if free < MIN_FREE_BYTES:
        raise ConfigurationInvalid(f"{free // 10**6} MB are free, at least {MIN_FREE_BYTES // 10**6} MB are needed")
    return f"{free // 10**6} MB are free"


def _see_policy(settings: Settings) -> str:
    policy = load_policy(settings.policy_path)
    return f"{policy.name}, digest {policy.digest()[:16]}, {settings.policy_path}"


def _see_strategies(settings: Settings) -> str:
    catalog = load_catalog(settings.strategies_path)
    return f"{len(catalog.strategies)} strategies, {len(catalog.tokens)} tokens, {settings.strategies_path}"


def _see_model(settings: Settings) -> str:
    if settings.model == "offline":
        return "offline"
    base = settings.openai_base_url or OPENAI_URL
    status = _status_of(f"{base.rstrip('/')}/models", settings.openai_api_key)
    if status in REFUSED_STATUSES or status >= SERVER_ERROR_STATUS:
        raise ModelUnavailable(f"the model endpoint answered with HTTP status {status}")
    return f"{settings.model}, the endpoint answers"


def _status_of(url: str, key: SecretStr | None) -> int:
    import httpx

    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}
    try:
        return httpx.get(url, headers=headers, timeout=MODEL_DEADLINE_SECONDS).status_code
    except httpx.HTTPError as error:
        raise ModelUnavailable(
            f"the model endpoint did not answer within {MODEL_DEADLINE_SECONDS:.0f} s: {type(error).__name__}"
        ) from None


def _examine_database(settings: Settings) -> tuple[Finding, ...]:
    found = gather("database", lambda: _examine_stores(settings), fix="restore the last backup, or start its server")
    return tuple(each if each.is_healthy else _with_fix(each) for each in found)


def _with_fix(finding: Finding) -> Finding:
    for words, fix in DATABASE_FIXES:
        if words in finding.observed:
            return finding.model_copy(update={"fix": fix})
    return finding


def _examine_stores(settings: Settings) -> tuple[Finding, ...]:
    with open_stores(settings=settings) as stores:
        return (
            Finding(part="database", is_healthy=True, observed=stores.database.name, fix=""),
            look_at("journal", lambda: _see_journal(stores), fix="restore the last backup; autofi audit verify"),
            look_at("budgets", lambda: _see_budgets(stores), fix="restore the last backup; until then only exits pass"),
            look_at("trading state", lambda: _see_trading(stores), fix="find out why, then autofi resume --reason WHY"),
            look_at("policy in force", lambda: _see_in_force(stores.policies.standing(), "a looser"), fix=ADOPT),
            look_at("catalog in force", lambda: _see_in_force(stores.catalogs.standing(), "another"), fix=ADOPT),
            look_at("open runs", lambda: _see_open_runs(stores), fix="autofi run --resume RUN"),
            look_at("open batches", lambda: _see_open_batches(stores), fix="autofi run --resume RUN settles them"),
        )


def _see_journal(stores: Stores) -> str:
    result = stores.journal.verify()
    if not result.is_verified:
        place = "" if result.broken_sequence is None else f" at entry {result.broken_sequence}"
        raise StoreUnavailable(f"broken{place}: {result.problem}")
    return f"verified, {result.entries} entries, {result.artifacts} artifacts, head {result.head[:16]}"


def _see_budgets(stores: Stores) -> str:
    problem = stores.budgets.problem()
    if problem is not None:
        raise StoreUnavailable(problem)
    return "intact"


def _see_trading(stores: Stores) -> str:
    problem = stores.trading_state.problem()
    if problem is not None:
        raise StoreUnavailable(f"halted, because it cannot be trusted: {problem}")
    history = stores.trading_state.history()
    if not history:
        raise StoreUnavailable("halted: no state was ever written")
    return f"{history[-1].state} since {history[-1].at:%Y-%m-%d %H:%M} by {history[-1].by}: {history[-1].reason}"


def _see_in_force(standing: Standing[D], other: str) -> str:
    if standing.in_force is None or standing.since is None:
        return "none yet; the first start adopts the file"
    waits = f"; {other} one waits for {standing.proposal.waits_for()}" if standing.proposal else ""
    return f"digest {standing.in_force.digest()[:16]} since {standing.since:%Y-%m-%d %H:%M} UTC{waits}"


def _see_open_runs(stores: Stores) -> str:
    unfinished = stores.runs.unfinished()
    running = [run.request.run_id for run in unfinished if run.status is RunStatus.RUNNING]
    if running:
        raise ConfigurationInvalid(f"{len(running)} begun and not finished: {', '.join(running[:5])}")
    return f"{len(unfinished)} wait for an approval" if unfinished else "none"


def _see_open_batches(stores: Stores) -> str:
    intents = stores.execution.open_intents()
    if intents:
        named = ", ".join(f"{intent.batch_digest[:16]} of {intent.run_id} is {intent.status}" for intent in intents[:5])
        raise ConfigurationInvalid(f"{len(intents)} not settled: {named}")
    return "none"

"""`autofi init`: all or nothing, the home appears complete or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from app.books import is_set_up, note_identity, require_own_books
from app.chain_books import read_use, unused
from app.clock import SystemClock
from app.paper import OPERATOR_KEY, PaperChain, require_local_chain
from app.paper_node import FRESH_START
from app.policy_in_force import CatalogInForce, PolicyInForce
from app.settings import (
    CONFIG_DIRECTORY,
    DATABASE_FILE,
    POLICY_FILE,
    STRATEGIES_FILE,
    Settings,
    load_catalog,
    load_policy,
)
from app.stores import make_stores
from app.verification import accept_books
from app.warmup import load_history
from chain.anvil import find_anvil
from chain.client import ChainClient
from domain.chain_use import ChainUse
from domain.errors import AutofiError, ConfigurationInvalid
from domain.market import Catalog
from domain.verdict import TradingState
from memory.database import open_database

Report = Callable[[str], None]


def initialize(settings: Settings, *, safe: str | None, new_safe: bool, report: Report) -> str:
    """Set up settings.home and return the account's address. Raises ConfigurationInvalid; leaves nothing half-done.

    On a home that is set up already, an older database is brought to this version and nothing else is touched.
    """
    if safe is not None and new_safe:
        raise ConfigurationInvalid("--safe and --new-safe exclude each other: adopt one or make one")
    if is_set_up(settings):
        return _upgrade(settings, changes_account=safe is not None or new_safe)
    source = settings.strategies or CONFIG_DIRECTORY / STRATEGIES_FILE
    load_policy(settings.policy_path)
    catalog = load_catalog(source)
    if settings.mode == "paper":
        require_local_chain(catalog, source)
        find_anvil()
    existed = settings.home.exists()
    _make_home(settings.home)
    try:
        return _set_up(settings, source, catalog, safe=safe, new_safe=new_safe, report=report)
    except BaseException:  # an interrupt, too, must leave nothing half-done
        _abandon(settings.home, existed=existed)
        raise


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        is_empty = not any(home.iterdir())
    except OSError as error:
        raise ConfigurationInvalid(
            f"home {home} cannot be made a directory: {error.strerror}; choose another (--home, AUTOFI_HOME)"
        ) from error
    if not is_empty:
        raise ConfigurationInvalid(f"home {home} is not empty and holds no {DATABASE_FILE}; choose another")


def _upgrade(settings: Settings, *, changes_account: bool) -> str:
    if changes_account:
        raise ConfigurationInvalid(f"{settings.home} already has an account; use another AUTOFI_HOME for another Safe")
    if settings.mode == "paper" and not PaperChain.exists(settings.home):
        raise ConfigurationInvalid(
            f"{settings.home} lost its local chain, and a new one would not fit its records; {FRESH_START}"
        )
    with closing(open_database(settings.database, upgrade=True, create=False, anchors=settings.home)) as database:
        require_own_books(settings, database)
        note_identity(settings.home, database.identity())
    return load_catalog(settings.strategies_path).account


def _set_up(
    settings: Settings, source: Path, catalog: Catalog, *, safe: str | None, new_safe: bool, report: Report
) -> str:
    shutil.copyfile(settings.policy_path, settings.home / POLICY_FILE)
    paper = PaperChain.create(settings.home, cache=settings.cache, report=report) if settings.mode == "paper" else None
    use = _account(settings, catalog, paper=paper, safe=safe, new_safe=new_safe)
    _write_strategies(source, settings.home / STRATEGIES_FILE, old=catalog.account, new=use.account)
    _fill_database(settings, paper=paper, use=use, report=report)
    return use.account


def _account(
    settings: Settings, catalog: Catalog, *, paper: PaperChain | None, safe: str | None, new_safe: bool
) -> ChainUse:
    """The account, and how often the chain says that it was used already."""
    if safe is None and not new_safe:
        if paper is None:
            raise ConfigurationInvalid(f"mode {settings.mode} needs an account: autofi init --safe ADDRESS")
        return unused(catalog)  # the chain was made just now
    client = _client(settings, catalog, paper=paper)
    account = _safe(client, catalog, paper=paper, safe=safe)
    return read_use(client, catalog.model_copy(update={"account": account}))


def _client(settings: Settings, catalog: Catalog, *, paper: PaperChain | None) -> ChainClient:
    rpc_url = paper.start() if paper is not None else settings.rpc_url
    if rpc_url is None:
        raise ConfigurationInvalid(f"mode {settings.mode} needs the address of a node: set AUTOFI_RPC_URL")
    return ChainClient(rpc_url, chain_id=catalog.chain_id, multicall=catalog.contracts.multicall)


def _safe(client: ChainClient, catalog: Catalog, *, paper: PaperChain | None, safe: str | None) -> str:
    from app.safe_account import adopt_safe, create_safe

    if safe is not None:
        return adopt_safe(client, safe, operator=catalog.operator)
    if paper is None:
        raise ConfigurationInvalid("--new-safe works in paper mode; make a Safe with your wallet and adopt it (--safe)")
    return create_safe(client, paper.manifest, operator_key=OPERATOR_KEY)


def _write_strategies(source: Path, target: Path, *, old: str, new: str) -> None:
    text = source.read_text(encoding="utf-8")
    lines = [
        f'account = "{new}"' if line.replace(" ", "").lower().startswith(f'account="{old}"') else line
        for line in text.splitlines()
    ]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    written = load_catalog(target)
    if written.account != new:
        raise ConfigurationInvalid(f"{source}: the line `account = ...` was not found; write it on a line of its own")


def _fill_database(settings: Settings, *, paper: PaperChain | None, use: ChainUse, report: Report) -> None:
    database = open_database(settings.database, anchors=settings.home)
    try:
        stores = make_stores(database)
        if database.is_new_here():
            accept_books(stores, by="init", reason="another host joins this database", clock=SystemClock())
        if paper is not None:
            days = load_history(paper.extra, stores.observations)
            report(f"{days} days of observed history imported")
        state, reason = _first_state(settings, use)
        if stores.trading_state.start(state, by="init", reason=reason, at=SystemClock().now()):
            stores.chain_bases.record(use, by="init", reason=reason, at=SystemClock().now())
        PolicyInForce(stores, settings).follow_file()
        _follow_catalog(CatalogInForce(stores, settings), report)
        note_identity(settings.home, database.identity())
    finally:
        database.close()


def _follow_catalog(catalog: CatalogInForce, report: Report) -> None:
    """Books that were in use before keep their catalog, with its account, until two people want another."""
    catalog.follow_file()
    waiting = catalog.pending()
    if waiting is not None:
        report(
            f"these books trade account {catalog.current().account}; what {STRATEGIES_FILE} changes waits for "
            f"{waiting.waits_for()}: autofi policy pending"
        )


def _first_state(settings: Settings, use: ChainUse) -> tuple[TradingState, str]:
    """New books know nothing of what an account did before them; in mode shadow they never send anything."""
    reason = f"first start in mode {settings.mode}"
    if settings.mode != "shadow" and use.safe_count:
        return TradingState.HALTED, f"{reason}; the Safe has executed {use.safe_count} transactions before these books"
    return TradingState.HALTED if settings.mode == "live" else TradingState.ACTIVE, reason


def _abandon(home: Path, *, existed: bool) -> None:
    with suppress(AutofiError):
        PaperChain.of(home).stop()
    for entry in home.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    if not existed:
        home.rmdir()

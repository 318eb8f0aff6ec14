"""The composition root: adapters meet ports here and nowhere else."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Final

os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")  # langgraph reads it when it is imported

from app.books import open_books
from app.chain_books import ChainBooks, read_use
from app.clock import ChainClock, SystemClock
from app.console import print_warning
from app.exclusive import Turn
from app.paper import OPERATOR_KEY, PaperChain
from app.policy_in_force import CatalogInForce, PolicyInForce
from app.settings import Settings, load_risk_facts, load_settings
from app.shadow import RefusingSigner
from app.stores import Stores, make_stores
from app.verification import halt_on_broken_journal
from app.version import code_version
from chain.client import ChainClient
from chain.sender import JournalSender
from chain.signer import LocalSigner
from chain.simulator import BatchSimulator
from collectors.portfolio import AccountReads
from collectors.reader import ChainMarketReader
from domain.errors import ConfigurationInvalid
from domain.market import Catalog, RateObservation
from domain.ports import AgentModel, Clock, Signer
from domain.run import RunRequest, Trigger, Workflow
from domain.stages import ChatAnswer
from graph.conduct import Conductor
from graph.dependencies import Dependencies, Mode
from graph.models import make_model
from graph.workflow import build_graph
from memory.checkpoints import open_checkpointer
from memory.recall import ChromaRecall

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from graph.state import Entry, State

CHECKPOINT_FILE: Final = "checkpoints.db"
TURN_FILE: Final = "turn.lock"
RECALL_FOLDER: Final = "recall"
RPC_TIMEOUT_SECONDS: Final = 10.0
_HOSTING: Final = threading.Lock()  # two first requests of a host must not open everything twice

Report = Callable[[str], None]
Step = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One portfolio, wired and ready."""

    settings: Settings
    stores: Stores
    policy: PolicyInForce
    catalog: CatalogInForce
    dependencies: Dependencies
    conductor: Conductor
    paper: PaperChain | None
    chain_books: ChainBooks


@contextmanager
def open_application(
    settings: Settings,
    *,
    report: Report = lambda _: None,
    warn: Report = print_warning,
    on_step: Step = lambda _: None,
) -> Iterator[Application]:
    """Everything a run needs. Raises ConfigurationInvalid, ChainUnavailable, StoreUnavailable."""
    database = open_books(settings)
    saver = open_checkpointer(settings.home / CHECKPOINT_FILE)
    try:
        stores = make_stores(database)
        policy, catalog = _start_documents(stores, settings, warn=warn)
        paper = PaperChain.of(settings.home) if settings.mode == "paper" else None
        dependencies = make_dependencies(
            settings, stores, policy, catalog.bind(), paper=paper, report=report, on_step=on_step
        )
        if paper is not None:
            paper.keep_alive()
        halt_on_broken_journal(stores, dependencies.clock)
        dependencies.sender.reconcile()
        chain_books = _chain_books(settings, stores, dependencies, paper=paper)
        chain_books.halt_if_behind()
        take_turn = partial(_take_checked_turn, Turn(settings.home / TURN_FILE), policy, catalog, chain_books)
        conductor = Conductor(build_graph(dependencies, saver), dependencies, take_turn=take_turn)
        yield Application(
            settings=settings,
            stores=stores,
            policy=policy,
            catalog=catalog,
            dependencies=dependencies,
            conductor=conductor,
            paper=paper,
            chain_books=chain_books,
        )
    finally:
        saver.conn.close()
        database.close()


def _start_documents(
    stores: Stores, settings: Settings, *, warn: Report = lambda _: None
) -> tuple[PolicyInForce, CatalogInForce]:
    """The policy first: its delay is the catalog's, too."""
    policy, catalog = PolicyInForce(stores, settings), CatalogInForce(stores, settings)
    policy.start()
    if policy.problem is not None:
        warn(f"{policy.problem}; the policy in force stays")
    catalog.start()
    if catalog.problem is not None:
        warn(f"{catalog.problem}; the catalog in force stays")
    return policy, catalog


@contextmanager
def _take_checked_turn(
    turn: Turn, policy: PolicyInForce, catalog: CatalogInForce, chain_books: ChainBooks
) -> Iterator[None]:
    with turn():
        _check_books(policy, catalog, chain_books)
        yield


def _check_books(policy: PolicyInForce, catalog: CatalogInForce, chain_books: ChainBooks) -> None:
    """A server lives long: every walk looks at policy, catalog, journal and the chain's own count again."""
    policy.before_walk()
    catalog.before_walk()
    halt_on_broken_journal(chain_books.stores, chain_books.clock)
    chain_books.halt_if_behind()


def _chain_books(
    settings: Settings, stores: Stores, dependencies: Dependencies, *, paper: PaperChain | None
) -> ChainBooks:
    catalog = dependencies.catalog
    client = _make_client(settings, catalog, paper=paper, report=lambda _: None)
    return ChainBooks(stores, partial(read_use, client, catalog), dependencies.clock, settings.mode)


def make_dependencies(
    settings: Settings,
    stores: Stores,
    policy: PolicyInForce,
    catalog: Catalog,
    *,
    paper: PaperChain | None,
    report: Report = lambda _: None,
    on_step: Step = lambda _: None,
) -> Dependencies:
    client = _make_client(settings, catalog, paper=paper, report=report)
    clock: Clock = ChainClock(client) if paper is not None else SystemClock()
    simulator, signer = BatchSimulator(client, catalog, AccountReads(catalog)), make_signer(settings, catalog)
    return Dependencies(
        mode=Mode(settings.mode),
        policy_in_force=policy.current,
        catalog=catalog,
        code_version=code_version(),
        clock=clock,
        model=_make_model(settings),
        market=ChainMarketReader(client, catalog, clock, previous=_previous_rates(stores)),
        observations=stores.observations,
        simulator=simulator,
        sender=JournalSender(
            stores.execution, client, signer, simulator.quote_fees, clock, wait=time.sleep, on_step=on_step
        ),
        approvals=stores.approvals,
        budgets=stores.budgets,
        trading_state=stores.trading_state,
        incidents=stores.incidents,
        artifacts=stores.artifacts,
        journal=stores.journal,
        runs=stores.runs,
        recall=ChromaRecall(settings.home / RECALL_FOLDER),
        risk_facts=load_risk_facts(settings.protocol_scores_path),
    )


def _make_client(settings: Settings, catalog: Catalog, *, paper: PaperChain | None, report: Report) -> ChainClient:
    return ChainClient(
        paper.start(report=report) if paper is not None else _require_rpc(settings),
        chain_id=catalog.chain_id,
        multicall=catalog.contracts.multicall,
        timeout_seconds=RPC_TIMEOUT_SECONDS,
    )


def _make_model(settings: Settings) -> AgentModel:
    key = settings.openai_api_key
    return make_model(
        settings.model,
        base_url=settings.openai_base_url,
        api_key=key.get_secret_value() if key is not None else None,
        timeout_seconds=settings.model_timeout_seconds,
    )


def _previous_rates(stores: Stores) -> Callable[[str], RateObservation | None]:
    def previous(strategy: str) -> RateObservation | None:
        return next((rate for rate in stores.observations.latest_rates() if rate.strategy == strategy), None)

    return previous


def _require_rpc(settings: Settings) -> str:
    if settings.rpc_url is None:
        raise ConfigurationInvalid(f"mode {settings.mode} needs the address of a node: set AUTOFI_RPC_URL")
    return settings.rpc_url


def make_signer(settings: Settings, catalog: Catalog) -> Signer:
    """Paper signs with anvil's public test key; shadow with a key that owns nothing; live from a keystore."""
    if settings.mode == "paper":
        return LocalSigner.from_key(OPERATOR_KEY, chain_id=catalog.chain_id)
    if settings.mode == "shadow":
        return RefusingSigner(catalog.operator)
    if settings.keystore is None or settings.keystore_passphrase is None:
        raise ConfigurationInvalid("live mode needs AUTOFI_KEYSTORE and AUTOFI_KEYSTORE_PASSPHRASE")
    passphrase = settings.keystore_passphrase.get_secret_value()
    return LocalSigner.from_keystore(settings.keystore, passphrase, chain_id=catalog.chain_id)


def new_request(
    application: Application, workflow: Workflow, *, trigger: Trigger, requested_by: str | None = None
) -> RunRequest:
    return RunRequest(
        run_id=f"run-{uuid.uuid4().hex[:12]}",
        workflow=workflow,
        trigger=trigger,
        requested_by=requested_by or application.settings.user,
        requested_at=application.dependencies.clock.now(),
    )


def ask_question(application: Application, question: str) -> ChatAnswer:
    """One chat turn; starts nothing."""
    request = new_request(application, Workflow.OPTIMIZE, trigger=Trigger.CHAT)
    return application.conductor.ask(request, question)


async def make_graph() -> CompiledStateGraph[State, None, Entry, State]:
    """Factory for `langgraph dev` and other hosts, which bring their own checkpointer and ask anew for every request.

    In a thread, because such a host refuses calls that block its event loop.
    """
    return await asyncio.to_thread(_hosted_graph)


def _hosted_graph() -> CompiledStateGraph[State, None, Entry, State]:
    with _HOSTING:
        graph, check_books = _open_hosted_graph()
        check_books()
        return graph


@cache
def _open_hosted_graph() -> tuple[CompiledStateGraph[State, None, Entry, State], Callable[[], None]]:
    """The stores stay open for the life of the host's process."""
    settings = load_settings()
    stores = make_stores(open_books(settings))
    policy, catalog = _start_documents(stores, settings)
    paper = PaperChain.of(settings.home) if settings.mode == "paper" else None
    dependencies = make_dependencies(settings, stores, policy, catalog.bind(), paper=paper)
    dependencies.sender.reconcile()
    chain_books = _chain_books(settings, stores, dependencies, paper=paper)
    return build_graph(dependencies), partial(_check_books, policy, catalog, chain_books)

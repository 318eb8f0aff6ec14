"""The doctor's look at the chain: node, contracts, tokens, account, feeds, gas money and the signer."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from app.chain_books import ACCEPT, ChainBooks, read_use
from app.clock import ChainClock, SystemClock
from app.findings import Finding, look_at
from app.paper import PaperChain
from app.policy_in_force import known_catalog
from app.safe_account import adopt_safe
from app.settings import Settings, load_catalog, load_policy
from app.stores import open_stores
from chain.client import ChainClient
from collectors.answers import Question, ask
from collectors.prices import ORACLE
from collectors.reader import ChainMarketReader
from domain.abi import DECIMALS
from domain.errors import AutofiError, ConfigurationInvalid, StoreUnavailable
from domain.market import Catalog, MarketSnapshot, Token
from domain.policy import Policy
from domain.ports import Clock
from domain.units import decimal_text, to_tokens

BATCH_GAS: Final = 2_000_000  # generous for one batch
NATIVE_DECIMALS: Final = 18


@dataclass(frozen=True, slots=True)
class _Patient:
    """What the parts on the chain are examined with."""

    settings: Settings
    catalog: Catalog
    client: ChainClient
    clock: Clock


def examine_chain(settings: Settings) -> tuple[Finding, ...]:
    patient = _admit(settings)
    head = patient.client.header()
    age_seconds = round((patient.clock.now() - head.time).total_seconds())
    seen = f"chain {head.chain_id}, block {head.number}, {age_seconds} s old"
    return (
        Finding(part="chain", is_healthy=True, observed=seen, fix=""),
        look_at("contracts", lambda: _see_contracts(patient), fix="correct the addresses in strategies.toml"),
        look_at("tokens", lambda: _see_tokens(patient), fix="correct `decimals` in strategies.toml"),
        look_at("account", lambda: _see_account(patient), fix="adopt another Safe: autofi init --safe ADDRESS"),
        look_at("books", lambda: _see_books(patient), fix=f"look at what was sent, then {ACCEPT}"),
        look_at("feeds", lambda: _see_feeds(patient), fix="wait, or leave the token; on paper: autofi chain play"),
        look_at("gas money", lambda: _see_gas_money(patient), fix="send native money to the operator"),
        look_at(
            "signer", lambda: _see_signer(patient), fix="check AUTOFI_KEYSTORE and the operator in strategies.toml"
        ),
    )


def _admit(settings: Settings) -> _Patient:
    catalog = _catalog(settings)
    is_paper = settings.mode == "paper"
    rpc_url = PaperChain.of(settings.home).start() if is_paper else settings.rpc_url
    if rpc_url is None:
        raise ConfigurationInvalid(f"mode {settings.mode} needs the address of a node: set AUTOFI_RPC_URL")
    client = ChainClient(rpc_url, chain_id=catalog.chain_id, multicall=catalog.contracts.multicall)
    clock: Clock = ChainClock(client) if is_paper else SystemClock()
    return _Patient(settings, catalog, client, clock)


def _catalog(settings: Settings) -> Catalog:
    """The file's where the database, which has its own findings, does not open."""
    with suppress(AutofiError), open_stores(settings=settings) as stores:
        return known_catalog(stores, settings)
    return load_catalog(settings.strategies_path)


def _see_contracts(patient: _Patient) -> str:
    catalog = patient.catalog
    named = {
        **catalog.contracts.model_dump(exclude_none=True),
        **{f"token {token.id}": token.address for token in catalog.tokens},
        **{f"feed of {token.id}": token.feed for token in catalog.tokens},
        **{f"strategy {strategy.id}": strategy.contract for strategy in catalog.strategies},
        **{f"receipt of {strategy.id}": strategy.receipt for strategy in catalog.strategies},
        **{f"venue {venue.id}": venue.pool for venue in catalog.venues},
    }
    empty = [f"{name} {address}" for name, address in named.items() if patient.client.code(address) == "0x"]
    if empty:
        raise ConfigurationInvalid(f"{len(empty)} of {len(named)} have no code: {', '.join(empty[:5])}")
    return f"{len(named)} have code"


def _see_tokens(patient: _Patient) -> str:
    expected = {Question(token.address, DECIMALS): (token.id, token.decimals) for token in patient.catalog.tokens}
    for strategy in patient.catalog.strategies:
        expected[Question(strategy.receipt, DECIMALS)] = (f"receipt of {strategy.id}", strategy.receipt_decimals)
    answers = ask(patient.client, list(expected), patient.client.header())
    for question, (name, decimals) in expected.items():
        observed = answers.integer(question)
        if observed != decimals:
            raise ConfigurationInvalid(f"{name} has {observed} decimals on chain, the catalog says {decimals}")
    return f"decimals of {len(expected)} agree with the chain"


def _see_account(patient: _Patient) -> str:
    account = adopt_safe(patient.client, patient.catalog.account, operator=patient.catalog.operator)
    return f"Safe {account}, moved by {patient.catalog.operator} alone"


def _see_books(patient: _Patient) -> str:
    with open_stores(settings=patient.settings) as stores:
        look = partial(read_use, patient.client, patient.catalog)
        problem = ChainBooks(stores, look, patient.clock, patient.settings.mode).problem()
    if problem is not None:
        raise StoreUnavailable(problem)
    return "know every transaction of the chain" if patient.settings.mode != "shadow" else "send nothing in mode shadow"


def _see_feeds(patient: _Patient) -> str:
    policy = load_policy(patient.settings.policy_path)
    snapshot = ChainMarketReader(patient.client, patient.catalog, patient.clock).snapshot()
    stale = [problem for token in patient.catalog.tokens if (problem := _staleness(token, snapshot, policy))]
    if stale:
        raise ConfigurationInvalid("; ".join(stale))
    return f"{len(patient.catalog.tokens)} report in time"


def _staleness(token: Token, snapshot: MarketSnapshot, policy: Policy) -> str | None:
    price = next((each for each in snapshot.prices_of(token.id) if each.source == ORACLE), None)
    if price is None:
        return f"the feed of {token.id} gives no usable price"
    age_seconds = (snapshot.taken_at - price.observed_at).total_seconds()
    limit_seconds = token.feed_heartbeat_seconds + policy.freshness.max_price_age_over_heartbeat_seconds
    if age_seconds <= limit_seconds:
        return None
    return f"the feed of {token.id} is {age_seconds:.0f} s old, limit {limit_seconds} s"


def _see_gas_money(patient: _Patient) -> str:
    head, operator = patient.client.header(), patient.catalog.operator
    balance = patient.client.native_balance_wei(operator, block_number=head.number)
    needed = BATCH_GAS * 2 * head.base_fee_wei
    shown = f"{decimal_text(round(to_tokens(balance, NATIVE_DECIMALS), 6))} native at operator {operator}"
    if balance < needed:
        wanted = decimal_text(round(to_tokens(needed, NATIVE_DECIMALS), 6))
        raise ConfigurationInvalid(f"{shown}, one batch may need {wanted}")
    return shown


def _see_signer(patient: _Patient) -> str:
    from app.wiring import make_signer  # brings the graph's libraries with it

    if patient.settings.mode == "shadow":
        return "none: mode shadow never signs"
    signer, operator = make_signer(patient.settings, patient.catalog), patient.catalog.operator
    if signer.address != operator:
        raise ConfigurationInvalid(f"the key is that of {signer.address}, the catalog names operator {operator}")
    return f"key of {operator}"

"""Builds the local chain from nothing on a fresh node: tokens, protocols, treasury; returns its manifest.

`python -m chain.world_build > config/strategies.toml` renews the catalog that the repository carries.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, TextIO

from chain.anvil import LocalNode, NodeRpc
from chain.transactor import Read, encode_call
from chain.world_aave import AaveMarket, build_aave, supply_treasury
from chain.world_artifacts import multicall3_bytecode, permit2_runtime_code
from chain.world_catalog import MULTICALL3, PERMIT2, SafeContracts, describe_catalog, render_toml
from chain.world_manifest import GENESIS_TIME, WORLD_FORMAT, Actors, DebtToken, Manifest
from chain.world_parameters import (
    ACTOR_ETHER,
    ISSUER_TOKENS_USD,
    TOKENS,
    TREASURY_CASH,
    TokenParameters,
)
from chain.world_site import Site, base_units
from chain.world_uniswap import Exchange, build_uniswap
from chain.world_vaults import build_vaults

BUILD_GAS_LIMIT: Final = 10**12
BUILD_ARGUMENTS: Final = ("--timestamp", str(GENESIS_TIME), "--gas-limit", str(BUILD_GAS_LIMIT), "--order", "fifo")
ZERO: Final = "0x" + "00" * 20
SAFE_SETUP: Final = "setup(address[],uint256,address,bytes,address,address,uint256,address)"
CREATE_SAFE: Final = "createProxyWithNonce(address,bytes,uint256)"


def build_world(rpc: NodeRpc, progress: Callable[[str], None]) -> Manifest:
    """The manifest still lacks the digest of the state, which only a dump can tell."""
    progress("compiling the vaults, tokens and feeds")
    site = _open_site(rpc)
    progress("deploying tokens, feeds and utilities")
    _build_tokens(site)
    _place_utilities(site)
    progress("deploying Aave v3")
    market = build_aave(site)
    progress("deploying Uniswap v3")
    exchange = build_uniswap(site)
    progress("deploying vaults and the treasury's Safe")
    vaults = build_vaults(site, market)
    safe = _build_safe(site)
    _fund_treasury(site, safe.account)
    supply_treasury(site, market.pool, safe.account)
    return _manifest(site, market=market, exchange=exchange, vaults=vaults, safe=safe)


def _open_site(rpc: NodeRpc) -> Site:
    issuer, operator, borrower, trader, depositor = rpc.call("eth_accounts")[:5]
    actors = Actors(issuer=issuer, borrower=borrower, trader=trader, depositor=depositor)
    wei = hex(ACTOR_ETHER * 10**18)
    rpc.batch([("anvil_setBalance", (account, wei)) for account in (issuer, borrower, trader, depositor)])
    return Site(rpc, actors=actors, operator=operator)


def _build_tokens(site: Site) -> None:
    for token in TOKENS:
        site.tokens[token.id] = (
            site.deploy("WETH9") if token.id == "weth" else site.deploy("MarketToken", token.id.upper(), token.decimals)
        )
        answer = round(token.price_usd * 10**8)
        site.feeds[token.id] = site.deploy("MarketFeed", f"{token.id.upper()} / USD", answer)
    site.mine()
    actors = site.actors
    for account in (actors.issuer, actors.borrower, actors.trader, actors.depositor):
        for token in TOKENS:
            _endow(site, token, account)
    site.mine()


def _endow(site: Site, token: TokenParameters, account: str) -> None:
    amount = base_units(token.id, ISSUER_TOKENS_USD / token.price_usd)
    address = site.tokens[token.id]
    if token.id == "weth":
        site.transactor.send(account, address, "deposit()", value_wei=amount)
    else:
        site.send(address, "mint(address,uint256)", account, amount)


def _place_utilities(site: Site) -> None:
    """Multicall3 and Permit2 live at the same address on every chain, so their code is put there."""
    multicall = site.deploy_code(multicall3_bytecode(), label="Multicall3")
    site.mine()
    runtime = site.rpc.call("eth_getCode", multicall, "latest")
    site.rpc.call("anvil_setCode", MULTICALL3, runtime)
    site.rpc.call("anvil_setCode", PERMIT2, permit2_runtime_code())


def _build_safe(site: Site) -> SafeContracts:
    singleton = site.deploy("Safe")
    factory = site.deploy("SafeProxyFactory")
    handler = site.deploy("CompatibilityFallbackHandler")
    multisend = site.deploy("MultiSendCallOnly")
    site.mine()
    setup = encode_call(SAFE_SETUP, [site.operator], 1, ZERO, b"", handler, ZERO, 0, ZERO)
    arguments = (singleton, bytes.fromhex(setup[2:]), 0)
    (account,) = site.transactor.read_addresses(Read(factory, CREATE_SAFE, arguments))
    site.send(factory, CREATE_SAFE, *arguments)
    site.mine()
    return SafeContracts(singleton, factory, handler, multisend, account)


def _fund_treasury(site: Site, account: str) -> None:
    for token_id, tokens in TREASURY_CASH.items():
        site.send(site.tokens[token_id], "mint(address,uint256)", account, base_units(token_id, tokens))
    site.mine()


def _manifest(
    site: Site, *, market: AaveMarket, exchange: Exchange, vaults: dict[str, str], safe: SafeContracts
) -> Manifest:
    head = site.rpc.head()
    return Manifest(
        format=WORLD_FORMAT,
        state_sha256="0" * 64,
        head_number=int(head["number"], 16),
        head_time=int(head["timestamp"], 16),
        catalog=describe_catalog(site, market=market, exchange=exchange, vaults=vaults, safe=safe),
        actors=site.actors,
        debt_tokens=tuple(DebtToken(token=token, address=address) for token, address in market.debts.items()),
        aave_provider=market.provider,
        aave_configurator=market.configurator,
        aave_oracle=market.oracle,
        uniswap_factory=exchange.factory,
        position_manager=exchange.position_manager,
        safe_singleton=safe.singleton,
        safe_proxy_factory=safe.factory,
        safe_fallback_handler=safe.fallback_handler,
    )


def main() -> None:
    with LocalNode(arguments=BUILD_ARGUMENTS) as node:
        manifest = build_world(node.rpc, lambda step: _say(sys.stderr, step))
    _say(sys.stdout, render_toml(manifest.catalog))


def _say(stream: TextIO, text: str) -> None:
    stream.write(text.rstrip() + "\n")


if __name__ == "__main__":
    main()

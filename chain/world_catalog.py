"""The catalog of the built world: its addresses as the allowlist's values, and as text for config/strategies.toml."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from chain.anvil import CHAIN_ID
from chain.world_aave import AaveMarket
from chain.world_parameters import AAVE_COLLATERAL, AAVE_ORACLES, HEARTBEAT_SECONDS, TOKENS, VAULTS, TokenParameters
from chain.world_site import Site
from chain.world_uniswap import Exchange
from domain.market import Catalog, Contracts, Strategy, StrategyKind, Token

MULTICALL3: Final = "0xca11bde05977b3631167028862be2a173976ca11"  # https://github.com/mds1/multicall
PERMIT2: Final = "0x000000000022d473030f116ddee9f6b43ac78ba3"  # https://github.com/Uniswap/permit2
VAULT_DECIMALS: Final = 18
HEADER: Final = """\
# What this account may touch on the local chain: the allowlist. Nothing outside it is ever called or approved.
# Addresses are those of every freshly built local chain. Renew this file with
#     python -m chain.world_build > config/strategies.toml
"""
COMMENTS: Final = {
    "contracts": "# The fixed infrastructure of the chain.",
    "tokens": "# Tokens the account may hold. A price older than its feed's heartbeat is stale.",
    "strategies": "# Places that pay a yield. oracles, collateral and factors: risks they share.",
    "venues": "# Uniswap v3 pools. fee_pips: hundredths of a basis point.",
}


class SafeContracts(NamedTuple):
    """Safe 1.4.1 and the treasury's own account."""

    singleton: str
    factory: str
    fallback_handler: str
    multisend_call_only: str
    account: str


def describe_catalog(
    site: Site, *, market: AaveMarket, exchange: Exchange, vaults: dict[str, str], safe: SafeContracts
) -> Catalog:
    contracts = Contracts(
        aave_pool=market.pool,
        aave_data_provider=market.data_provider,
        swap_router=exchange.router,
        quoter=exchange.quoter,
        multicall=MULTICALL3,
        multisend_call_only=safe.multisend_call_only,
        permit2=PERMIT2,
    )
    return Catalog(
        chain_id=CHAIN_ID,
        account=safe.account,
        operator=site.operator,
        reserve_token="usdc",  # noqa: S106  # an id, not a secret
        native_token="weth",  # noqa: S106
        contracts=contracts,
        tokens=tuple(_token(site, token) for token in TOKENS),
        strategies=(*_aave_strategies(market), *_vault_strategies(vaults)),
        venues=exchange.venues,
    )


def _token(site: Site, token: TokenParameters) -> Token:
    return Token(
        id=token.id,
        address=site.tokens[token.id],
        decimals=token.decimals,
        issuer=token.issuer,
        feed=site.feeds[token.id],
        feed_heartbeat_seconds=HEARTBEAT_SECONDS,
        is_stable=token.is_stable,
    )


def _aave_strategies(market: AaveMarket) -> tuple[Strategy, ...]:
    return tuple(
        Strategy(
            id=f"aave-{token.id}",
            kind=StrategyKind.AAVE_V3,
            protocol="aave-v3",
            token=token.id,
            contract=market.pool,
            receipt=market.receipts[token.id],
            receipt_decimals=token.decimals,
            oracles=AAVE_ORACLES,
            collateral=AAVE_COLLATERAL,
        )
        for token in TOKENS
    )


def _vault_strategies(vaults: dict[str, str]) -> tuple[Strategy, ...]:
    return tuple(
        Strategy(
            id=vault.id,
            kind=StrategyKind.ERC4626,
            protocol=vault.protocol,
            token=vault.token,
            contract=vaults[vault.id],
            receipt=vaults[vault.id],
            receipt_decimals=VAULT_DECIMALS,
            oracles=vault.oracles,
            collateral=vault.collateral,
            factors=vault.factors,
        )
        for vault in VAULTS
    )


def render_toml(catalog: Catalog) -> str:
    """Text that Catalog.model_validate(tomllib.loads(text)) turns into the same catalog again."""
    names = {"chain_id", "account", "operator", "reserve_token", "native_token"}
    scalars = catalog.model_dump(mode="json", include=names)
    groups = {"tokens": catalog.tokens, "strategies": catalog.strategies, "venues": catalog.venues}
    parts = [
        HEADER + _rows(scalars),
        f"{COMMENTS['contracts']}\n[contracts]\n" + _rows(catalog.contracts.model_dump(exclude_none=True)),
    ]
    for name, entries in groups.items():
        tables = [f"[[{name}]]\n{_rows(entry.model_dump(mode='json'))}" for entry in entries]
        parts.append(COMMENTS[name] + "\n" + "\n".join(tables))
    return "\n".join(parts)


def _rows(fields: dict[str, object]) -> str:
    return "".join(f"{key} = {_literal(value)}\n" for key, value in fields.items())


def _literal(value: object) -> str:
    """JSON spells strings, integers, booleans and lists of them as TOML does."""
    return json.dumps(value)

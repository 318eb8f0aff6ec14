"""The treasuries that the fuzzer works for: the sample, one where everything hangs together, and the shipped one."""

from __future__ import annotations

import tomllib
from typing import Final

from domain.market import Catalog, Strategy, StrategyKind, Venue
from tests.builders import address, make_catalog
from tests.oracle.desk import VAULT
from tests.oracle.sample import changed
from tests.repository import ROOT

CATALOG: Final = make_catalog()
ON_ROLLUP: Final = changed(CATALOG, contracts=changed(CATALOG.contracts, sequencer_feed=address(0x77)))
"""The same treasury on a chain with a sequencer."""
SHIPPED: Final = Catalog.model_validate(tomllib.loads((ROOT / "config" / "strategies.toml").read_text()))
SECOND_VAULT: Final = "vault-second-usdc"
ISSUERS: Final = {"dai": "one-issuer", "usdx": "one-issuer", "weth": "custodian", "wbtc": "custodian"}
ORACLES: Final = {"aave-usdc": ("chainlink", "pyth"), "aave-weth": ("pyth",), VAULT: ("chainlink", "pyth", "redstone")}


def _entangled() -> Catalog:
    """Shared issuers, oracles, collateral and owners; vaults that rest on other protocols; two pools of one pair."""
    tokens = tuple(changed(token, issuer=ISSUERS.get(token.id, token.issuer)) for token in CATALOG.tokens)
    strategies = tuple(_hung_together(strategy) for strategy in CATALOG.strategies)
    second = Strategy(
        id=SECOND_VAULT,
        kind=StrategyKind.ERC4626,
        protocol="limited-vault",
        token="usdc",
        contract=address(0x302),
        receipt=address(0x302),
        receipt_decimals=18,
        oracles=("pyth",),
        collateral=("weth", "usdx"),
        factors=("aave-v3", "unlisted-protocol", "vault-owner"),
    )
    venue = Venue(id="usdc-dai-500", pool=address(0x404), token_0="dai", token_1="usdc", fee_pips=500)
    return changed(CATALOG, tokens=tokens, strategies=(*strategies, second), venues=(*CATALOG.venues, venue))


def _hung_together(strategy: Strategy) -> Strategy:
    oracles = ORACLES.get(strategy.id, strategy.oracles)
    if strategy.id == VAULT:
        return changed(strategy, oracles=oracles, collateral=("wbtc",), factors=("aave-v3", "vault-owner", "curator"))
    return changed(strategy, oracles=oracles, factors=("limited-vault",) if strategy.token == "wbtc" else ())


ENTANGLED: Final = _entangled()

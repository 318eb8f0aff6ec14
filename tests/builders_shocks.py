"""Roles of the sample treasury's tokens, for tests of shocks and scores."""

from __future__ import annotations

from domain.risk_facts import RiskFacts, TokenFact, TokenRole

ROLES = {
    "usdc": TokenRole.RESERVE_BACKED,
    "dai": TokenRole.CRYPTO_BACKED,
    "usdx": TokenRole.ALGORITHMIC,
    "weth": TokenRole.ETHER,
    "wbtc": TokenRole.BITCOIN,
}


def make_facts(**changes: object) -> RiskFacts:
    tokens = tuple(TokenFact(id=token, role=role) for token, role in ROLES.items())
    return RiskFacts.model_validate({"tokens": tokens, **changes})

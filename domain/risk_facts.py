"""What risk scores start from besides readings: public facts about tokens and protocols, and the weight of each factor.

Read from config/protocol_scores.toml. A fact that nobody stated is None: unknown, never good and never zero.
"""

from __future__ import annotations

import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from domain.units import ExactDecimal, Ratio, Slug, Value

Points = Annotated[Ratio, Field(ge=0, le=100)]


class TokenRole(StrEnum):
    """What a token's price leans on; a shock moves every token of a role by the same share."""

    BITCOIN = "bitcoin"
    ETHER = "ether"
    LIQUID_STAKING = "liquid_staking"
    ALTCOIN = "altcoin"
    RESERVE_BACKED = "reserve_backed"  # dollars and bills at a custodian: USDC, USDT
    CRYPTO_BACKED = "crypto_backed"  # more collateral on chain than debt: DAI
    ALGORITHMIC = "algorithmic"  # stands on its own token or on a trade: UST


STABLE_ROLES = frozenset({TokenRole.RESERVE_BACKED, TokenRole.CRYPTO_BACKED, TokenRole.ALGORITHMIC})


class AdminPower(StrEnum):
    """Who can change what holds the money, and how soon."""

    NONE = "none"
    TIMELOCKED_VOTE = "timelocked_vote"
    TIMELOCKED_KEYS = "timelocked_keys"
    SEVERAL_KEYS = "several_keys"
    ONE_KEY = "one_key"


class OracleKind(StrEnum):
    """Where the protocol reads the prices that it lends or redeems against."""

    NOT_NEEDED = "not_needed"
    FEED_NETWORK = "feed_network"
    AVERAGED_POOL = "averaged_pool"
    OPERATOR = "operator"
    SPOT_POOL = "spot_pool"


class Factor(StrEnum):
    """One thing that a protocol is scored on."""

    AGE = "age"
    AUDITS = "audits"
    INCIDENTS = "incidents"
    ADMIN = "admin"
    ORACLE = "oracle"
    OPERATION = "operation"
    PEG = "peg"
    SHARE_PRICE = "share_price"
    DEPOSITS_TREND = "deposits_trend"
    WITHDRAWABLE = "withdrawable"
    UTILIZATION = "utilization"
    SIZE = "size"


class FactorGroup(StrEnum):
    """The four parts of a score."""

    SMART_CONTRACT = "smart_contract"
    PROTOCOL = "protocol"
    MARKET = "market"
    LIQUIDITY = "liquidity"


GROUP_OF = {
    Factor.AGE: FactorGroup.SMART_CONTRACT,
    Factor.AUDITS: FactorGroup.SMART_CONTRACT,
    Factor.INCIDENTS: FactorGroup.SMART_CONTRACT,
    Factor.ADMIN: FactorGroup.PROTOCOL,
    Factor.ORACLE: FactorGroup.PROTOCOL,
    Factor.OPERATION: FactorGroup.PROTOCOL,
    Factor.PEG: FactorGroup.MARKET,
    Factor.SHARE_PRICE: FactorGroup.MARKET,
    Factor.DEPOSITS_TREND: FactorGroup.MARKET,
    Factor.WITHDRAWABLE: FactorGroup.LIQUIDITY,
    Factor.UTILIZATION: FactorGroup.LIQUIDITY,
    Factor.SIZE: FactorGroup.LIQUIDITY,
}


class TokenFact(Value):
    id: Slug
    role: TokenRole


class PastIncident(Value):
    """Money lost in a protocol's contracts, as a share of what lay there; what came back is not subtracted."""

    date: datetime.date
    lost_share: Ratio = Field(ge=0, le=1)


class ProtocolFact(Value):
    """What is publicly known of one protocol, and where it was read."""

    id: Slug
    source: str = Field(min_length=1)
    launched: datetime.date | None = None
    audits_count: int | None = Field(default=None, ge=0)
    """Published reports of different firms on the code that is in use."""
    admin: AdminPower | None = None
    oracle: OracleKind | None = None
    incidents: tuple[PastIncident, ...] | None = None
    """Empty: none is known of. None: nobody looked."""


class FactorWeight(Value):
    factor: Factor
    weight: Annotated[ExactDecimal, Field(ge=Decimal(0))]
    """Relative to the others; they need not add up to anything."""


class RiskFacts(Value):
    """Everything in the file. Without one: every factor weighs the same and nothing is known."""

    factors: tuple[FactorWeight, ...] = tuple(FactorWeight(factor=factor, weight=Decimal(1)) for factor in Factor)
    min_known_share: Annotated[ExactDecimal, Field(ge=Decimal(0), le=Decimal(1))] = Decimal("0.7")
    """Of the weight: with less of it known there is no score, only its bounds."""
    tokens: tuple[TokenFact, ...] = ()
    protocols: tuple[ProtocolFact, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for name, ids in (
            ("factors", [str(entry.factor) for entry in self.factors]),
            ("tokens", [token.id for token in self.tokens]),
            ("protocols", [protocol.id for protocol in self.protocols]),
        ):
            if len(ids) != len(set(ids)):
                raise ValueError(f"{name} must name each one once, got {ids}")
        if missing := set(Factor) - {entry.factor for entry in self.factors}:
            raise ValueError(f"factors must weigh every factor, missing {sorted(missing)}")
        if not any(entry.weight for entry in self.factors):
            raise ValueError("factors must weigh something, got 0 for each")
        return self

    def role_of(self, token_id: str) -> TokenRole | None:
        return next((token.role for token in self.tokens if token.id == token_id), None)

    def protocol(self, protocol_id: str) -> ProtocolFact | None:
        return next((fact for fact in self.protocols if fact.id == protocol_id), None)

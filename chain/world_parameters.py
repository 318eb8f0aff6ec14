"""The numbers of the local chain: tokens, rate curves, vaults, pools and the treasury. Change them here only."""

from __future__ import annotations

from typing import Final, NamedTuple

RAY: Final = 10**27
HEARTBEAT_SECONDS: Final = 86_400  # Chainlink's for USDC / USD


class TokenParameters(NamedTuple):
    """One token with its feed and its Aave reserve; amounts in whole tokens, rates as fractions of one."""

    id: str
    decimals: int
    issuer: str
    price_usd: float
    daily_volatility: float
    aave_supplied: int
    utilization: float
    optimal_utilization: float
    slope_1: float
    slope_2: float
    reserve_factor: float

    @property
    def is_stable(self) -> bool:
        return self.price_usd == 1.0


TOKENS: Final = (
    TokenParameters("usdc", 6, "usdc-issuer", 1.0, 0.0001, 40_000_000, 0.72, 0.90, 0.055, 0.60, 0.10),
    TokenParameters("dai", 18, "dai-issuer", 1.0, 0.0002, 30_000_000, 0.76, 0.90, 0.060, 0.75, 0.10),
    TokenParameters("usdx", 18, "usdx-issuer", 1.0, 0.0003, 20_000_000, 0.66, 0.80, 0.070, 0.75, 0.10),
    TokenParameters("weth", 18, "ethereum", 3_500.0, 0.030, 12_000, 0.70, 0.90, 0.027, 0.80, 0.15),
    TokenParameters("wbtc", 8, "wbtc-custodian", 60_000.0, 0.025, 600, 0.60, 0.80, 0.040, 3.00, 0.20),
)

# One whale supplies and borrows every reserve in proportion, so no price move liquidates it at any utilization.
LOAN_TO_VALUE_BPS: Final = 9_000
LIQUIDATION_THRESHOLD_BPS: Final = 9_300
LIQUIDATION_BONUS_BPS: Final = 10_500


AAVE_ORACLES: Final = ("chainlink",)
AAVE_COLLATERAL: Final = ("weth", "wbtc")
"""What nearly all of Aave's debt is owed against."""


class VaultParameters(NamedTuple):
    """One ERC-4626 vault; `deposited` in whole tokens, `apr` as a fraction of one (None: earned elsewhere)."""

    id: str
    contract: str
    protocol: str
    token: str
    deposited: int
    apr: float | None
    factors: tuple[str, ...]
    oracles: tuple[str, ...] = ()
    collateral: tuple[str, ...] = ()


VAULTS: Final = (
    VaultParameters(
        id="vault-aave-usdc",
        contract="AaveVault",
        protocol="aave-wrapper",
        token="usdc",  # noqa: S106  # an id, not a secret
        deposited=8_000_000,
        apr=None,
        factors=("aave-v3",),
        oracles=AAVE_ORACLES,
        collateral=AAVE_COLLATERAL,
    ),
    VaultParameters("vault-limited-dai", "LimitedVault", "limited-vault", "dai", 6_000_000, 0.052, ("vault-owner",)),
    VaultParameters(
        "vault-slashable-usdc", "SlashableVault", "slashable-vault", "usdc", 7_000_000, 0.061, ("vault-owner",)
    ),
    VaultParameters("vault-usdx", "StreamingVault", "usdx-vault", "usdx", 5_000_000, 0.048, ("vault-owner",)),
    VaultParameters("vault-weth", "StreamingVault", "weth-vault", "weth", 1_500, 0.024, ("vault-owner",)),
)
DAILY_WITHDRAWAL_LIMIT_DAI: Final = 400_000
FUNDED_YEARS: Final = 3


class PositionParameters(NamedTuple):
    """Liquidity around the price: so many ticks each way, so many USD on each side."""

    half_width_ticks: int
    side_usd: int


class VenueParameters(NamedTuple):
    """One Uniswap v3 pool."""

    token_a: str
    token_b: str
    fee_pips: int
    positions: tuple[PositionParameters, ...]

    @property
    def id(self) -> str:
        return f"{self.token_a}-{self.token_b}-{self.fee_pips}"


_TIGHT: Final = PositionParameters(200, 6_000_000)
_WIDE: Final = PositionParameters(24_000, 3_000_000)  # a factor of 11 each way: a broken peg stays in range
_VOLATILE: Final = PositionParameters(12_000, 20_000_000)  # a factor of 3.3 each way

VENUES: Final = (
    VenueParameters("usdc", "dai", 100, (_TIGHT, _WIDE)),
    VenueParameters("usdc", "dai", 500, (_TIGHT, _WIDE)),
    VenueParameters("usdc", "usdx", 100, (_TIGHT, _WIDE)),
    VenueParameters("usdc", "usdx", 500, (_TIGHT, _WIDE)),
    VenueParameters("usdc", "weth", 500, (_VOLATILE,)),
    VenueParameters("usdc", "weth", 3_000, (_VOLATILE,)),
    VenueParameters("usdc", "wbtc", 3_000, (_VOLATILE,)),
)
TICK_SPACING: Final = {100: 1, 500: 10, 3_000: 60}  # UniswapV3Factory; 100 is enabled by its owner

TREASURY_CASH: Final = {"usdc": 700_000, "dai": 100_000}
TREASURY_SUPPLIED: Final = {"usdx": 100_000, "weth": 20}
ISSUER_TOKENS_USD: Final = 1_000_000_000
"""What each actor of the market owns of each token, in USD."""
ACTOR_ETHER: Final = 10_000_000


def token_parameters(token_id: str) -> TokenParameters:
    return next(token for token in TOKENS if token.id == token_id)


def ray(fraction: float) -> int:
    """A rate in Aave's 27 decimals, exact to 1e-9."""
    return round(fraction * 10**9) * (RAY // 10**9)

"""Builds the Aave v3 market: its contracts, one reserve per token with a real rate curve, supply and loans."""

from __future__ import annotations

from typing import Final, NamedTuple

from chain.transactor import Read
from chain.world_parameters import (
    LIQUIDATION_BONUS_BPS,
    LIQUIDATION_THRESHOLD_BPS,
    LOAN_TO_VALUE_BPS,
    TOKENS,
    TREASURY_SUPPLIED,
    TokenParameters,
    ray,
)
from chain.world_site import Site, base_units

ZERO: Final = "0x" + "00" * 20
USD_UNIT: Final = 10**8
VARIABLE_RATE: Final = 2  # DataTypes.InterestRateMode.VARIABLE
MARKET_ID: Final = "local"
BORROWABLE: Final = True
_POOL_LIBRARIES: Final = (
    "SupplyLogic",
    "BorrowLogic",
    "LiquidationLogic",
    "EModeLogic",
    "BridgeLogic",
    "PoolLogic",
)
_INIT_RESERVES: Final = (
    "initReserves((address,address,address,uint8,address,address,address,address,"
    "string,string,string,string,string,string,bytes)[])"
)


class AaveMarket(NamedTuple):
    """Addresses of the market; receipts and debts by token id."""

    provider: str
    pool: str
    configurator: str
    oracle: str
    data_provider: str
    receipts: dict[str, str]
    debts: dict[str, str]


class _Implementations(NamedTuple):
    """What the reserves' token proxies point to."""

    receipt: str
    stable_debt: str
    variable_debt: str


def build_aave(site: Site) -> AaveMarket:
    provider, data_provider, oracle = _deploy_registry(site)
    pool, configurator = _deploy_pool(site, provider)
    _list_reserves(site, provider=provider, pool=pool, configurator=configurator)
    receipts, debts = _read_reserves(site, data_provider)
    _supply(site, pool)
    _borrow(site, pool)
    return AaveMarket(provider, pool, configurator, oracle, data_provider, receipts, debts)


def _deploy_registry(site: Site) -> tuple[str, str, str]:
    issuer = site.actors.issuer
    provider = site.deploy("PoolAddressesProvider", MARKET_ID, issuer)
    data_provider = site.deploy("AaveProtocolDataProvider", provider)
    site.send(provider, "setPoolDataProvider(address)", data_provider)
    site.send(provider, "setACLAdmin(address)", issuer)
    site.mine()
    access = site.deploy("ACLManager", provider)
    site.send(provider, "setACLManager(address)", access)
    site.send(access, "addPoolAdmin(address)", issuer)
    site.send(access, "addAssetListingAdmin(address)", issuer)
    assets, feeds = list(site.tokens.values()), list(site.feeds.values())
    oracle = site.deploy("AaveOracle", provider, assets, feeds, ZERO, ZERO, USD_UNIT)
    site.send(provider, "setPriceOracle(address)", oracle)
    site.mine()
    return provider, data_provider, oracle


def _deploy_pool(site: Site, provider: str) -> tuple[str, str]:
    libraries = {name: site.deploy(name) for name in _POOL_LIBRARIES}
    libraries["FlashLoanLogic"] = site.deploy("FlashLoanLogic", libraries=libraries)
    libraries["ConfiguratorLogic"] = site.deploy("ConfiguratorLogic")
    site.send(provider, "setPoolImpl(address)", site.deploy("Pool", provider, libraries=libraries))
    site.mine()
    configurator = site.deploy("PoolConfigurator", libraries=libraries)
    site.send(provider, "setPoolConfiguratorImpl(address)", configurator)
    site.mine()
    pool, configurator = site.transactor.read_addresses(
        Read(provider, "getPool()"), Read(provider, "getPoolConfigurator()")
    )
    return pool, configurator


def _list_reserves(site: Site, *, provider: str, pool: str, configurator: str) -> None:
    implementations = _Implementations(
        site.deploy("AToken", pool), site.deploy("StableDebtToken", pool), site.deploy("VariableDebtToken", pool)
    )
    for token in TOKENS:
        curve = _deploy_curve(site, token, provider)
        site.send(configurator, _INIT_RESERVES, [_reserve_input(site, token, implementations, curve)])
        asset = site.tokens[token.id]
        site.send(
            configurator,
            "configureReserveAsCollateral(address,uint256,uint256,uint256)",
            asset,
            LOAN_TO_VALUE_BPS,
            LIQUIDATION_THRESHOLD_BPS,
            LIQUIDATION_BONUS_BPS,
        )
        site.send(configurator, "setReserveBorrowing(address,bool)", asset, BORROWABLE)
        site.send(configurator, "setReserveFactor(address,uint256)", asset, round(token.reserve_factor * 10_000))
    site.mine()


def _deploy_curve(site: Site, token: TokenParameters, provider: str) -> str:
    """Stable-rate borrowing stays disabled, so its four parameters only have to be valid."""
    variable = (ray(token.optimal_utilization), 0, ray(token.slope_1), ray(token.slope_2))
    stable = (ray(token.slope_1), ray(token.slope_2), ray(0.01), ray(0.08), ray(0.20))
    return site.deploy("DefaultReserveInterestRateStrategy", provider, *variable, *stable)


def _reserve_input(site: Site, token: TokenParameters, tokens: _Implementations, curve: str) -> tuple[object, ...]:
    labels = [prefix + token.id for prefix in ("a", "a", "variable-debt-", "vd-", "stable-debt-", "sd-")]
    treasury = site.actors.issuer
    return (*tokens, token.decimals, curve, site.tokens[token.id], treasury, ZERO, *labels, b"")


def _read_reserves(site: Site, data_provider: str) -> tuple[dict[str, str], dict[str, str]]:
    answers = site.transactor.read(
        *(
            Read(data_provider, "getReserveTokensAddresses(address)", (asset,), "(address,address,address)")
            for asset in site.tokens.values()
        )
    )
    receipts = {token: str(answer[0]) for token, answer in zip(site.tokens, answers, strict=True)}
    debts = {token: str(answer[2]) for token, answer in zip(site.tokens, answers, strict=True)}
    return receipts, debts


def _supply(site: Site, pool: str) -> None:
    borrower = site.actors.borrower
    for token in TOKENS:
        site.approve(token.id, pool, sender=borrower)
        amount = base_units(token.id, token.aave_supplied)
        asset = site.tokens[token.id]
        site.send(pool, "supply(address,uint256,address,uint16)", asset, amount, borrower, 0, sender=borrower)
    site.mine()


def _borrow(site: Site, pool: str) -> None:
    borrower = site.actors.borrower
    for token in TOKENS:
        treasury = TREASURY_SUPPLIED.get(token.id, 0)
        amount = base_units(token.id, (token.aave_supplied + treasury) * token.utilization)
        arguments = (site.tokens[token.id], amount, VARIABLE_RATE, 0, borrower)
        site.send(pool, "borrow(address,uint256,uint256,uint16,address)", *arguments, sender=borrower)
    site.mine()


def supply_treasury(site: Site, pool: str, account: str) -> None:
    for token_id, tokens in TREASURY_SUPPLIED.items():
        site.approve(token_id, pool, sender=site.actors.issuer)
        amount = base_units(token_id, tokens)
        site.send(pool, "supply(address,uint256,address,uint16)", site.tokens[token_id], amount, account, 0)
    site.mine()

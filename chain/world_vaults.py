"""Builds the ERC-4626 vaults: deploys them, lets the depositor in and funds their yield."""

from __future__ import annotations

from typing import Final

from chain.world_aave import AaveMarket
from chain.world_parameters import DAILY_WITHDRAWAL_LIMIT_DAI, FUNDED_YEARS, VAULTS, VaultParameters
from chain.world_site import Site, base_units
from domain.units import SECONDS_PER_YEAR

DEPOSIT: Final = "deposit(uint256,address)"


def build_vaults(site: Site, market: AaveMarket) -> dict[str, str]:
    """Vault addresses by strategy id."""
    vaults = {vault.id: _deploy(site, vault, market) for vault in VAULTS}
    for vault in VAULTS:
        site.approve(vault.token, vaults[vault.id], sender=site.actors.depositor)
        site.approve(vault.token, vaults[vault.id], sender=site.actors.issuer)
    site.mine()
    for vault in VAULTS:
        _deposit(site, vault, vaults[vault.id])
    site.mine()
    return vaults


def _deploy(site: Site, vault: VaultParameters, market: AaveMarket) -> str:
    asset = site.tokens[vault.token]
    if vault.contract == "AaveVault":
        return site.deploy(vault.contract, asset, vault.id, market.pool, market.receipts[vault.token])
    if vault.contract == "LimitedVault":
        limit = base_units(vault.token, DAILY_WITHDRAWAL_LIMIT_DAI)
        return site.deploy(vault.contract, asset, vault.id, limit)
    return site.deploy(vault.contract, asset, vault.id)


def _deposit(site: Site, vault: VaultParameters, address: str) -> None:
    depositor = site.actors.depositor
    site.send(address, DEPOSIT, base_units(vault.token, vault.deposited), depositor, sender=depositor)
    if vault.apr is None:
        return
    yearly = vault.deposited * vault.apr
    site.send(address, "fund(uint256)", base_units(vault.token, yearly * FUNDED_YEARS))
    site.send(address, "setRewardPerSecond(uint256)", base_units(vault.token, yearly) // SECONDS_PER_YEAR)

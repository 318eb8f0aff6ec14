"""Writes the calls of a treasury from its catalog: what the fuzzer's batches are put together from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from domain.market import Catalog
from tests.oracle.actions import EVERYTHING
from tests.oracle.calldata import Call, write_words

USDC: Final = 10**6
COIN: Final = 10**18
WBTC: Final = 10**8
VAULT: Final = "vault-limited-dai"
"""In every catalog here, as are the venues below."""
TO_DAI, TO_USDX, TO_WETH = "usdc-dai-100", "usdc-usdx-100", "usdc-weth-500"
Batches = dict[str, tuple[Sequence[Call], ...]]


@dataclass(frozen=True)
class Desk:
    catalog: Catalog

    def supply(self, token: str, amount: int) -> list[Call]:
        asset, pool = self.catalog.token(token).address, self.catalog.contracts.aave_pool
        return [
            Call(asset, 0, False, write_words("approve", pool, amount)),
            Call(pool, 0, False, write_words("supply", asset, amount, self.catalog.account, 0)),
        ]

    def withdraw(self, token: str, amount: int = EVERYTHING) -> list[Call]:
        data = write_words("withdraw", self.catalog.token(token).address, amount, self.catalog.account)
        return [Call(self.catalog.contracts.aave_pool, 0, False, data)]

    def deposit(self, amount: int, vault: str = VAULT) -> list[Call]:
        strategy = self.catalog.strategy(vault)
        asset = self.catalog.token(strategy.token).address
        return [
            Call(asset, 0, False, write_words("approve", strategy.contract, amount)),
            Call(strategy.contract, 0, False, write_words("deposit", amount, self.catalog.account)),
        ]

    def redeem(self, shares: int, vault: str = VAULT) -> list[Call]:
        account = self.catalog.account
        data = write_words("redeem", shares, account, account)
        return [Call(self.catalog.strategy(vault).contract, 0, False, data)]

    def swap(self, venue: str, sold: str, bought: str, amount: int, minimum: int) -> list[Call]:
        token_in, token_out = self.catalog.token(sold), self.catalog.token(bought)
        router = self.catalog.contracts.swap_router
        fee = next(each.fee_pips for each in self.catalog.venues if each.id == venue)
        words = (token_in.address, token_out.address, fee, self.catalog.account, amount, minimum, 0)
        return [
            Call(token_in.address, 0, False, write_words("approve", router, amount)),
            Call(router, 0, False, write_words("exactInputSingle", *words)),
        ]


def entries(desk: Desk) -> Batches:
    """Into strategies, and between tokens."""
    return {
        "supply": (desk.supply("usdc", 50_000 * USDC),),
        "supply dai": (desk.supply("dai", 60_000 * COIN),),
        "supply wbtc": (desk.supply("wbtc", WBTC // 2),),
        "supply weth": (desk.supply("weth", 3 * COIN + 1),),
        "deposit": (desk.deposit(70_000 * COIN),),
        "deposit odd": (desk.deposit(333_333_333_333_333_333_333),),
        "buy dai": (desk.swap(TO_DAI, "usdc", "dai", 40_000 * USDC, 39_960 * COIN),),
        "buy weth": (desk.swap(TO_WETH, "usdc", "weth", 35_000 * USDC, 9_990_000_000_000_000_000),),
        "rotate": (
            desk.withdraw("usdx", 50_000 * COIN),
            desk.swap(TO_USDX, "usdx", "usdc", 50_000 * COIN, 49_950 * USDC),
            desk.supply("usdc", 45_000 * USDC),
        ),
        "rotate dai": (
            desk.swap(TO_DAI, "usdc", "dai", 20_000 * USDC, 19_985 * COIN),
            desk.supply("dai", 50_000 * COIN),
            desk.deposit(9 * COIN),
        ),
        "three entries": (
            desk.supply("usdc", 10_000 * USDC),
            desk.supply("dai", 10_000 * COIN),
            desk.supply("wbtc", WBTC // 10),
        ),
        "large": (desk.supply("usdc", 300_000 * USDC),),
    }


def exits(desk: Desk) -> Batches:
    """Out of strategies, and of tokens into the reserve."""
    return {
        "sell dai": (desk.swap(TO_DAI, "dai", "usdc", 30_000 * COIN, 29_975 * USDC),),
        "sell weth": (desk.swap(TO_WETH, "weth", "usdc", 2 * COIN, 6_990 * USDC),),
        "sell twice": (
            desk.swap(TO_DAI, "dai", "usdc", 30_000 * COIN, 29_975 * USDC),
            desk.swap(TO_DAI, "dai", "usdc", 7 * COIN, 6_990_000),
        ),
        "withdraw": (desk.withdraw("usdx", 40_000 * COIN),),
        "withdraw all": (desk.withdraw("usdx"),),
        "withdraw weth": (desk.withdraw("weth", 5 * COIN),),
        "redeem": (desk.redeem(20_000 * COIN),),
        "redeem and sell": (
            desk.redeem(20_000 * COIN),
            desk.swap(TO_DAI, "dai", "usdc", 20_000 * COIN, 19_980 * USDC),
        ),
        "leave usdx": (desk.withdraw("usdx"), desk.swap(TO_USDX, "usdx", "usdc", 100_000 * COIN, 99_900 * USDC)),
        "leave in two swaps": (
            desk.withdraw("usdx"),
            desk.swap(TO_USDX, "usdx", "usdc", 60_000 * COIN, 59_950 * USDC),
            desk.swap(TO_USDX, "usdx", "usdc", 40_000 * COIN, 39_960 * USDC),
        ),
        "leave two": (
            desk.withdraw("usdx"),
            desk.withdraw("weth", 4 * COIN),
            desk.swap(TO_WETH, "weth", "usdc", 4 * COIN, 13_980 * USDC),
        ),
    }


def second_vault(desk: Desk, vault: str) -> Batches:
    """What only a catalog with a vault on USDC, of 18 decimals, and a second DAI pool can do."""
    cheap, dear = desk.swap(TO_DAI, "dai", "usdc", 9_000 * COIN, 8_990 * USDC), ("usdc-dai-500", "dai", "usdc")
    return {
        "deposit usdc": (desk.deposit(40_000 * USDC, vault),),
        "redeem usdc": (desk.redeem(10_000 * COIN, vault),),
        "redeem odd": (desk.redeem(777_777_777_777_777_777_777, vault),),
        "two vaults": (desk.deposit(20_000 * COIN), desk.deposit(20_000 * USDC, vault)),
        "between vaults": (desk.redeem(10_000 * COIN, vault), desk.deposit(9_000 * COIN)),
        "both pools": (cheap, desk.swap(*dear, 8_000 * COIN, 7_990 * USDC)),
        "the other pool": (desk.swap("usdc-dai-500", "usdc", "dai", 20_000 * USDC, 19_985 * COIN),),
    }

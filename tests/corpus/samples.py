"""The allowed transactions that differ only in what they do: every action, venue and combination that is built."""

from __future__ import annotations

from typing import Final

from domain.abi import APPROVE
from domain.transaction import UnsignedCall
from domain.units import UINT256_MAX
from tests.builders_evidence import DAI, USDC
from tests.corpus.moves import deposit, redeem, supply, swap, withdraw
from tests.corpus.scene import BOOKS, CATALOG, WETH, make_evidence, risk_of
from tests.corpus.specimen import Specimen, allowed, simulated, with_calls

POOL: Final = CATALOG.contracts.aave_pool

SUPPLY: Final = allowed("supply", "Supplies 50,000 USDC to Aave", [supply("aave-usdc", 50_000 * USDC)])
WITHDRAW: Final = allowed(
    "withdraw", "Withdraws 40,000 USDX from Aave", [withdraw("aave-usdx", 40_000 * DAI)], family="allowlist"
)
DEPOSIT: Final = allowed("deposit", "Deposits 30,000 DAI into a vault", [deposit("vault-limited-dai", 30_000 * DAI)])
REDEEM: Final = allowed(
    "redeem", "Redeems 20,000 DAI worth of vault shares", [redeem("vault-limited-dai", 20_000 * DAI)], base="invested"
)
SWAP: Final = allowed(
    "swap",
    "Swaps 10,000 USDC for at least 9,950 DAI",
    [swap("usdc-dai-100", "usdc", 10_000 * USDC, 9_950 * DAI)],
)
EXIT: Final = allowed(
    "exit-to-reserve",
    "Leaves USDX altogether: the whole Aave position, sold for USDC",
    [
        withdraw("aave-usdx", 100_000 * DAI, is_whole=True),
        swap("usdc-usdx-100", "usdx", 100_000 * DAI, 99_500 * USDC),
    ],
)


def _calls_only(id_: str, sentence: str, *calls: UnsignedCall) -> Specimen:
    """Calls that move nothing."""
    still = make_evidence([supply("aave-usdc", 1)], risk_after=risk_of(BOOKS["treasury"]))
    unmoved = simulated(still.model_copy(update={"after": still.before}), deltas=())
    return Specimen(id=id_, sentence=sentence, family="allowlist", evidence=with_calls(unmoved, calls), base="treasury")


def _approve(amount: int) -> UnsignedCall:
    return UnsignedCall(target=CATALOG.token("usdc").address, data=APPROVE.encode(POOL, amount))


REVOKE: Final = _calls_only("revoke", "Sets the Aave pool's USDC allowance to zero", _approve(0))
APPROVE_TWICE: Final = Specimen(
    id="approve-twice",
    sentence="Approves too much, then the right amount, and supplies that",
    family="allowlist",
    evidence=with_calls(SUPPLY.evidence, [_approve(UINT256_MAX), *SUPPLY.evidence.plan.calls]),
    base="treasury",
)
MAIN: Final = (SUPPLY, WITHDRAW, DEPOSIT, REDEEM, SWAP, EXIT)

OTHERS: Final = (
    allowed("supply-dai", "Supplies 20,000 DAI to Aave", [supply("aave-dai", 20_000 * DAI)]),
    allowed("supply-weth", "Supplies 2 WETH to Aave", [supply("aave-weth", 2 * WETH)], base="invested"),
    allowed(
        "withdraw-whole", "Withdraws all WETH from Aave as 2^256-1", [withdraw("aave-weth", 20 * WETH, is_whole=True)]
    ),
    allowed(
        "withdraw-by-number", "Withdraws all 20 WETH from Aave by their number", [withdraw("aave-weth", 20 * WETH)]
    ),
    allowed("withdraw-usdc", "Withdraws 1 USDC from Aave", [withdraw("aave-usdc", USDC)], base="invested"),
    allowed("withdraw-one-unit", "Withdraws one base unit of USDX from Aave", [withdraw("aave-usdx", 1)]),
    allowed(
        "deposit-aave-vault", "Deposits 30,000 USDC into the Aave vault", [deposit("vault-aave-usdc", 30_000 * USDC)]
    ),
    allowed("deposit-slashable", "Deposits 30,000 USDC into a vault", [deposit("vault-slashable-usdc", 30_000 * USDC)]),
    allowed("deposit-weth", "Deposits 3 WETH into a vault", [deposit("vault-weth", 3 * WETH)], base="invested"),
    allowed(
        "redeem-usdc",
        "Redeems 60,000 USDC worth of shares",
        [redeem("vault-aave-usdc", 60_000 * USDC)],
        base="invested",
    ),
    allowed(
        "redeem-usdx", "Redeems 40,000 USDX worth of shares", [redeem("vault-usdx", 40_000 * DAI)], base="invested"
    ),
    allowed("redeem-weth", "Redeems 5 WETH worth of shares", [redeem("vault-weth", 5 * WETH)], base="invested"),
    allowed(
        "swap-dai", "Sells 10,000 DAI from cash for USDC", [swap("usdc-dai-500", "dai", 10_000 * DAI, 9_960 * USDC)]
    ),
    allowed("swap-usdx", "Buys USDX for 5,000 USDC", [swap("usdc-usdx-500", "usdc", 5_000 * USDC, 4_990 * DAI)]),
    allowed("swap-weth", "Buys WETH for 7,000 USDC", [swap("usdc-weth-500", "usdc", 7_000 * USDC, 199 * WETH // 100)]),
    allowed(
        "swap-weth-dear",
        "Buys WETH for 7,000 USDC on the other fee tier",
        [swap("usdc-weth-3000", "usdc", 7_000 * USDC, 199 * WETH // 100)],
    ),
    allowed("swap-wbtc", "Buys WBTC for 6,000 USDC", [swap("usdc-wbtc-3000", "usdc", 6_000 * USDC, 9_960_000)]),
    allowed(
        "sell-weth",
        "Sells 3 WETH from cash for USDC",
        [swap("usdc-weth-500", "weth", 3 * WETH, 10_460 * USDC)],
        base="invested",
    ),
    allowed(
        "withdraw-and-deposit",
        "Moves 20,000 USDX from Aave into a vault",
        [withdraw("aave-usdx", 20_000 * DAI), deposit("vault-usdx", 20_000 * DAI)],
    ),
    allowed(
        "swap-and-deposit",
        "Swaps 10,000 USDC for DAI and deposits 9,950 of it",
        [swap("usdc-dai-100", "usdc", 10_000 * USDC, 9_950 * DAI), deposit("vault-limited-dai", 9_950 * DAI)],
    ),
    allowed(
        "two-strategies",
        "Supplies USDC to Aave and deposits DAI into a vault",
        [supply("aave-usdc", 30_000 * USDC), deposit("vault-limited-dai", 10_000 * DAI)],
    ),
    allowed(
        "same-strategy-twice",
        "Supplies USDC to Aave twice, each with its own approval",
        [supply("aave-usdc", 30_000 * USDC), supply("aave-usdc", 10_000 * USDC)],
    ),
    allowed(
        "rebalance",
        "Every kind of move in one batch",
        [
            redeem("vault-weth", 5 * WETH),
            swap("usdc-weth-500", "weth", 5 * WETH, 17_430 * USDC),
            supply("aave-usdc", 30_000 * USDC),
            deposit("vault-limited-dai", 10_000 * DAI),
            withdraw("aave-usdx", 10_000 * DAI),
        ],
        base="invested",
    ),
    allowed(
        "exit-by-redeeming",
        "Redeems all USDX shares and sells them for USDC",
        [redeem("vault-usdx", 40_000 * DAI), swap("usdc-usdx-100", "usdx", 40_000 * DAI, 39_800 * USDC)],
        base="invested",
    ),
    allowed(
        "exit-everything",
        "Leaves four strategies into their own tokens at once",
        [
            withdraw("aave-usdc", 100_000 * USDC, is_whole=True),
            withdraw("aave-usdx", 50_000 * DAI, is_whole=True),
            redeem("vault-limited-dai", 50_000 * DAI),
            redeem("vault-weth", 10 * WETH),
        ],
        base="invested",
    ),
)
ALLOWED: Final = (*MAIN, REVOKE, APPROVE_TWICE, *OTHERS)

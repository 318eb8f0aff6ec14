"""The built world: real rates, real quotes, real vaults; a cache that is whole or refused."""

from __future__ import annotations

import json
import shutil
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from chain.anvil import LocalNode
from chain.transactor import Read
from chain.world import World, default_cache, open_world
from chain.world_build import BUILD_ARGUMENTS, build_world
from chain.world_manifest import GENESIS_TIME
from chain.world_parameters import LIQUIDATION_THRESHOLD_BPS, token_parameters
from chain.world_state import read_manifest, write_world
from domain.errors import ConfigurationInvalid, InvariantBroken
from domain.market import Catalog
from tests.chain.market import Market

pytestmark = pytest.mark.chain

STRATEGIES = Path(__file__).parent.parent.parent / "config" / "strategies.toml"
VAULTS = ("vault-aave-usdc", "vault-limited-dai", "vault-slashable-usdc", "vault-usdx", "vault-weth")


@pytest.fixture
def market(world: World) -> Market:
    return Market(world)


@pytest.fixture
def built(world: World) -> Path:
    """The folder of the cached world."""
    return world.extra_dir.parent


@pytest.fixture
def own_cache(built: Path, tmp_path: Path) -> Path:
    """A cache that a test may damage."""
    shutil.copytree(built, tmp_path / built.name)
    return tmp_path


def test_committed_strategies_are_those_of_the_built_world(world: World) -> None:
    committed = Catalog.model_validate(tomllib.loads(STRATEGIES.read_text()))

    assert committed == world.catalog


def test_two_builds_give_the_same_accounts(world: World, tmp_path: Path, built: Path) -> None:
    with LocalNode(arguments=BUILD_ARGUMENTS) as node:
        manifest = build_world(node.rpc, lambda _: None)
        write_world(tmp_path / "again", rpc=node.rpc, manifest=manifest)

    assert read_manifest(tmp_path / "again") == read_manifest(built)


def test_treasury_opens_with_its_cash_and_positions(market: Market) -> None:
    account = market.catalog.account
    receipts = {name: market.catalog.strategy(name).receipt for name in ("aave-usdx", "aave-weth")}

    assert market.balance("usdc", account) == 700_000 * 10**6
    assert market.balance("dai", account) == 100_000 * 10**18
    # A block or two of interest has accrued since.
    assert abs(market.integer(receipts["aave-usdx"], "balanceOf(address)", account) - 100_000 * 10**18) < 10**16
    assert abs(market.integer(receipts["aave-weth"], "balanceOf(address)", account) - 20 * 10**18) < 10**16


def test_safe_is_owned_by_the_operator_alone(market: Market) -> None:
    account = market.catalog.account

    threshold = market.integer(account, "getThreshold()")
    owners = market.transactor.read(Read(account, "getOwners()", (), "(address[])"))[0][0]

    assert threshold == 1
    assert owners == (market.catalog.operator,)


@pytest.mark.parametrize("utilization", ["0.45", "0.90", "0.95"])
def test_aave_rates_follow_the_two_slope_curve(market: Market, utilization: str) -> None:
    market.world.scenario.set_utilization("usdc", Decimal(utilization))
    parameters = token_parameters("usdc")

    reserve = market.reserve("usdc")

    optimal, use = parameters.optimal_utilization, reserve.utilization
    first, second = min(use / optimal, 1.0), max((use - optimal) / (1 - optimal), 0.0)
    borrow_apr = parameters.slope_1 * first + parameters.slope_2 * second
    assert use == pytest.approx(float(utilization), abs=1e-6)
    assert reserve.borrow_apr == pytest.approx(borrow_apr, rel=1e-6)
    assert reserve.supply_apr == pytest.approx(borrow_apr * use * (1 - parameters.reserve_factor), rel=1e-6)


def test_whale_stays_solvent_when_a_reserve_is_fully_lent(market: Market) -> None:
    market.world.scenario.set_utilization("usdc", Decimal(1))

    borrower, pool = market.world.manifest.actors.borrower, market.catalog.contracts.aave_pool
    read = Read(pool, "getUserAccountData(address)", (borrower,), "(uint256,uint256,uint256,uint256,uint256,uint256)")
    values = market.transactor.read(read)[0]
    collateral, debt = int(str(values[0])), int(str(values[1]))

    assert collateral * LIQUIDATION_THRESHOLD_BPS // 10_000 > debt


@pytest.mark.parametrize("vault", VAULTS)
def test_deposit_comes_back_from_every_vault(market: Market, vault: str) -> None:
    token = market.catalog.strategy(vault).token
    assets = 3 * 10 ** market.catalog.token(token).decimals
    before = market.balance(token, market.trader)

    shares = market.deposit(vault, assets)
    market.redeem(vault, shares)

    returned = market.balance(token, market.trader) - before
    tolerance = assets // 10**6 + 2  # two blocks of yield, and rounding in the vault's favour
    assert abs(returned) <= tolerance


@pytest.mark.parametrize("vault", VAULTS)
def test_vault_receipts_have_the_decimals_of_the_catalog(market: Market, vault: str) -> None:
    strategy = market.catalog.strategy(vault)

    assert market.integer(strategy.receipt, "decimals()") == strategy.receipt_decimals
    assert market.transactor.read_addresses(Read(strategy.contract, "asset()"))[0] == (
        market.catalog.token(strategy.token).address
    )


@pytest.mark.parametrize(
    ("token_out", "amount", "fee_pips"),
    [("dai", 100_000 * 10**6, 100), ("usdx", 100_000 * 10**6, 500), ("weth", 50_000 * 10**6, 500)],
)
def test_quote_is_what_the_swap_pays(market: Market, token_out: str, amount: int, fee_pips: int) -> None:
    quoted = market.quote("usdc", token_out, amount=amount, fee_pips=fee_pips)

    received = market.swap("usdc", token_out, amount=amount, fee_pips=fee_pips)

    assert received == quoted


@pytest.mark.parametrize(("token_out", "fee_pips"), [("dai", 100), ("dai", 500), ("usdx", 100), ("usdx", 500)])
def test_swap_of_100k_stables_slips_less_than_ten_basis_points(market: Market, token_out: str, fee_pips: int) -> None:
    received = market.quote("usdc", token_out, amount=100_000 * 10**6, fee_pips=fee_pips)

    assert received >= 100_000 * 10**18 * 9_990 // 10_000


def test_every_venue_is_the_pool_that_it_says(market: Market) -> None:
    for venue in market.catalog.venues:
        first, second = market.transactor.read_addresses(Read(venue.pool, "token0()"), Read(venue.pool, "token1()"))

        assert first == market.catalog.token(venue.token_0).address
        assert second == market.catalog.token(venue.token_1).address
        assert market.integer(venue.pool, "fee()") == venue.fee_pips


def test_permit2_signs_for_this_chain(market: Market) -> None:
    permit2 = market.catalog.contracts.permit2
    kind = keccak(text="EIP712Domain(string name,uint256 chainId,address verifyingContract)")
    fields = ["bytes32", "bytes32", "uint256", "address"]
    expected = keccak(encode(fields, [kind, keccak(text="Permit2"), market.catalog.chain_id, permit2]))

    assert market.transactor.read(Read(permit2, "DOMAIN_SEPARATOR()", (), "(bytes32)"))[0][0] == expected


def test_multicall_answers_at_its_usual_address(market: Market) -> None:
    block_number = int(market.world.node.rpc.call("eth_blockNumber"), 16)

    assert market.integer(market.catalog.contracts.multicall, "getBlockNumber()") == block_number
    assert market.catalog.contracts.multicall == "0xca11bde05977b3631167028862be2a173976ca11"


def test_clock_goes_on_from_the_state_and_not_from_the_wall(market: Market) -> None:
    market.world.node.rpc.call("evm_mine")

    assert market.world.manifest.head_time < market.transactor.head_time() < market.world.manifest.head_time + 60


def test_two_boots_are_the_same_chain(world: World, world_cache: Path) -> None:
    with open_world(cache=world_cache) as other:
        assert other.node.rpc.head()["hash"] == world.node.rpc.head()["hash"]
        assert other.rpc_url != world.rpc_url


def test_reverted_transaction_of_the_builder_is_an_error(market: Market) -> None:
    token = market.catalog.token("usdc").address
    market.transactor.send(market.trader, token, "mint(address,uint256)", market.trader, 1)  # only the issuer may

    with pytest.raises(InvariantBroken, match=r"mint\(address,uint256\) at 0x[0-9a-f]{40} by .* reverted"):
        market.transactor.mine()


def test_slower_builder_leaves_the_faster_ones_world(world: World, own_cache: Path, built: Path) -> None:
    before = (own_cache / built.name / "manifest.json").read_bytes()
    world.scenario.advance(60)

    write_world(own_cache / built.name, rpc=world.node.rpc, manifest=world.manifest)

    assert (own_cache / built.name / "manifest.json").read_bytes() == before
    assert [path.name for path in own_cache.iterdir()] == [built.name]


def test_damaged_state_is_refused_with_its_file_and_the_fix(own_cache: Path, built: Path) -> None:
    state = own_cache / built.name / "state.json"
    state.write_bytes(state.read_bytes()[:-100])

    with pytest.raises(ConfigurationInvalid, match=r"damaged: state.json has sha256 .*delete it: rm -r"):
        open_world(cache=own_cache)


def test_missing_manifest_is_refused(own_cache: Path, built: Path) -> None:
    (own_cache / built.name / "manifest.json").unlink()

    with pytest.raises(ConfigurationInvalid, match=r"manifest\.json is missing"):
        open_world(cache=own_cache)


def test_unreadable_manifest_is_refused(own_cache: Path, built: Path) -> None:
    (own_cache / built.name / "manifest.json").write_text("{}")

    with pytest.raises(ConfigurationInvalid, match=r"manifest\.json cannot be read"):
        open_world(cache=own_cache)


def test_manifest_of_another_format_is_refused(own_cache: Path, built: Path) -> None:
    path = own_cache / built.name / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))

    with pytest.raises(ConfigurationInvalid, match="its format is 99, this version reads 1"):
        open_world(cache=own_cache)


def test_warm_up_runs_once_per_key_and_leaves_its_state_and_files(own_cache: Path) -> None:
    runs: list[int] = []

    def warm_up(world: World) -> None:
        runs.append(1)
        world.scenario.step_day(1)
        (world.extra_dir / "readings.txt").write_text(str(world.scenario.day))

    for _ in range(2):
        with open_world(cache=own_cache, warmup=warm_up, warmup_key="one day") as world:
            assert world.scenario.day == 1
            assert (world.extra_dir / "readings.txt").read_text() == "1"
    with open_world(cache=own_cache, warmup=warm_up, warmup_key="another") as world:
        assert world.scenario.day == 1

    assert len(runs) == 2


def test_failed_warm_up_leaves_nothing_behind(own_cache: Path) -> None:
    before = sorted(own_cache.iterdir())

    def warm_up(world: World) -> None:
        raise InvariantBroken("the market reader lost its place")

    with pytest.raises(InvariantBroken, match="lost its place"):
        open_world(cache=own_cache, warmup=warm_up, warmup_key="fails")

    assert sorted(own_cache.iterdir()) == before


def test_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUTOFI_CACHE", str(tmp_path))
    named = default_cache()
    monkeypatch.delenv("AUTOFI_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    fallback = default_cache()

    assert named == tmp_path
    assert fallback == tmp_path / ".cache" / "autofi"


def test_world_begins_on_its_fixed_day(world: World) -> None:
    assert world.scenario.day == 0
    assert GENESIS_TIME < world.manifest.head_time < GENESIS_TIME + 3_600

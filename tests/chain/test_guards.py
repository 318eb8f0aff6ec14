"""The guards on real transfers: what the builders make passes on the local chain, and exits pass while it breaks."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from chain.client import ChainClient
from chain.simulator import BatchSimulator
from chain.world import World
from collectors.portfolio import AccountReads
from collectors.reader import ChainMarketReader
from domain.market import StrategyKind
from domain.plan import Move, MoveKind
from domain.verdict import Evidence, TradingState
from guards import check
from guards.decode import decode_batch
from guards.soundness import read_again
from tests.builders_evidence import codes, make_budget, make_limits, rows_of
from tests.fakes_chain import FixedClock
from tools.transactions.batch import build_plan

pytestmark = pytest.mark.chain
BYTES_AND_MONEY = ("binding", "allowlist", "simulation", "slippage")
SAMPLE_USD = 5_000


class Desk:
    """Builds a batch for the world as it is and judges it."""

    def __init__(self, world: World) -> None:
        self.catalog = world.catalog
        multicall = self.catalog.contracts.multicall
        self.client = ChainClient(
            world.node.rpc_url, chain_id=self.catalog.chain_id, multicall=multicall, sleep=lambda _: None
        )
        self.clock = FixedClock(self.client.header().time)
        self.reader = ChainMarketReader(self.client, self.catalog, self.clock)
        self.simulator = BatchSimulator(self.client, self.catalog, AccountReads(self.catalog))
        self.policy = make_limits()
        self.before = self.reader.portfolio()
        self.snapshot = self.reader.snapshot()

    def evidence(self, moves: list[Move], **changes: object) -> Evidence:
        plan = build_plan(
            moves=moves,
            run_id="run-1",
            candidate_id="optimal",
            catalog=self.catalog,
            policy_digest=self.policy.digest(),
            snapshot_digest=self.snapshot.digest(),
            fee_cap_wei=10**17,
            expires_at=self.clock.now() + timedelta(minutes=10),
        )
        simulation = self.simulator.simulate(plan)
        fields: dict[str, object] = {
            "now": self.clock.now(),
            "head_block_number": self.reader.head()[0],
            "catalog": self.catalog,
            "policy": self.policy,
            "plan": plan,
            "batch": decode_batch(plan.envelope, catalog=self.catalog),
            "simulation": simulation.report,
            "snapshot": self.snapshot,
            "before": self.before,
            "after": simulation.after,
            "risk_before": None,
            "risk_after": None,
            "scores": (),
            "economics": None,
            "budget": make_budget(),
            "trading_state": TradingState.ACTIVE,
            "approval": None,
        }
        return Evidence.model_validate({**fields, **changes})

    def amount(self, token_id: str) -> int:
        """Base units worth about the sample size, at most what is held in cash."""
        price = self.snapshot.price_usd(token_id)
        units = int(SAMPLE_USD / price * 10 ** self.catalog.token(token_id).decimals)
        return min(units, self.before.cash_of(token_id))

    def swap(self, token_in: str, token_out: str, amount: int) -> Move:
        venue = min(self.catalog.venues_between(token_in, token_out), key=lambda venue: venue.fee_pips)
        quote = self.reader.quote(venue=venue.id, token_in=token_in, token_out=token_out, amount_in=amount)
        return Move(
            kind=MoveKind.SWAP,
            token_in=token_in,
            token_out=token_out,
            amount_in=amount,
            minimum_out=quote.amount_out * 999 // 1000,
            venue=venue.id,
        )

    def entries(self) -> list[Move]:
        kinds = {StrategyKind.AAVE_V3: MoveKind.SUPPLY, StrategyKind.ERC4626: MoveKind.DEPOSIT}
        moves = []
        for strategy in self.catalog.strategies:
            amount = self.amount(strategy.token) // 4
            if amount:
                token = strategy.token
                kind = kinds[strategy.kind]
                moves.append(Move(kind=kind, token_in=token, token_out=token, amount_in=amount, strategy=strategy.id))
        return moves

    def exits(self) -> list[Move]:
        """Out of everything held, and what is not the reserve into it where a pool trades the pair."""
        moves = []
        for position in (position for position in self.before.positions if position.amount):
            strategy = self.catalog.strategy(position.strategy)
            is_vault = strategy.kind is StrategyKind.ERC4626
            move = Move(
                kind=MoveKind.REDEEM if is_vault else MoveKind.WITHDRAW,
                token_in=strategy.token,
                token_out=strategy.token,
                amount_in=position.amount,
                shares=position.shares if is_vault else None,
                strategy=strategy.id,
                is_whole=True,
            )
            moves.append(move)
        reserve = self.catalog.reserve_token
        return moves + [
            self.swap(move.token_in, reserve, move.amount_in)
            for move in moves
            if move.token_in != reserve and self.catalog.venues_between(move.token_in, reserve)
        ]


def bytes_and_money(evidence: Evidence) -> set[str]:
    judged = read_again(evidence)
    return codes(list(itertools.chain.from_iterable(rows_of(name, judged) for name in BYTES_AND_MONEY)))


def test_entering_every_strategy_does_what_the_calls_say(world):
    desk = Desk(world)
    moves = desk.entries()

    assert {move.kind for move in moves} == {MoveKind.SUPPLY, MoveKind.DEPOSIT}
    for move in moves:
        assert bytes_and_money(desk.evidence([move])) == set(), move.strategy


def test_the_way_out_of_everything_passes_though_all_else_is_broken(world):
    desk = Desk(world)
    moves = desk.exits()

    evidence = desk.evidence(
        moves, trading_state=TradingState.HALTED, budget=make_budget(is_intact=False), head_block_number=10**6
    )
    verdict = check(evidence)

    assert len(moves) > 1
    assert codes(verdict.denials) == set()
    assert verdict.is_exit


def test_a_swap_into_a_vault_does_what_the_calls_say(world):
    desk = Desk(world)
    trade = desk.swap("usdc", "dai", desk.amount("usdc"))
    vault = next(s for s in desk.catalog.strategies if s.kind is StrategyKind.ERC4626 and s.token == "dai")
    entry = Move(
        kind=MoveKind.DEPOSIT,
        token_in="dai",
        token_out="dai",
        amount_in=trade.minimum_out,
        strategy=vault.id,
    )

    assert bytes_and_money(desk.evidence([trade, entry])) == set()

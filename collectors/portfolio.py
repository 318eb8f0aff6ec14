"""How the account's holdings are read, as calls and their decoding, so that a simulator can ask the same."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.answers import Answers, Question
from collectors.vaults import probe_shares, redemption_question
from domain import abi
from domain.errors import StaleOrDisputed
from domain.market import Catalog, Strategy, StrategyKind
from domain.portfolio import Balance, Portfolio, Position
from domain.ports import BlockHeader, PortfolioReads, ReadCall, ReadResult


class AccountReads(PortfolioReads):
    """Balances of every catalogued token and receipt; vault shares at what redeeming them pays, rounded down."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._cash = {token.id: self._balance(token.address) for token in catalog.tokens}
        self._receipts = {strategy.id: self._balance(strategy.receipt) for strategy in catalog.strategies}
        self._redemptions = {
            strategy.id: redemption_question(strategy)
            for strategy in catalog.strategies
            if strategy.kind is StrategyKind.ERC4626
        }
        questions = (*self._cash.values(), *self._receipts.values(), *self._redemptions.values())
        self._questions = tuple(dict.fromkeys(questions))

    def calls(self) -> Sequence[ReadCall]:
        return tuple(question.to_call() for question in self._questions)

    def decode(self, results: Sequence[ReadResult], *, header: BlockHeader, native_wei: int) -> Portfolio:
        """Raises StaleOrDisputed when a balance, or the redemption of shares we hold, cannot be read."""
        answers = Answers(self._questions, results)
        return Portfolio(
            account=self._catalog.account,
            chain_id=header.chain_id,
            block_number=header.number,
            taken_at=header.time,
            cash=tuple(
                Balance(token=token, amount=_required(answers.integer(question), f"balance of token {token}", header))
                for token, question in self._cash.items()
            ),
            positions=tuple(self._position(strategy, answers, header) for strategy in self._catalog.strategies),
            native_wei=native_wei,
        )

    def _balance(self, contract: str) -> Question:
        return Question(contract, abi.BALANCE_OF, (self._catalog.account,))

    def _position(self, strategy: Strategy, answers: Answers, header: BlockHeader) -> Position:
        held = answers.integer(self._receipts[strategy.id])
        shares = _required(held, f"receipt balance of strategy {strategy.id}", header)
        return Position(strategy=strategy.id, shares=shares, amount=self._amount(strategy, shares, answers, header))

    def _amount(self, strategy: Strategy, shares: int, answers: Answers, header: BlockHeader) -> int:
        if strategy.kind is StrategyKind.AAVE_V3 or shares == 0:
            return shares
        redeemed = answers.integer(self._redemptions[strategy.id])
        assets = _required(redeemed, f"redemption value of strategy {strategy.id}", header)
        return shares * assets // probe_shares(strategy)


def _required(value: int | None, subject: str, header: BlockHeader) -> int:
    if value is None:
        raise StaleOrDisputed(f"the {subject} could not be read at block {header.number}")
    return value

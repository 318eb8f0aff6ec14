"""What leaving a position was worth, once the market went on: exact arithmetic over a record, no chain."""

from __future__ import annotations

from decimal import Decimal

from domain.errors import InvariantBroken, StaleOrDisputed
from domain.market import Catalog, MarketSnapshot
from domain.run import RunRecord
from domain.units import Value, to_tokens, value_usd


class ExitInHindsight(Value):
    """One token that an exit sold, valued at today's prices."""

    sold_tokens: Decimal
    price_usd: Decimal
    """Of the sold token, today."""
    brought_usd: Decimal
    """What the sale brought, in the reserve."""
    worth_usd: Decimal
    """What was sold, had it been kept."""

    @property
    def avoided_loss_usd(self) -> Decimal:
        return self.brought_usd - self.worth_usd


def judge_exit(record: RunRecord, token_id: str, *, snapshot: MarketSnapshot, catalog: Catalog) -> ExitInHindsight:
    """Raises InvariantBroken when the run sold nothing of the token, StaleOrDisputed when a price is missing."""
    if record.plan is None or record.receipt is None:
        raise InvariantBroken(f"run {record.request.run_id} is {record.status} without a plan and a receipt")
    token, reserve = catalog.token(token_id), catalog.token(catalog.reserve_token)
    sold = sum(m.amount_in for m in record.plan.moves if m.venue is not None and m.token_in == token.id)
    ours = (d for d in record.receipt.deltas if (d.holder, d.token) == (catalog.account, reserve.address))
    brought = sum(delta.amount for delta in ours)
    if sold == 0 or brought <= 0:
        raise InvariantBroken(f"run {record.request.run_id} sold {sold} base units of {token.id} for {brought}")
    price = _price(snapshot, token.id)
    return ExitInHindsight(
        sold_tokens=to_tokens(sold, token.decimals),
        price_usd=price,
        brought_usd=value_usd(brought, decimals=reserve.decimals, price_usd=_price(snapshot, reserve.id)),
        worth_usd=value_usd(sold, decimals=token.decimals, price_usd=price),
    )


def _price(snapshot: MarketSnapshot, token_id: str) -> Decimal:
    price = snapshot.price_usd(token_id)
    if price is None:
        raise StaleOrDisputed(f"token {token_id} has no price at block {snapshot.block_number}")
    return price

"""ERC-20 calls: an approval of exactly what the next call takes. No transfer is ever built."""

from __future__ import annotations

from domain.abi import APPROVE
from domain.errors import InvariantBroken
from domain.market import Token
from domain.transaction import UnsignedCall


def approve(token: Token, *, spender: str, amount: int) -> UnsignedCall:
    """Allow `spender` exactly `amount`; the call that follows consumes all of it, so that nothing is left open."""
    if amount <= 0:
        raise InvariantBroken(f"approval of {token.id} for {spender} must be above 0 base units, got {amount}")
    return UnsignedCall(target=token.address, data=APPROVE.encode(spender, amount))

"""Shadow mode's signer: it has no key, so that nothing can ever leave."""

from __future__ import annotations

from datetime import datetime
from typing import NoReturn

from domain.errors import SigningRefused
from domain.plan import RebalancePlan
from domain.transaction import UnsignedTransaction
from domain.verdict import Certificate


class RefusingSigner:
    def __init__(self, address: str) -> None:
        self._address = address

    @property
    def address(self) -> str:
        return self._address

    def sign(
        self,
        transaction: UnsignedTransaction,
        *,
        plan: RebalancePlan,
        certificate: Certificate,  # noqa: ARG002  # the port's signature
        now: datetime,
    ) -> NoReturn:
        raise SigningRefused(
            f"mode shadow never signs; nonce {transaction.nonce}, batch {plan.batch_digest()}, at {now.isoformat()}"
        )

"""Broadcasts forged batches with the operator's key past every guard, and audits them: the auditor's own test bench."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from chain.world import World
from domain.market import Catalog
from domain.policy import Policy
from domain.transaction import UnsignedCall
from tests.builders import make_policy
from tests.redteam.audit_chain import Chain
from tests.redteam.audit_records import Books
from tests.redteam.auditor import Audit, Auditor
from tests.redteam.findings import Rule
from tests.redteam.forgeries import approve, deposit, supply, swap, units
from tools.transactions.safe import wrap_calls

GWEI = 10**9
POLL_SECONDS = 0.005
SMALL = 1_000
"""Whole tokens, far below every limit."""
BOOKKEEPING = {Rule.UNRECORDED}
"""What is found whenever somebody broadcasts by hand: the product has no record of it."""


class Desk:
    """One chain, everything on it since the desk was set up."""

    def __init__(self, world: World, chain: Chain) -> None:
        self.rpc, self.catalog, self.scenario, self.chain = world.node.rpc, world.catalog, world.scenario, chain
        self.actors = world.manifest.actors
        self.first = chain.head() + 1

    def send(self, envelope: UnsignedCall, *, sender: str | None = None, gas_price: int = 20 * GWEI) -> str:
        fields = {
            "from": sender or self.catalog.operator,
            "to": envelope.target,
            "data": envelope.data,
            "value": hex(envelope.value_wei),
            "gas": hex(6_000_000),
            "gasPrice": hex(gas_price),
        }
        transaction = str(self.rpc.call("eth_sendTransaction", fields))
        while self.rpc.call("eth_getTransactionReceipt", transaction) is None:
            time.sleep(POLL_SECONDS)
        return transaction

    def batch(self, *calls: UnsignedCall) -> str:
        return self.send(wrap_calls(calls, self.catalog))

    def audit(self, books: Books | None = None, **limits: object) -> Audit:
        return Auditor(self.chain, self.catalog, changed_policy(**limits)).audit(
            first=self.first, books=books or Books((), (), (), ())
        )

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.chain.header(self.chain.head()).time, tz=UTC)


def changed_policy(**limits: object) -> Policy:
    """The demo's policy with some limits replaced, each named section__limit."""
    sections: dict[str, dict[str, object]] = {}
    for name, limit in limits.items():
        section, key = name.split("__")
        sections.setdefault(section, {})[key] = limit
    fields = make_policy().model_dump()
    return Policy.model_validate({**fields, **{name: {**fields[name], **new} for name, new in sections.items()}})


def honest(catalog: Catalog) -> tuple[UnsignedCall, ...]:
    """An entry within every limit: some USDC to Aave, some swapped for DAI that goes to a vault."""
    amount = units(catalog.token("dai"), 9_900)
    vault = catalog.strategy("vault-limited-dai")
    entry = approve(catalog.token("dai"), vault.contract, amount), deposit(catalog, vault.id, 9_900)[1]
    return supply(catalog, "usdc", 30_000) + swap(catalog, ("usdc", "dai"), 10_000) + entry

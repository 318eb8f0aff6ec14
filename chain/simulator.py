"""Runs a plan's exact bytes on the head's state, in a block of their own, and reads what they leave behind."""

from __future__ import annotations

from typing import Final

from eth_abi.exceptions import DecodingError

from chain.client import CallRequest, ChainClient, decode_reads, encode_reads
from chain.logs import Allowance, approvals_by, net_transfers
from chain.parsing import SimulatedCall
from chain.reverts import describe_revert
from domain.abi import ALLOWANCE, APPROVE, GET_ETH_BALANCE
from domain.errors import ChainUnavailable, SimulationFailed
from domain.market import Catalog
from domain.plan import RebalancePlan
from domain.ports import BlockHeader, PortfolioReads, ReadCall, ReadResult, Simulation, Simulator
from domain.transaction import FeeQuote, LeftoverApproval, SimulationReport
from domain.units import UINT256_MAX

# The next block's time: at the head's own time nothing has accrued yet and gas comes out too low.
SLOT_SECONDS: Final = 12
# The limit must hold gas before refunds, at most 1/5 of it (EIP-3529), and nested calls keep back 1/64 (EIP-150).
NEEDED_GAS_TENTHS: Final = 13
WANTED_GAS_TENTHS: Final = 15


class BatchSimulator(Simulator):
    """`portfolio_reads` is asked of the simulated state, so `after` is read and not computed from the plan."""

    def __init__(self, client: ChainClient, catalog: Catalog, portfolio_reads: PortfolioReads) -> None:
        self._client = client
        self._catalog = catalog
        self._portfolio_reads = portfolio_reads

    def simulate(self, plan: RebalancePlan) -> Simulation:
        head = self._client.header()
        watched = _approved_in(plan)
        batch, results = self._run(plan, head, watched)
        unseen = approvals_by(self._catalog.account, batch.logs) - watched
        if unseen:
            watched |= unseen
            batch, results = self._run(plan, head, watched)
        return self._report(plan, head, batch, sorted(watched), results)

    def quote_fees(self, plan: RebalancePlan) -> FeeQuote:
        """Fees for the next blocks, within the plan's cap while the gas suffices. A revert raises SimulationFailed."""
        head = self._client.header()
        request = self._request(plan)
        (batch,) = self._client.simulate_v1([request], head=head, seconds=SLOT_SECONDS)
        if not batch.succeeded:
            raise SimulationFailed(
                f"batch {plan.batch_digest()} at block {head.number}: {self._failure(request, head)}"
            )
        tip_wei = self._client.priority_fee_wei()
        price_wei = 2 * head.base_fee_wei + tip_wei
        wanted, needed = (-(-batch.gas_used * tenths // 10) for tenths in (WANTED_GAS_TENTHS, NEEDED_GAS_TENTHS))
        return FeeQuote(
            gas_limit=max(needed, min(wanted, plan.fee_cap_wei // price_wei)),
            max_fee_per_gas_wei=price_wei,
            max_priority_fee_per_gas_wei=tip_wei,
        )

    def _run(
        self, plan: RebalancePlan, head: BlockHeader, watched: set[Allowance]
    ) -> tuple[SimulatedCall, list[ReadResult]]:
        """The batch, then in the same block everything we want to know about its outcome."""
        reads = [*self._portfolio_reads.calls(), self._native_read(), *map(self._allowance_read, sorted(watched))]
        multicall = self._catalog.contracts.multicall
        calls = [self._request(plan), CallRequest(multicall, multicall, encode_reads(reads))]
        batch, reading = self._client.simulate_v1(calls, head=head, seconds=SLOT_SECONDS)
        if not reading.succeeded:
            raise ChainUnavailable(f"the state after the batch at block {head.number} could not be read")
        return batch, decode_reads(reading.data, expected=len(reads))

    def _report(
        self,
        plan: RebalancePlan,
        head: BlockHeader,
        batch: SimulatedCall,
        watched: list[Allowance],
        results: list[ReadResult],
    ) -> Simulation:
        holdings_count = len(self._portfolio_reads.calls())
        holdings, native, allowances = results[:holdings_count], results[holdings_count], results[holdings_count + 1 :]
        report = SimulationReport(
            batch_digest=plan.batch_digest(),
            chain_id=head.chain_id,
            block_number=head.number,
            block_hash=head.hash,
            simulated_at=head.time,
            succeeded=batch.succeeded,
            failure=None if batch.succeeded else self._failure(self._request(plan), head),
            gas_used=batch.gas_used,
            deltas=net_transfers(batch.logs) if batch.succeeded else (),
            leftover_approvals=_leftovers(watched, allowances),
        )
        native_wei = _integer(native)
        if native_wei is None:
            raise ChainUnavailable(f"the native balance after the batch at block {head.number} could not be read")
        after = self._portfolio_reads.decode(holdings, header=head, native_wei=native_wei)
        return Simulation(report=report, after=after)

    def _failure(self, request: CallRequest, head: BlockHeader) -> str:
        """eth_simulateV1 gives no revert data, so the call is repeated."""
        answer = self._client.call(request, block_number=head.number)
        return "fails only in a block of its own" if answer.succeeded else describe_revert(answer.data)

    def _request(self, plan: RebalancePlan) -> CallRequest:
        envelope = plan.envelope
        return CallRequest(self._catalog.operator, envelope.target, envelope.data, envelope.value_wei)

    def _native_read(self) -> ReadCall:
        data = GET_ETH_BALANCE.encode(self._catalog.account)
        return ReadCall(target=self._catalog.contracts.multicall, data=data)

    def _allowance_read(self, allowance: Allowance) -> ReadCall:
        return ReadCall(target=allowance.token, data=ALLOWANCE.encode(self._catalog.account, allowance.spender))


def _approved_in(plan: RebalancePlan) -> set[Allowance]:
    """Where the plan's calls approve, as a first guess; the events of the run decide what is asked in the end."""
    found = set()
    for call in plan.calls:
        try:
            spender, _ = APPROVE.decode_input(bytes.fromhex(call.data[2:]))
        except DecodingError:
            continue
        found.add(Allowance(token=call.target, spender=str(spender)))
    return found


def _leftovers(watched: list[Allowance], results: list[ReadResult]) -> tuple[LeftoverApproval, ...]:
    """Open allowances; one that cannot be read counts as unlimited."""
    amounts = [_integer(result) for result in results]
    return tuple(
        LeftoverApproval(token=token, spender=spender, amount=UINT256_MAX if amount is None else amount)
        for (token, spender), amount in zip(watched, amounts, strict=True)
        if amount != 0
    )


def _integer(result: ReadResult) -> int | None:
    if not result.succeeded:
        return None
    try:
        (amount,) = ALLOWANCE.decode_output(result.data)
    except DecodingError:
        return None
    return amount if isinstance(amount, int) else None

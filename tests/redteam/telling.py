"""Books as an honest product would keep them about one transaction, for tests that then spoil them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domain.market import Catalog
from domain.plan import RebalancePlan
from domain.run import RunRecord, RunRequest, RunStatus, Trigger, Workflow
from domain.transaction import Receipt, UnsignedCall
from domain.verdict import Approval, ApprovalStatus
from tests.redteam.audit_chain import Chain
from tests.redteam.audit_records import Books

DIGEST = "ab" * 32
RUN_ID = "run-told"


def told(chain: Chain, catalog: Catalog, transaction: str, *, approved_by: str | None = None) -> Books:
    raw = chain.call("eth_getTransactionByHash", transaction)
    receipt = chain.call("eth_getTransactionReceipt", transaction)
    block = int(raw["blockNumber"], 16)
    moment = datetime.fromtimestamp(chain.header(block).time, tz=UTC)
    plan = _plan(catalog, raw["input"], expires_at=moment + timedelta(minutes=30))
    record = RunRecord(
        request=RunRequest(
            run_id=RUN_ID,
            workflow=Workflow.OPTIMIZE,
            trigger=Trigger.OPERATOR,
            requested_by="olga",
            requested_at=moment,
        ),
        status=RunStatus.EXECUTED,
        summary="executed",
        mode="paper",
        code_version="test",
        policy_digest=DIGEST,
        catalog_digest=DIGEST,
        block_number=block - 1,
        plan=plan,
        batch_digest=plan.batch_digest(),
        receipt=Receipt(
            batch_digest=plan.batch_digest(),
            transaction_hash=transaction,
            chain_id=catalog.chain_id,
            block_number=block,
            block_hash=raw["blockHash"],
            succeeded=True,
            gas_used=int(receipt["gasUsed"], 16),
            effective_gas_price_wei=int(receipt["effectiveGasPrice"], 16),
            deltas=(),
            mined_at=moment,
        ),
        finished_at=moment,
    )
    return Books((record,), () if approved_by is None else (_consent(plan, approved_by, moment),), (), ())


def _plan(catalog: Catalog, data: str, *, expires_at: datetime) -> RebalancePlan:
    return RebalancePlan(
        run_id=RUN_ID,
        chain_id=catalog.chain_id,
        account=catalog.account,
        candidate="optimal",
        moves=(),
        calls=(),
        envelope=UnsignedCall(target=catalog.account, data=data),
        minimum_outs=(),
        fee_cap_wei=10**18,
        policy_digest=DIGEST,
        snapshot_digest=DIGEST,
        expires_at=expires_at,
    )


def _consent(plan: RebalancePlan, approved_by: str, moment: datetime) -> Approval:
    return Approval(
        batch_digest=plan.batch_digest(),
        run_id=RUN_ID,
        status=ApprovalStatus.USED,
        requested_by="olga",
        answered_by=approved_by,
        role="approver",
        requested_at=moment - timedelta(minutes=5),
        expires_at=moment + timedelta(minutes=25),
        summary="",
    )

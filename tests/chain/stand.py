"""The product on its own chain with a node between them that a test can make lie, and hands to move the market."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from app.paper import PaperChain
from app.settings import Settings
from app.wiring import Application, make_signer, new_request, open_application
from chain.anvil import NodeRpc
from chain.client import ChainClient
from chain.sender import JournalSender
from chain.simulator import BatchSimulator
from collectors.portfolio import AccountReads
from collectors.reader import ChainMarketReader
from domain.run import RunRecord, RunStatus, Trigger, Workflow
from domain.transaction import Intent
from graph.conduct import Conductor
from graph.workflow import build_graph
from memory.checkpoints import open_checkpointer
from tests.chain.lying_node import LyingNode
from tests.redteam.poison import Market

REORGED_BLOCKS = 2


class Stand:
    """One home; `node` is what the product asks, `rpc` what the test asks."""

    def __init__(self, application: Application, paper: PaperChain, rpc: NodeRpc, node: LyingNode) -> None:
        self.application, self.rpc, self.node = application, rpc, node
        self.dependencies = application.dependencies
        self.catalog = self.dependencies.catalog
        self.market = Market(rpc, paper.manifest)
        self.scenario = self.market.scenario
        self.on_step: Callable[[str], None] = lambda _: None
        self.wait: Callable[[float], None] = lambda _: None
        self.confirmations = 0
        self._saver = open_checkpointer(application.settings.home / "through-the-node.db")

    def close(self) -> None:
        self._saver.conn.close()

    def conductor(self) -> Conductor:
        """The product as it is wired, but for the node."""
        multicall, clock = self.catalog.contracts.multicall, self.dependencies.clock
        client = ChainClient(self.node.url, chain_id=self.catalog.chain_id, multicall=multicall, sleep=lambda _: None)
        dependencies = replace(
            self.dependencies,
            market=ChainMarketReader(client, self.catalog, clock),
            simulator=BatchSimulator(client, self.catalog, AccountReads(self.catalog)),
            sender=self._sender(client),
        )
        return Conductor(build_graph(dependencies, self._saver), dependencies)

    def _sender(self, client: ChainClient) -> JournalSender:
        return JournalSender(
            self.application.stores.execution,
            client,
            make_signer(self.application.settings, self.catalog),
            BatchSimulator(client, self.catalog, AccountReads(self.catalog)).quote_fees,
            self.dependencies.clock,
            wait=self._wait,
            confirmations=self.confirmations,
            on_step=self._pass,
        )

    def _wait(self, seconds: float) -> None:
        self.wait(seconds)

    def _pass(self, step: str) -> None:
        self.on_step(step)

    def run(self) -> tuple[RunStatus, str]:
        request = new_request(self.application, Workflow.OPTIMIZE, trigger=Trigger.OPERATOR)
        return self.conductor().start(request), request.run_id

    def record(self, run_id: str) -> RunRecord:
        record = self.dependencies.runs.record(run_id)
        assert record is not None, f"{run_id} has no record"
        return record

    def intents(self) -> list[Intent]:
        return list(self.application.stores.execution.open_intents())

    def nonce(self) -> int:
        """Of the operator: one more for every transaction of the treasury."""
        return int(self.rpc.call("eth_getTransactionCount", self.catalog.operator, "latest"), 16)

    def is_mined(self, transaction_hash: str) -> bool:
        return self.rpc.call("eth_getTransactionReceipt", transaction_hash) is not None

    def reorg_at(self, step: str) -> None:
        """Once, when the sender passes this step, the newest blocks are replaced by empty ones."""

        def on_step(passed: str) -> None:
            if passed == step:
                self.on_step = lambda _: None
                self.reorg()

        for _ in range(REORGED_BLOCKS):
            self.rpc.call("evm_mine")  # blocks of before the chain was opened cannot be replaced
        self.on_step = on_step

    def reorg(self) -> None:
        self.rpc.call("evm_mine")
        self.rpc.call("anvil_reorg", REORGED_BLOCKS, [])


@contextmanager
def open_stand(settings: Settings) -> Iterator[Stand]:
    with open_application(settings) as application:
        paper = PaperChain.of(settings.home)
        url = paper.start()
        with (
            closing(NodeRpc(url)) as rpc,
            LyingNode(url) as node,
            closing(Stand(application, paper, rpc, node)) as stand,
        ):
            yield stand

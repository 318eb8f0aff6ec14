"""The building site: deploys artifacts by name and remembers the tokens; shared by the protocols' builders."""

from __future__ import annotations

from typing import Final

from chain.anvil import NodeRpc
from chain.transactor import Transactor
from chain.world_artifacts import Artifact, compile_contracts, load_artifact
from chain.world_manifest import Actors
from chain.world_parameters import token_parameters

DEPLOY_GAS: Final = 15_000_000
WHOLE_BALANCE: Final = 2**256 - 1


class Site:
    """Everything a protocol's builder needs: where to send, who acts, what exists already."""

    def __init__(self, rpc: NodeRpc, *, actors: Actors, operator: str) -> None:
        self.rpc = rpc
        self.transactor = Transactor(rpc)
        self.actors = actors
        self.operator = operator
        self.tokens: dict[str, str] = {}
        self.feeds: dict[str, str] = {}
        self._own: dict[str, Artifact] = compile_contracts()

    def deploy(self, name: str, *arguments: object, libraries: dict[str, str] | None = None) -> str:
        artifact = self._own.get(name) or load_artifact(name)
        return self.deploy_code(artifact.init_code(arguments, libraries or {}), label=name)

    def deploy_code(self, init_code: str, *, label: str) -> str:
        return self.transactor.deploy(self.actors.issuer, init_code, label=label, gas=DEPLOY_GAS)

    def send(self, target: str, signature: str, *arguments: object, sender: str | None = None) -> None:
        self.transactor.send(sender or self.actors.issuer, target, signature, *arguments, gas=DEPLOY_GAS)

    def approve(self, token_id: str, spender: str, *, sender: str) -> None:
        self.send(self.tokens[token_id], "approve(address,uint256)", spender, WHOLE_BALANCE, sender=sender)

    def mine(self) -> None:
        self.transactor.mine()


def base_units(token_id: str, tokens: float) -> int:
    """Whole tokens to base units; for parameters, never for somebody's balance."""
    unit: int = 10 ** token_parameters(token_id).decimals
    return int(tokens * 10**6) * unit // 10**6

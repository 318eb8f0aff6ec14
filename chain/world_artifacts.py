"""Bytecode of the protocols: read from the npm packages, linked, and compiled where the Solidity is ours."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from chain.anvil import REPOSITORY
from chain.transactor import encode_arguments
from domain.errors import ConfigurationInvalid

PACKAGES: Final = REPOSITORY / "node_modules"
COMPILE_SCRIPT: Final = REPOSITORY / "contracts" / "compile.cjs"
SOURCES: Final = REPOSITORY / "contracts" / "world"
COMPILE_DEADLINE_SECONDS: Final = 120

_AAVE: Final = "@aave/core-v3/artifacts/contracts"
_SAFE: Final = "@safe-global/safe-contracts/build/artifacts/contracts"
_ROUTERS: Final = "@uniswap/swap-router-contracts/artifacts/contracts"
_PATHS: Final = {
    "PoolAddressesProvider": f"{_AAVE}/protocol/configuration",
    "ACLManager": f"{_AAVE}/protocol/configuration",
    "Pool": f"{_AAVE}/protocol/pool",
    "PoolConfigurator": f"{_AAVE}/protocol/pool",
    "DefaultReserveInterestRateStrategy": f"{_AAVE}/protocol/pool",
    "SupplyLogic": f"{_AAVE}/protocol/libraries/logic",
    "BorrowLogic": f"{_AAVE}/protocol/libraries/logic",
    "LiquidationLogic": f"{_AAVE}/protocol/libraries/logic",
    "EModeLogic": f"{_AAVE}/protocol/libraries/logic",
    "BridgeLogic": f"{_AAVE}/protocol/libraries/logic",
    "FlashLoanLogic": f"{_AAVE}/protocol/libraries/logic",
    "PoolLogic": f"{_AAVE}/protocol/libraries/logic",
    "ConfiguratorLogic": f"{_AAVE}/protocol/libraries/logic",
    "AToken": f"{_AAVE}/protocol/tokenization",
    "StableDebtToken": f"{_AAVE}/protocol/tokenization",
    "VariableDebtToken": f"{_AAVE}/protocol/tokenization",
    "AaveOracle": f"{_AAVE}/misc",
    "AaveProtocolDataProvider": f"{_AAVE}/misc",
    "WETH9": f"{_AAVE}/dependencies/weth",
    "UniswapV3Factory": "@uniswap/v3-core/artifacts/contracts",
    "NonfungiblePositionManager": "@uniswap/v3-periphery/artifacts/contracts",
    "QuoterV2": f"{_ROUTERS}/lens",
    "SwapRouter02": _ROUTERS,
    "Safe": _SAFE,
    "SafeProxyFactory": f"{_SAFE}/proxies",
    "MultiSendCallOnly": f"{_SAFE}/libraries",
    "CompatibilityFallbackHandler": f"{_SAFE}/handler",
}


class Artifact(NamedTuple):
    """A contract's name, constructor types and creation bytecode with library placeholders."""

    name: str
    constructor: str
    bytecode: str
    libraries: Mapping[str, tuple[int, ...]]
    """Byte offsets of each library's address in the bytecode."""

    def init_code(self, arguments: tuple[object, ...], libraries: Mapping[str, str]) -> str:
        code = self.bytecode.removeprefix("0x")
        for library, offsets in self.libraries.items():
            address = libraries[library].removeprefix("0x")
            for offset in offsets:
                code = code[: 2 * offset] + address + code[2 * offset + len(address) :]
        return "0x" + code + encode_arguments(self.constructor, arguments).hex()


def load_artifact(name: str) -> Artifact:
    path = PACKAGES / _PATHS[name] / f"{name}.sol" / f"{name}.json"
    try:
        raw = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise _package_missing(path) from error
    references = raw.get("linkReferences", {})
    libraries = {
        library: tuple(place["start"] for place in places)
        for file in references.values()
        for library, places in file.items()
    }
    return Artifact(name, _constructor(raw["abi"]), raw["bytecode"], libraries)


def compile_contracts() -> dict[str, Artifact]:
    """Our own contracts under contracts/world, by name."""
    node = shutil.which("node")
    if node is None:
        raise ConfigurationInvalid("node is not on PATH; compiling contracts/world needs Node.js 18 or newer")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "artifacts.json"
        done = subprocess.run(  # noqa: S603  # our own script
            [node, str(COMPILE_SCRIPT), str(output)],
            capture_output=True,
            text=True,
            timeout=COMPILE_DEADLINE_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise ConfigurationInvalid(f"contracts/world does not compile: {done.stderr.strip()[-600:]}")
        compiled = json.loads(output.read_text())
    return {name: Artifact(name, _constructor(raw["abi"]), raw["bytecode"], {}) for name, raw in compiled.items()}


def multicall3_bytecode() -> str:
    """Creation bytecode, from viem."""
    path = PACKAGES / "viem" / "_esm" / "constants" / "contracts.js"
    found = re.search(r"multicall3Bytecode = '(0x[0-9a-f]+)'", _read(path))
    if found is None:
        raise ConfigurationInvalid(f"{path.name} of the npm package viem no longer carries multicall3Bytecode")
    return found.group(1)


def permit2_runtime_code() -> str:
    """Deployed code, from 1inch's solidity-utils."""
    raw = json.loads(_read(PACKAGES / "@1inch" / "solidity-utils" / "dist" / "src" / "permit2.json"))
    return str(raw["bytecode"])


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError as error:
        raise _package_missing(path) from error


def _package_missing(path: Path) -> ConfigurationInvalid:
    return ConfigurationInvalid(
        f"{path.relative_to(REPOSITORY)} does not exist; "
        "install the protocol packages with: npm install --ignore-scripts --legacy-peer-deps"
    )


def _constructor(abi: list[dict[str, object]]) -> str:
    for entry in abi:
        if entry["type"] == "constructor":
            return "(" + ",".join(_type_text(item) for item in _inputs(entry)) + ")"
    return "()"


def _type_text(item: dict[str, object]) -> str:
    return str(item["type"])


def _inputs(entry: dict[str, object]) -> list[dict[str, object]]:
    inputs = entry["inputs"]
    return inputs if isinstance(inputs, list) else []

// Compiles contracts/world/*.sol with the npm solc: node contracts/compile.cjs <output file>.
// Writes {contract name: {abi, bytecode}} in one synchronous write; a pipe would truncate it at 64 KiB.
"use strict";

const fs = require("fs");
const path = require("path");
const solc = require("solc");

const folder = path.join(__dirname, "world");
const names = fs.readdirSync(folder).filter((name) => name.endsWith(".sol")).sort();
const sources = Object.fromEntries(
  names.map((name) => [name, { content: fs.readFileSync(path.join(folder, name), "utf8") }]),
);
const settings = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: "cancun",
  metadata: { bytecodeHash: "none" },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
};

function findImport(target) {
  const local = path.join(folder, path.basename(target));
  const file = target.startsWith("@") ? require.resolve(target) : local;
  return { contents: fs.readFileSync(file, "utf8") };
}

const input = JSON.stringify({ language: "Solidity", sources, settings });
const output = JSON.parse(solc.compile(input, { import: findImport }));
const failures = (output.errors || []).filter((entry) => entry.severity === "error");
if (failures.length > 0) {
  process.stderr.write(failures.map((entry) => entry.formattedMessage).join("\n"));
  process.exit(1);
}

const artifacts = {};
for (const name of names) {
  for (const [contract, { abi, evm }] of Object.entries(output.contracts[name])) {
    artifacts[contract] = { abi, bytecode: "0x" + evm.bytecode.object };
  }
}
fs.writeFileSync(process.argv[2], JSON.stringify(artifacts));

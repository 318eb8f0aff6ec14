"""ACT: reads and writes the chain: client, simulator, signer, sender, and the local chain with its scenarios."""

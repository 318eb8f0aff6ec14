"""Moves to calldata: one module per protocol, `batch` puts them into one atomic Safe transaction."""

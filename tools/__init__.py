"""DECIDE: pure numbers from domain values; no I/O, clock, network or model."""

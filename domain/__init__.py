"""The vocabulary every other package speaks: values, invariants, errors and ports; no I/O, clock or model.

One word per concept: token (an ERC-20), strategy (a place that pays a yield), venue (a place that swaps),
catalog (what this account may touch), observation (one reading), snapshot (one moment's readings),
history (daily series), portfolio (what we hold), candidate (a computed target), move (one step),
plan (moves plus calldata), batch (the calls one transaction carries), evidence (what guards judge),
verdict (their answer), receipt (what the chain did), run (one walk through the graph).
"""

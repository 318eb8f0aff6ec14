"""REMEMBER: SQL as the truth, hash-chained books, artifacts, checkpoints and a rebuildable recall; decides nothing."""

"""CONDUCT: the state machine that routes a run from observation to record; decides nothing itself."""

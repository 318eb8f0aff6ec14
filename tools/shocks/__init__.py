"""Recorded and invented shocks of a whole market, and the smallest one that breaks a limit."""

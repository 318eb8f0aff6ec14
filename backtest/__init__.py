"""REPLAY: the same graph over history."""

"""A second guard, written from docs/guards.md and never from guards/, in exact fractions, and a fuzzer of both."""

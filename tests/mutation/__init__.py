"""Mutation test of guards/: small faults are planted one by one, and the guards' own tests must notice each of them.

Run with `python -m tests.mutation.run`; survivors are mended by a test or listed in equivalent.toml with a reason.
"""

"""Adversarial scenarios against the real product on the local chain, and an auditor that trusts only the chain."""

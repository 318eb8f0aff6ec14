"""Rates a week ahead: panel, features, pooled model, intervals, and the walk that proves or refuses them."""

"""How bad it can get: tails, volatility, drawdown, contributions and their backtests, for one book or thousands."""

"""Mean-CVaR, mean-variance and risk parity over kept solvers; every answer is proven before it is returned."""

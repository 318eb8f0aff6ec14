"""What the series of a market and the facts of a protocol say, each with its reason."""

"""OBSERVE: readings of the market and the account, translated into domain values at once; decides nothing."""

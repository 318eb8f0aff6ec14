"""Every number that the README states, and the command that measures it."""

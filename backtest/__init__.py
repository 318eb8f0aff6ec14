"""The same graph over history: historical ports, replay and report; decides and signs nothing of its own."""

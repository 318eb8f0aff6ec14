"""REPLAY: the room for the same graph over history; nothing is built here yet."""

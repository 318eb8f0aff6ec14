"""Tests that need a server of their own: a database, a browser."""

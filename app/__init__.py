"""SERVE: command line, API and demo; the only place that wires adapters to ports and reads settings."""

"""The HTTP API: one module per subject, a gate in front, every refusal as problem+json."""

"""One stage per module: nouns ask a model, verbs are deterministic; they meet only in graph.workflow."""

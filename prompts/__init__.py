"""SAY: what each agent is told, one file per task; no model, tool or policy lives here."""

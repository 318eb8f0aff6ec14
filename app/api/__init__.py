"""The HTTP surface: runs, approvals, audit, health and chat."""

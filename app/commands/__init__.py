"""The command line's commands, one module per subject; each opens what it needs and prints what it got."""

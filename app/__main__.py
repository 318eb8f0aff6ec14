"""`python -m app` is `autofi`."""

from app.cli import main

main()

"""`python -m app` is the `firstmate` command."""

from app.cli import main

main()

"""`python -m core`."""

from core.cli.main import main

main()

"""`python -m chimera_local.cli`: the command without an installed script."""

from chimera_local.cli import main

main()

"""`python -m dvd` is `dvd`; `torchrun -m dvd train …` needs a module to run."""

import sys

from dvd.apps.cli import main

sys.exit(main())

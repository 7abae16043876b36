"""`python -m cracklab` is the command `cracklab`."""

import sys

from cracklab.cli import main

sys.exit(main())

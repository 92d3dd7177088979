"""`python -m nnspec` is the `nnspec` command."""

from __future__ import annotations

import os
import sys

# Python puts the current folder first: a `click.py` beside someone's spec would run.
if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:
    del sys.path[0]

from nnspec.cli.main import main

sys.exit(main())

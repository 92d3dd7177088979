"""`python -m nnspec` is the `nnspec` command."""

from __future__ import annotations

import sys

from nnspec.cli.main import main

sys.exit(main())

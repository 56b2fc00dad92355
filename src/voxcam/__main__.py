"""``python -m voxcam``: the command line."""

from __future__ import annotations

import sys

if not sys.flags.safe_path:
    # Python put the working folder first: a file there called json.py or torch.py would run in their place.
    del sys.path[0]

from voxcam.cli.main import entry

entry()

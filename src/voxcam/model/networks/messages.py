"""What another library said went wrong, as one line that shows no path."""

from __future__ import annotations

import re

_PATH = re.compile(r"(?:[A-Za-z]:)?(?:[/\\][\w.~@+-]+){2,}")

_SAID = re.compile(r"^(?:\w+(?:Error|Exception): )+(\S.*)$", re.MULTILINE)


def in_one_line(error: BaseException, limit: int = 200) -> str:
    """Return the message on one line of at most `limit` characters, paths left out.

    TorchScript tells where in its source it was, over many lines; one of them says what happened.
    """
    text = str(error)
    if "TorchScript" in text:
        said = _SAID.findall(text)
        text = said[-1] if said else "it failed inside TorchScript"
    text = _PATH.sub("(a file)", " ".join(text.split()))
    return text if len(text) <= limit else text[: limit - 3] + "..."

"""Where the alerts' links lead to: the page of the runbook, said once for all of them.

In a checkout that is ``docs/operations.md``. Nothing can open a path from an alert, so whoever installs the rules says
where that page can be read; each alert's section is its name.
"""

from __future__ import annotations

import re
from pathlib import Path

ALERTS = Path(__file__).parents[1] / "rules/alerts.yml"
_LINK = re.compile(r"^( *runbook_url: )[^#\n]*#(\w+)$", re.MULTILINE)


def linked(rules: str, page: str) -> str:
    """The rules with every link to a section of ``page``, whatever page was linked before."""
    return _LINK.sub(lambda link: f"{link[1]}{page}#{link[2]}", rules)

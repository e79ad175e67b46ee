"""Become another program that ends with its owner: ``launch.py OWNER_PID PROGRAM ARGUMENT...``.

Linux sends the signal asked for here when the *thread* that started this process ends, whatever ended it (kill -9
included), and keeps to that over ``exec``. Asking is done in this small program, between fork and exec, because a
``preexec_fn`` is not safe in a process with threads. Run as a file, isolated: it imports nothing of the package.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    owner, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        # SIGKILL, not SIGTERM: a stopped process (SIGSTOP) would keep the latter waiting for ever.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != owner:  # the owner ended before the call above, so nothing would ever end us
        sys.exit(1)
    os.execv(program[0], program)  # noqa: S606 - the caller names the program, there is no shell


if __name__ == "__main__":
    main()

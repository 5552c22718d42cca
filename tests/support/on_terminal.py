#!/usr/bin/env python3
"""on_terminal.py COMMAND...: runs the command with its output and its errors on a terminal of its own, and prints what it
writes there with escape sequences in letters: \\x1b[1;31m. The exit code is the command's."""

import os
import pty
import subprocess
import sys

ours, terminal = pty.openpty()
process = subprocess.Popen(sys.argv[1:], stdout=terminal, stderr=terminal)
os.close(terminal)
written = b""
while True:
    try:
        part = os.read(ours, 4096)
    except OSError:  # the other end is closed
        break
    if not part:
        break
    written += part
print(written.decode(errors="backslashreplace").replace("\r\n", "\n").replace("\x1b", "\\x1b"), end="")
sys.exit(process.wait())

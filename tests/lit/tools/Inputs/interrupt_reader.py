"""Interrupts the command while it waits for what it reads: interrupt_reader.py PIPE SIGNAL COMMAND...

Makes the pipe, and sends the signal as soon as COMMAND has opened it. Says what the command ended with.
"""

import os
import signal
import subprocess
import sys

pipe, name, command = sys.argv[1], sys.argv[2], sys.argv[3:]
os.mkfifo(pipe)


def heed():
    """What runs in the background of a shell ignores SIGINT, and so would its children."""
    signal.signal(signal.Signals[name], signal.SIG_DFL)


process = subprocess.Popen(command, preexec_fn=heed)
with open(pipe, "wb"):
    process.send_signal(signal.Signals[name])
    process.wait()
print("ended by", signal.Signals(-process.returncode).name if process.returncode < 0 else process.returncode)

"""Interrupts the command while it writes: interrupt.py FOLDER SIGNAL COMMAND...

FOLDER holds the file that COMMAND is to replace, and nothing else. The signal is sent as soon as something more is
there, which is the file that is half written. Says what the command ended with and what the folder holds then.
"""

import os
import signal
import subprocess
import sys

folder, name, command = sys.argv[1], sys.argv[2], sys.argv[3:]
before = {file: os.stat(os.path.join(folder, file)).st_mtime_ns for file in os.listdir(folder)}

def heed():
    """What runs in the background of a shell ignores SIGINT, and so would its children."""
    signal.signal(signal.Signals[name], signal.SIG_DFL)


process = subprocess.Popen(command, preexec_fn=heed)
while process.poll() is None and set(os.listdir(folder)) == set(before):
    pass
process.send_signal(signal.Signals[name])
process.wait()
after = {file: os.stat(os.path.join(folder, file)).st_mtime_ns for file in os.listdir(folder)}
print("ended by", signal.Signals(-process.returncode).name if process.returncode < 0 else process.returncode)
print("in the folder", *sorted(after), "(untouched)" if after == before else "(changed)")

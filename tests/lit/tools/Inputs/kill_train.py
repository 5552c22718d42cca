"""Kills a training again and again, and says what its checkpoint is worth after each time.

usage: kill_train.py KILLS CHECKPOINT COMMAND...

COMMAND keeps the file CHECKPOINT after every step, and resumes from it. It is started KILLS times and gets SIGKILL: every
second time at any moment from its start on, else a random while after it has written a checkpoint. Each start must go on
from a step that is not before that of the last one.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time

kills, checkpoint, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
chosen = random.Random(7)


def identity():
    try:
        status = os.stat(checkpoint)
        return status.st_ino, status.st_mtime_ns
    except FileNotFoundError:
        return None


def step_of(text):
    found = re.search(r"resumed after step (\d+)", text)
    return int(found.group(1)) if found else None


step, before_any, behind_one, longest = 0, 0, 0, 0.05
for kill in range(kills):
    before, start = identity(), time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if kill % 2 == 0:
        time.sleep(chosen.uniform(0, 1.2 * longest))
    else:
        while identity() == before and process.poll() is None:
            time.sleep(0.0005)
        longest = time.monotonic() - start
        time.sleep(chosen.uniform(0, 0.04))
    process.send_signal(signal.SIGKILL)
    text = process.communicate()[0]
    if process.returncode != -signal.SIGKILL:
        sys.exit(f"the training ended by itself, with {process.returncode}:\n{text}")
    if "error:" in text:
        sys.exit(text)
    resumed = step_of(text)
    if resumed is not None and resumed < step:
        sys.exit(f"it was at step {step}, and is at step {resumed}:\n{text}")
    step = max(step, resumed or 0)
    if identity() == before:
        before_any += 1
    else:
        behind_one += 1
print(f"killed {before_any} times before a new checkpoint, {behind_one} times behind one, at step {step} at last")

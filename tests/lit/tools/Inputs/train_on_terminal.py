"""Runs a command on a terminal of no known size, and prints what it shows with a line for each time that it goes back.

usage: train_on_terminal.py [--columns N] [--interrupt WORD] COMMAND...

--columns: the terminal says that it has so many.

--interrupt: as soon as WORD is shown, the command gets SIGINT, as from Ctrl-C.
"""

import fcntl
import os
import pty
import signal
import struct
import sys
import termios

arguments = sys.argv[1:]
word = None
columns = 0
if arguments[0] == "--columns":
    columns, arguments = int(arguments[1]), arguments[2:]
if arguments[0] == "--interrupt":
    word, arguments = arguments[1].encode(), arguments[2:]
child, terminal = pty.fork()
if child == 0:
    # What runs in the background of a shell ignores it, and so would its children.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if columns:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.execvp(arguments[0], arguments)
shown = b""
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:  # the terminal's end, on Linux
        break
    if not piece:
        break
    shown += piece
    if word and word in shown:
        os.kill(child, signal.SIGINT)
        word = None
text = shown.decode().replace("\r\n", "\n").replace("\x1b[K", "").replace("\r", "\n")
print(text)
print("widest bar:", max((len(line) for line in text.split("\n") if " left" in line), default="none"))
print("exit code", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

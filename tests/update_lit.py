#!/usr/bin/env python3
"""Writes into text tests what their commands print now, after a change that is meant.

usage: update_lit.py BUILD_FOLDER FILE...

For each line
    // RUN: %weir inspect OPTIONS | %FileCheck %s --check-prefix=PREFIX
of a test, the lines "// PREFIX: ..." are replaced by what the command prints, line by line; in a test that has none yet they
are appended. Of kernels, the program that calls them is left out. A prefix whose lines hold patterns ({{...}} or [[...]]),
LABEL, NOT or DAG was written by hand and is left as it is, and so is everything that another command prints: what numbers
come out of `weir run` is not for it to say. Look at the difference before you commit it.
"""

import os
import pathlib
import re
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent
RUN = re.compile(r"^(//\s*)?RUN:\s*(.*)$")


def commands(lines):
    """The RUN lines as whole commands."""
    pending = ""
    for line in lines:
        match = RUN.match(line)
        if not match:
            continue
        pending += match.group(2)
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        yield pending
        pending = ""


def output_of(command, test, build):
    for name, value in (("%weir", build / "bin" / "weir"), ("%source", SOURCE), ("%S", test.parent), ("%s", test)):
        command = command.replace(name, str(value))
    result = subprocess.run(["bash", "-c", command], cwd=test.parent, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{test}: {command}\n{result.stdout}{result.stderr}")
    return result.stdout


def expectation(prefix, output, comment):
    lines = []
    output = re.sub(r"\n\nprogram @.*", "\n", output, flags=re.DOTALL)
    for line in output.rstrip("\n").split("\n"):
        if not line:
            lines.append(f"{comment}{prefix}-EMPTY:")
            continue
        kind = prefix if not lines else f"{prefix}-NEXT"
        literal = "{LITERAL}" if "[[" in line or "{{" in line else ""
        lines.append(f"{comment}{kind}{literal}: {line}")
    return lines


def update(test, build):
    lines = test.read_text().split("\n")
    for command in list(commands(lines)):
        match = re.match(r"^(%weir inspect .*?)\s*\|\s*%FileCheck %s(?: --check-prefix=(\w+))?\s*$", command)
        if not match:
            continue
        prefix = match.group(2) or "CHECK"
        mine = re.compile(rf"^(//\s*)?{prefix}(-[A-Z]+)?({{LITERAL}})?:(.*)$")
        found = [(number, mine.match(line)) for number, line in enumerate(lines) if mine.match(line)]
        by_hand = any(
            m.group(2) in ("-LABEL", "-NOT", "-DAG") or (not m.group(3) and re.search(r"\{\{|\[\[", m.group(4)))
            for _, m in found)
        if by_hand:
            continue
        comment = "// " if test.suffix == ".weir" else ""
        block = expectation(prefix, output_of(match.group(1), test, build), comment)
        if found:
            first = found[0][0]
            gone = {number for number, _ in found}
            lines = lines[:first] + block + [line for number, line in enumerate(lines[first:], first) if number not in gone]
        else:
            while lines and not lines[-1]:
                lines.pop()
            lines += [""] + block + [""]
    test.write_text("\n".join(lines))


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    build = pathlib.Path(sys.argv[1]).resolve()
    for name in sys.argv[2:]:
        update(pathlib.Path(name).resolve(), build)


if __name__ == "__main__":
    os.environ.pop("NO_COLOR", None)
    main()

#!/usr/bin/env python3
"""Runs `weir verify` over ONNX's own test cases, and compares those that pass with the committed list.

usage: cases_test.py WEIR [--update]

The cases are those of Debian's libonnx-testdata. A listed case that no longer passes is a fault, and so is one that
passes and is not listed: the list only grows, by --update. Without the package the test says so and is skipped.
"""

import pathlib
import subprocess
import sys

CASES = pathlib.Path("/usr/share/libonnx-testdata/data")
LIST = pathlib.Path(__file__).with_name("passing_cases.txt")
SKIPPED = 77


def verdicts(weir):
    """The verdict and the reason of every case, by its name."""
    command = [weir, "verify", str(CASES), "--allow-unsupported"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode not in (0, 1) or result.stderr:
        sys.exit(f"{' '.join(command)} failed:\n{result.stderr}")
    found, last = {}, None
    for line in result.stdout.splitlines():
        words = line.split()
        if line.startswith(("pass ", "fail ", "unsupported ")):
            last = words[1]
            found[last] = [words[0], " ".join(words[2:])]
        elif last and line.startswith(" "):
            found[last][1] += " " + " ".join(words)
    return found


def main():
    if not CASES.is_dir():
        print(f"skipped: {CASES} is not there; the package libonnx-testdata has it")
        return SKIPPED
    found = verdicts(sys.argv[1])
    passing = sorted(name for name, (verdict, _) in found.items() if verdict == "pass")
    if "--update" in sys.argv[2:]:
        LIST.write_text("".join(f"{name}\n" for name in passing))
        print(f"{len(passing)} of {len(found)} cases pass")
        return 0
    listed = set(LIST.read_text().split())
    lost = sorted(listed - set(passing))
    new = sorted(set(passing) - listed)
    for name in lost:
        verdict, reason = found.get(name, ["gone", "there is no such case"])
        print(f"{name} is listed and does not pass: {verdict} {reason}")
    for name in new:
        print(f"{name} passes and is not listed")
    if new:
        print(f"python3 tests/onnx/cases_test.py {sys.argv[1]} --update writes the list anew")
    print(f"{len(passing)} of {len(found)} cases pass, {len(listed)} are listed")
    return 1 if lost or new else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Runs `weir verify` over ONNX's own test cases, and compares those that pass with the committed lists.

usage: cases_test.py WEIR [--update]

The cases are those of Debian's libonnx-testdata. A listed case that no longer passes is a fault, and so is one that
passes and is not listed: the list only grows, by --update. Cases that fail, rather than need what Weir does not have,
are listed by hand, each with the reason why Weir is right; any other that fails is a fault. So are those that are
unsupported although they have no type that Weir lacks, and other cases with each of their ops pass. Another list, of
which the table in docs/onnx.md is made, says of each op in how many of the cases it is used, and how many of those
pass; the ops are read from the models.
Without the package the test says so and is skipped.
"""

import collections
import pathlib
import subprocess
import sys

CASES = pathlib.Path("/usr/share/libonnx-testdata/data")
LIST = pathlib.Path(__file__).with_name("passing_cases.txt")
FAILING = pathlib.Path(__file__).with_name("failing_cases.txt")
UNSUPPORTED = pathlib.Path(__file__).with_name("unsupported_cases.txt")
OPS = pathlib.Path(__file__).with_name("cases_of_ops.txt")
SKIPPED = 77


def verdicts(weir):
    """The verdict and the reason of every case, by its name."""
    command = [weir, "verify", str(CASES), "--allow-unsupported"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode not in (0, 1) or result.stderr:
        sys.exit(f"{' '.join(command)} failed:\n{result.stderr}")
    lines = (line.split() for line in result.stdout.splitlines())
    return {words[1]: [words[0], " ".join(words[2:])] for words in lines if words[0] in ("pass", "fail", "unsupported")}


def fields(message):
    """The number and the content of every field of a message in protobuf's wire format."""
    def varint():
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position, value, shift = position + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    position = 0
    while position < len(message):
        key = varint()
        kind, start = key & 7, position
        if kind == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(kind) or varint()
        start = position
        position += size
        yield key >> 3, message[start:position]


def ops_in(model):
    """The ops of a model, those in its functions and branches included, by the numbers of onnx.proto's fields."""
    def of_nodes(graph, number):
        for field, content in fields(graph):
            if field == number:
                yield from of_node(content)

    def of_node(node):
        for field, content in fields(node):
            if field == 4:  # op_type
                yield content.decode()
            elif field == 5:  # attribute
                for kind, graph in fields(content):
                    if kind in (6, 11):  # g, graphs
                        yield from of_nodes(graph, 1)

    for field, content in fields(model):
        if field == 7:  # graph
            yield from of_nodes(content, 1)
        elif field == 25:  # functions
            yield from of_nodes(content, 7)


def count_ops(found, ops_of):
    """Of each op the cases that pass, and all."""
    counts = collections.defaultdict(lambda: [0, 0])
    for name, (verdict, _) in found.items():
        for op in ops_of[name]:
            counts[op][0] += verdict == "pass"
            counts[op][1] += 1
    return counts


def text_of(counts):
    """The text of the second list: op, cases that pass, cases."""
    return "".join(f"{op} {passed} {all_}\n" for op, (passed, all_) in sorted(counts.items()))


def unsupported_with_known_ops(found, ops_of, counts):
    """Cases that need neither a type nor an op that Weir does not have, and do not pass."""
    lacks_type = ("no element type", "it is no tensor")
    return {name for name, (verdict, reason) in found.items()
            if verdict == "unsupported" and not any(text in reason for text in lacks_type)
            and all(counts[op][0] > 0 for op in ops_of[name])}


def cases_in(file):
    """The cases of a list that gives each a reason."""
    lines = (line.split(maxsplit=1) for line in file.read_text().splitlines() if not line.startswith("#"))
    return {name for name, _ in lines}


def main():
    if not CASES.is_dir():
        print(f"skipped: {CASES} is not there; the package libonnx-testdata has it")
        return SKIPPED
    found = verdicts(sys.argv[1])
    passing = sorted(name for name, (verdict, _) in found.items() if verdict == "pass")
    ops_of = {name: set(ops_in((CASES / name / "model.onnx").read_bytes())) for name in found}
    counts = count_ops(found, ops_of)
    if "--update" in sys.argv[2:]:
        LIST.write_text("".join(f"{name}\n" for name in passing))
        OPS.write_text(text_of(counts))
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
    failing = {name for name, (verdict, _) in found.items() if verdict == "fail"}
    unexplained = 0
    for file, are, kind in ((FAILING, failing, "fails"),
                            (UNSUPPORTED, unsupported_with_known_ops(found, ops_of, counts), "is unsupported")):
        explained = cases_in(file)
        for name in sorted(are - explained):
            print(f"{name} {kind}, and {file.name} has no reason for that: {found[name][1]}")
        for name in sorted(explained - are):
            print(f"{name} stands in {file.name} and does not belong there")
        unexplained += len(are ^ explained)
    old_ops = text_of(counts) != OPS.read_text()
    if old_ops:
        print(f"{OPS.name} is not what the cases say")
    if new or old_ops:
        print(f"python3 tests/onnx/cases_test.py {sys.argv[1]} --update writes the lists anew; "
              "then comes the table of docs/onnx.md")
    print(f"{len(passing)} of {len(found)} cases pass, {len(listed)} are listed")
    return 1 if lost or new or unexplained or old_ops else 0


if __name__ == "__main__":
    sys.exit(main())

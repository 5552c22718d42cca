#!/usr/bin/env python3
"""Finds sources that use a type without including what declares it.

Where sources are compiled several at a time, or with a precompiled header, another source or that header may provide
the include that one lacks: the build from ./dev test passes, and that of somebody else does not. Compiling each
header by itself takes minutes; this reads them in a second. A type counts as provided where a header within reach of the
includes declares it, or declares its name. Only the types of the rooms, whose names begin with a capital, are looked at:
`lint --all` compiles every source by itself.
"""

import pathlib
import re
import sys

ROOMS = ("ir/", "compiler/", "runtime/", "tools/")
DECLARED = re.compile(r"^(?:struct|class|enum class|enum)\s+([A-Z]\w*)\b[^;{()]*\{|^using\s+([A-Z]\w*)\s*=", re.MULTILINE)
# Declared within another type or another namespace, or as a template's parameter.
LOCAL = re.compile(r"\b(?:struct|class|enum class|enum|using|typename|concept)(?:\s*\.\.\.)?\s+(?:\w+::)*([A-Z]\w*)")
TEST = re.compile(r"\b(?:TYPED_)?TEST(?:_[FP])?\((\w+),\s*(\w+)\)|INSTANTIATE_TEST_SUITE_P\((\w+)")
UNREAD = re.compile(r'R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/|^#(?:\\\n|[^\n])*', re.DOTALL | re.MULTILINE)
USED = re.compile(r"(?<![\w:.>])(?:weir::)?([A-Z]\w*)\b")


def code_of(text):
    """The text without preprocessor lines, comments and literals, with its lines where they were."""
    return UNREAD.sub(lambda match: " " + "\n" * match.group().count("\n"), text)


def includes_of(file, text, known):
    for name in re.findall(r'^#include "([^"]+)"', text, flags=re.MULTILINE):
        beside = str(pathlib.PurePosixPath(file).parent / name)
        yield beside if beside in known else name


def within_reach(file, includes):
    reached, waiting = set(), [file]
    while waiting:
        file = waiting.pop()
        if file in reached or file not in includes:
            continue
        reached.add(file)
        waiting.extend(includes[file])
    return reached


def main():
    root = pathlib.Path(sys.argv[1])
    files = [path.relative_to(root).as_posix() for room in ROOMS for end in ("h", "cc") for path in root.glob(f"{room}**/*.{end}")]
    texts = {file: (root / file).read_text() for file in files}
    includes = {file: list(includes_of(file, text, texts)) for file, text in texts.items()}
    code = {file: code_of(text) for file, text in texts.items()}
    declares = {}
    for file in files:
        if file.endswith(".h"):
            for names in DECLARED.findall(code[file]):
                declares.setdefault(names[0] or names[1], set()).add(file)
    locals_of = {file: set(LOCAL.findall(code[file])) for file in files}
    faults = []
    for file in sorted(files):
        reached = within_reach(file, includes)
        known = set().union(*(locals_of[other] for other in reached))
        for match in USED.finditer(code[file]):
            name = match.group(1)
            if name in declares and name not in known:
                known.add(name)
                line = code[file].count("\n", 0, match.start()) + 1
                faults.append(f"{file}:{line}: {name} is used here, and {' or '.join(sorted(declares[name]))} is not included")
    print("\n".join(faults))
    print(f"{len(files)} sources, {len(declares)} types, {len(faults)} not within reach of the includes")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Runs every command that the documentation shows, and compares what it prints with what is shown.

usage: docs_test.py SOURCE_FOLDER BUILD_FOLDER [--update]

In the README, CONTRIBUTING, docs/ and the READMEs of the examples, where build/release stands for BUILD_FOLDER:
  ```console   lines that begin with "$ " are commands, the lines below them what they print. In these, "..." stands
               for anything: within a line for some text, alone on a line for any number of lines.
  ```          lines that begin with "weir " or "build/release/bin/" are commands that must succeed.
  ```cpp, ```c with a comment <!-- FILE --> above: lines that stand in that file as they are, but for the indent.
  ```text      whatever else.
In docs/tests.md, whatever stands in the last column of a table is a file, or a unit test `area/Suite.Name`.
The commands of a page run one after the other in a scratch copy of the folder that the page is in, or for the README
and docs/ of the project, where folders of sources are links: no command shown writes there. One that prints "error:"
must be shown to do so.

--update writes what was printed into the pages, where it differs and nothing is left out.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FENCE = re.compile(r"^```(\w*)\s*$")
SOURCE_OF_CODE = re.compile(r"^<!-- (\S+) -->$")
ANYTHING = "..."
# Nine tenths of the project's files, which a page would only read.
LINKED = ("benchmarks", "cmake", "compiler", "ir", "runtime", "tests", "tools")


def pages(source):
    top = [source / "README.md", source / "CONTRIBUTING.md"]
    return [page for page in top + sorted(source.glob("docs/**/*.md")) + sorted(source.glob("examples/**/README.md"))
            if page.exists()]


def blocks(lines):
    """(language, file named above, first line, line behind the last) of every fenced block."""
    start = None
    for number, line in enumerate(lines):
        fence = FENCE.match(line)
        if not fence:
            continue
        if start is None:
            named = SOURCE_OF_CODE.match(lines[number - 1]) if number > 0 else None
            start, language, file = number + 1, fence.group(1), named.group(1) if named else None
        else:
            yield language, file, start, number
            start = None


def matches(shown, printed):
    """Whether the printed text is what is shown, where "..." stands for anything."""
    pattern = ""
    for line in shown:
        if line == ANYTHING:
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(re.escape(part.rstrip()) for part in line.split(ANYTHING)) + r"[ \t]*\n"
    return re.fullmatch(pattern, printed) is not None


def path_setting(source):
    """The README's line for users' shells."""
    return re.search(r"^    (export PATH=.*)$", (source / "README.md").read_text(), re.MULTILINE).group(1)


class Page:
    def __init__(self, path, source, build):
        self.path, self.source = path, source
        self.lines = path.read_text().split("\n")
        self.faults, self.count, self.replacements = [], 0, []
        self.folder = tempfile.TemporaryDirectory()
        of_the_project = path.parent in (source, source / "docs") or source / "docs" in path.parents
        scratch = pathlib.Path(self.folder.name)
        linked = LINKED if of_the_project else ()
        shutil.copytree(source if of_the_project else path.parent, scratch, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("build", ".*", "__pycache__", *linked))
        for folder in linked:
            (scratch / folder).symlink_to(source / folder)
        (scratch / "build").mkdir()
        (scratch / "build" / "release").symlink_to(build)
        self.environment = {**os.environ, "LC_ALL": "C"}
        # As the README tells its readers to set it, in the folder where they are.
        done = subprocess.run(["bash", "-c", f"{path_setting(source)}; printf %s \"$PATH\""], cwd=scratch, text=True,
                              env=self.environment, stdout=subprocess.PIPE, check=True)
        self.environment["PATH"] = done.stdout

    def fault(self, line, message):
        self.faults.append(f"{self.path.relative_to(self.source)}:{line + 1}: {message}")

    def run(self, command):
        self.count += 1
        done = subprocess.run(["bash", "-c", command], cwd=self.folder.name, env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def run_console(self, start, end):
        number = start
        while number < end:
            if not self.lines[number].startswith("$ "):
                number += 1
                continue
            first, command = number, self.lines[number][2:]
            while command.endswith("\\"):
                number += 1
                command = command[:-1] + self.lines[number]
            number += 1
            output_start = number
            while number < end and not self.lines[number].startswith("$ "):
                number += 1
            shown = self.lines[output_start:number]
            code, printed = self.run(command)
            if (code != 0) != any("error:" in line for line in shown):
                self.fault(first, f"`{command}` ends with code {code}:\n{printed}")
            elif not matches(shown, printed):
                self.fault(first, f"`{command}` prints\n{printed}")
                if not any(ANYTHING in line for line in shown):
                    self.replacements.append((output_start, number, printed.rstrip("\n").split("\n")))

    def run_plain(self, start, end):
        for number in range(start, end):
            command = self.lines[number].split("  # ")[0]
            if command.startswith(("weir ", "build/release/bin/")):
                code, printed = self.run(command)
                if code != 0:
                    self.fault(number, f"`{command}` ends with code {code}:\n{printed}")

    def compare_code(self, file, start, end):
        self.count += 1
        wanted = [line.strip() for line in self.lines[start:end] if line.strip()]
        there = [line.strip() for line in (self.source / file).read_text().split("\n") if line.strip()]
        if not any(there[i:i + len(wanted)] == wanted for i in range(len(there))):
            self.fault(start, f"these lines do not stand in {file}")

    def find_tests(self):
        for number, line in enumerate(self.lines):
            if not line.startswith("| ") or line.startswith("| promise"):
                continue
            for name in re.findall(r"`([^`]+)`", line.split("|")[2]):
                self.count += 1
                test = re.fullmatch(r"(\w+)/(\w+)\.(\w+)", name)
                if (self.source / name).exists():
                    continue
                sources = (self.source / "tests" / "unit" / test.group(1)).glob("*.cc") if test else []
                declared = rf"^TEST(_P|_F)?\({test.group(2)},\s*{test.group(3)}\)" if test else ""
                if not any(re.search(declared, file.read_text(), re.MULTILINE) for file in sources):
                    self.fault(number, f"there is no test {name}")

    def check(self):
        if self.path == self.source / "docs" / "tests.md":
            self.find_tests()
        for language, file, start, end in blocks(self.lines):
            if language == "console":
                self.run_console(start, end)
            elif language in ("", "sh"):
                self.run_plain(start, end)
            elif file:
                self.compare_code(file, start, end)

    def update(self):
        for start, end, printed in reversed(self.replacements):
            self.lines[start:end] = printed
        if self.replacements:
            self.path.write_text("\n".join(self.lines))


def main():
    source, build = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    count, faults = 0, []
    for path in pages(source):
        page = Page(path, source, build)
        page.check()
        if "--update" in sys.argv[3:]:
            page.update()
        count += page.count
        faults += page.faults
    for fault in faults:
        print(fault)
    print(f"{count} commands and excerpts, {len(faults)} wrong")
    return 1 if faults or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Checks that Clang compiles every source of a configured build without warnings, generating no code.

usage: check_with_clang.py BUILD_FOLDER CLANG [JOBS] [COMPILED_FOLDER]

Reads BUILD_FOLDER/compile_commands.json, writes one syntax-only command a source to
BUILD_FOLDER/clang/build.ninja, and runs it: a source is checked again when it or a header of its changes.
Precompiled headers are left out, so a source that relies on one for its includes fails here. Sources that Clang has
compiled in COMPILED_FOLDER, with warnings as errors, are not checked again.
"""

import json
import pathlib
import shlex
import subprocess
import sys

RULE = """rule check
  command = cd $directory && $clang -fsyntax-only -MD -MT $out -MF $out.d && touch $out
  depfile = $out.d
  deps = gcc
  description = clang $source

"""


def clang_command(arguments, clang_c, clang_cxx):
    """The compile command without output and without what only GCC knows."""
    kept = [clang_cxx if arguments[0].endswith("++") else clang_c]
    skip = 0
    for position, argument in enumerate(arguments[1:], start=1):
        if skip:
            skip -= 1
        elif argument == "-o":
            skip = 1
        elif argument == "-include" and arguments[position + 1].endswith("cmake_pch.hxx"):
            skip = 1
        elif argument not in ("-c", "-fpch-preprocess", "-Winvalid-pch"):
            kept.append(argument)
    # GCC's flags switch off warnings that Clang does not have; Google Benchmark's macros use __COUNTER__.
    return kept + ["-Werror", "-Wno-unknown-warning-option", "-Wno-c2y-extensions"]


def commands_of(build):
    """Of each source of a build: the file, its command, and where its object goes."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        arguments = shlex.split(entry["command"])
        yield entry, arguments, pathlib.Path(entry["directory"], arguments[arguments.index("-o") + 1])


def compiled_in(build):
    """The sources that have an object there which is newer than they are, if Clang made it."""
    found = set()
    for entry, arguments, out in commands_of(build):
        clang = "clang" in pathlib.Path(arguments[0]).name and "-Werror" in arguments
        if clang and out.exists() and out.stat().st_mtime >= pathlib.Path(entry["file"]).stat().st_mtime:
            found.add(entry["file"])
    return found


def escape(text):
    return text.replace("$", "$$")


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    clang_cxx = sys.argv[2]
    clang_c = clang_cxx.replace("clang++", "clang")
    jobs = sys.argv[3] if len(sys.argv) > 3 else "2"
    compiled = compiled_in(pathlib.Path(sys.argv[4]).resolve()) if len(sys.argv) > 4 else set()
    folder = build / "clang"
    folder.mkdir(exist_ok=True)

    lines = ["ninja_required_version = 1.3\n\n", RULE]
    for entry, arguments, out in commands_of(build):
        if "cmake_pch" in entry["file"] or entry["file"] in compiled:
            continue
        out = out.relative_to(build)
        (folder / out).parent.mkdir(parents=True, exist_ok=True)
        command = shlex.join(clang_command(arguments, clang_c, clang_cxx))
        stamp = str(folder / out) + ".checked"
        lines += [
            f"build {stamp}: check {entry['file']}\n",
            f"  directory = {escape(entry['directory'])}\n",
            f"  clang = {escape(command)}\n",
            f"  source = {escape(entry['file'])}\n",
        ]
    (folder / "build.ninja").write_text("".join(lines))
    return subprocess.call(["ninja", "-C", str(folder), "-k", "0", "-j", jobs, "--quiet"])


sys.exit(main())

#!/usr/bin/env python3
"""Checks that Clang compiles every source of a configured build without warnings, generating no code.

Reads BUILD_FOLDER/compile_commands.json, writes one syntax-only command a source to
BUILD_FOLDER/clang/build.ninja, and runs it: a source is checked again when it or a header of its changes.
Where the build has a precompiled header, Clang has one of its own, and sources that the build compiles several at a time
are checked so. --no-precompiled checks each source by itself and without those headers, which takes much longer and
finds the sources that rely on others for their includes. Sources that Clang has compiled in COMPILED_FOLDER, with
warnings as errors, are not checked again. --commands checks nothing: it writes the commands to
BUILD_FOLDER/clang/compile_commands.json, for tools that look at a source by itself.
"""

import argparse
import json
import pathlib
import re
import shlex
import subprocess
import sys

RULE = """rule check
  command = cd $directory && $clang -fsyntax-only -MD -MT $out -MF $out.d && touch $out
  depfile = $out.d
  deps = gcc
  description = clang $source

rule precompile
  command = cd $directory && $clang -fpch-instantiate-templates -o $out -MD -MT $out -MF $out.d
  depfile = $out.d
  deps = gcc
  description = clang $source

"""


def precompiled_header(arguments):
    """The header that the build's compiler reads in precompiled form, if there is one."""
    for position, argument in enumerate(arguments):
        if argument == "-include" and arguments[position + 1].endswith("cmake_pch.hxx"):
            return arguments[position + 1]
    return None


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
        elif argument not in ("-c", "-fpch-preprocess", "-Winvalid-pch") and not argument.startswith("--param"):
            kept.append(argument)
    # GCC's flags switch off warnings that Clang does not have; Google Benchmark's macros use __COUNTER__; CMake's header
    # of what is precompiled says that it is the system's.
    kept += ["-Wno-unknown-warning-option", "-Wno-c2y-extensions", "-Wno-pragma-system-header-outside-header"]
    return kept + ["-Werror"]


def sources_of(file):
    """The sources that a file of a build stands for: several that are compiled together, or the file itself."""
    if pathlib.Path(file).parent.name != "Unity":
        return [file]
    return re.findall(r'#include "(.*)"', pathlib.Path(file).read_text())


def commands_of(build, each):
    """Of each file that a build compiles, or of each source: the file, its command, and where its object goes."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        arguments = shlex.split(entry["command"])
        out = pathlib.Path(entry["directory"], arguments[arguments.index("-o") + 1])
        for source in sources_of(entry["file"]) if each else [entry["file"]]:
            own = [source if argument == entry["file"] else argument for argument in arguments]
            yield {**entry, "file": source}, own, out


def compiled_in(build):
    """The sources that have an object there which is newer than they are, if Clang made it."""
    found = set()
    for entry, arguments, out in commands_of(build, each=True):
        clang = "clang" in pathlib.Path(arguments[0]).name and "-Werror" in arguments
        if clang and out.exists() and out.stat().st_mtime >= pathlib.Path(entry["file"]).stat().st_mtime:
            found.add(entry["file"])
    return found


def escape(text):
    return text.replace("$", "$$")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("clang_cxx")
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--compiled", type=pathlib.Path, help="a build folder of Clang's")
    parser.add_argument("--no-precompiled", action="store_true")
    parser.add_argument("--commands", action="store_true")
    options = parser.parse_args()
    build = options.build.resolve()
    clang_c = options.clang_cxx.replace("clang++", "clang")
    compiled = compiled_in(options.compiled.resolve()) if options.compiled else set()
    folder = build / "clang"
    folder.mkdir(exist_ok=True)

    if options.commands:
        entries = [
            {
                "directory": entry["directory"],
                "file": entry["file"],
                "arguments": clang_command(arguments, clang_c, options.clang_cxx),
            }
            for entry, arguments, _ in commands_of(build, each=True)
            if "cmake_pch" not in entry["file"]
        ]
        (folder / "compile_commands.json").write_text(json.dumps(entries, indent=1))
        return 0

    lines = ["ninja_required_version = 1.3\n\n", RULE]

    def add(rule, out, source, entry, command, needs=""):
        out.parent.mkdir(parents=True, exist_ok=True)
        lines.extend(
            [
                f"build {out}: {rule} {source}{needs}\n",
                f"  directory = {escape(entry['directory'])}\n",
                f"  clang = {escape(shlex.join(command))}\n",
                f"  source = {escape(source)}\n",
            ]
        )

    def precompiled(header):
        return folder / (str(pathlib.Path(header).relative_to(build)) + ".pch")

    for entry, arguments, out in commands_of(build, each=options.no_precompiled):
        header = None if options.no_precompiled else precompiled_header(arguments)
        command = clang_command(arguments, clang_c, options.clang_cxx)
        if "cmake_pch" in entry["file"]:
            if header:
                command = [header if argument == entry["file"] else argument for argument in command]
                add("precompile", precompiled(header), header, entry, command)
        elif not compiled.issuperset(sources_of(entry["file"])):
            needs = f" | {precompiled(header)}" if header else ""
            command += ["-include-pch", str(precompiled(header))] if header else []
            checked = folder / out.relative_to(build).parts[1] / (entry["file"].lstrip("/") + ".checked")
            add("check", checked, entry["file"], entry, command, needs)
    (folder / "build.ninja").write_text("".join(lines))
    return subprocess.call(["ninja", "-C", str(folder), "-k", "0", "-j", options.jobs, "--quiet"])


sys.exit(main())

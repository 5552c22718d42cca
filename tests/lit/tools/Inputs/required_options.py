"""What each command refuses to do without, and what its help says of that: required_options.py WEIR COMMAND...

An option that is missing is named by the message; it is then given, until the message is another one. Exactly these options stand
outside of brackets in the line of usage, and exactly their descriptions end with "Required."
"""
import re
import subprocess
import sys

weir, commands = sys.argv[1], sys.argv[2:]


def output_of(*arguments):
    done = subprocess.run([weir, *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def demanded_by(command):
    names, arguments = [], [command, "no-such-model.weir"]
    while missing := re.match(r"weir: error: (--[a-z-]+) is required ", output_of(*arguments)):
        names.append(missing[1])
        arguments += [missing[1], "x"]
    return names


for command in commands:
    page = output_of(command, "--help")
    entries = re.split(r"\n(?=  -)", page.split("\noptions:\n")[1].split("\n\n")[0])
    long_names = {}
    marked = []
    for entry in entries:
        names = re.findall(r"(?:^|\s)(--?[a-z-]+)(?=,|\s|$)", entry.split("  ")[1])
        long_names |= dict.fromkeys(names, names[-1])
        if entry.endswith("Required."):
            marked.append(names[-1])
    usage = re.search(r"usage: (.*) \[OPTIONS\]", page)[1]
    in_usage = [long_names[name] for name in re.findall(r" (-[-a-z]+)", usage)]
    demanded = demanded_by(command)
    agrees = sorted(demanded) == sorted(in_usage) == sorted(marked)
    print(command, " ".join(demanded) or "nothing", "as its help says" if agrees else (in_usage, marked))

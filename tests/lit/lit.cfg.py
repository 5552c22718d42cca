# Text tests: each file says in its RUN lines how it is run, and in its CHECK lines what must come out.

import os
import pathlib
import platform
import shutil
import subprocess
import sys

import lit.formats

config.name = "weir"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".weir", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.weir_binary_dir, "tests", "lit", "output")

config.substitutions.append(("%weir", os.path.join(config.weir_binary_dir, "bin", "weir")))
config.substitutions.append(("%FileCheck", config.filecheck))
config.substitutions.append(("%python", sys.executable))
config.substitutions.append(("%cxx", config.cxx_compiler))
config.substitutions.append(("%cc", config.c_compiler))
# Kernels follow the caches and vectors of what they are for: not those of the machine that runs the tests.
config.substitutions.append(("%x86_64_v3", "--target=x86_64-linux-gnu --cpu=x86-64-v3"))
config.substitutions.append(("%source", config.weir_source_dir))
# Exit code 1 exactly; `not` takes any but 0.
config.substitutions.append(("%fails", "sh " + os.path.join(config.weir_source_dir, "tests", "support", "fails.sh")))

# A Python with ONNX's package, to look at exported models: Debian's, before another one on the path.
for python in ("/usr/bin/python3", "python3"):
    try:
        subprocess.run([python, "-c", "import onnx"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        continue
    config.available_features.add("onnx")
    show = os.path.join(config.weir_source_dir, "tests", "support", "show_onnx.py")
    config.substitutions.append(("%show_onnx", f"{python} {show}"))
    break
else:
    lit_config.note("no Python here has the package onnx: what it would check is left out")

# Objects for other machines run where a compiler, a linker and an emulator are.
clang = os.path.join(config.llvm_tools_dir, "clang")
if os.path.exists(clang) and os.path.exists(os.path.join(config.llvm_tools_dir, "ld.lld")):
    config.available_features.add("clang")
    config.substitutions.append(("%clang", f"{clang} -fuse-ld=lld"))
for machine in ("x86_64", "aarch64", "arm", "riscv64"):
    if shutil.which(f"qemu-{machine}"):
        config.available_features.add(f"qemu-{machine}")
if platform.machine() == "x86_64":
    config.available_features.add("x86_64")
    flags = set(pathlib.Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n")[0].split())
    if {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= flags:
        config.available_features.add("x86-64-v4")

# A disk that is soon full, in a namespace of mounts: some containers have none.
small_disk = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs -o size=64k weir /mnt"]
try:
    subprocess.run(small_disk, check=True, capture_output=True)
    config.available_features.add("small_disk")
except (OSError, subprocess.CalledProcessError):
    lit_config.note("no small disk can be mounted here: what happens when it is full is left out")
if shutil.which("valgrind"):
    config.available_features.add("valgrind")

# `FileCheck` and `not` by name.
config.environment["PATH"] = os.pathsep.join([config.llvm_tools_dir, config.environment["PATH"]])

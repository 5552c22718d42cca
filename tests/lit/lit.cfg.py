# Text tests: each file says in its RUN lines how it is run, and in its CHECK lines what must come out.

import os
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
config.substitutions.append(("%source", config.weir_source_dir))

# `FileCheck` and `not` by name.
config.environment["PATH"] = os.pathsep.join([config.llvm_tools_dir, config.environment["PATH"]])

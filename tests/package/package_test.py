#!/usr/bin/env python3
"""Builds and runs programs outside the tree against an installed copy of Weir.

usage: package_test.py SOURCE_FOLDER BUILD_FOLDER TEST

`install` makes the copy that the other tests use, in BUILD_FOLDER/tests/package/prefix. Each function test_NAME is
the CTest test package/NAME; it fails with an exception.
"""

import os
import pathlib
import pty
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE, BUILD = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
FOLDER = BUILD / "tests" / "package"
PREFIX = FOLDER / "prefix"
PROJECTS = SOURCE / "tests" / "package"
# The host that the test `gcc` builds, for the others.
HOST = FOLDER / "kept" / "host"


def run(*command, **options):
    """What the command prints on standard output."""
    done = subprocess.run([str(part) for part in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\nends with code {done.returncode}:\n"
                           f"{done.stdout}{done.stderr}")
    return done.stdout


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def compiler(*names):
    for name in names:
        if shutil.which(name):
            return name
    print(f"skipped: there is no {names[0]}")
    sys.exit(77)


def install_to(prefix, *options, **environment):
    run("cmake", "--install", BUILD, "--prefix", prefix, *options, env={**os.environ, **environment})


def build_project(name, folder, prefix, *options):
    """The program of one of the projects beside this file, built in the folder."""
    run("cmake", "-S", PROJECTS / name, "-B", folder, "-G", "Ninja",
        f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror",
        "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror", *options)
    run("cmake", "--build", folder)
    return folder / name


def build_and_run_host(folder, prefix, *options):
    run(build_project("host", folder / "host", prefix, *options))


def pkg_config(prefix, *options):
    path = next(prefix.glob("lib*/**/pkgconfig"))
    environment = {**os.environ, "PKG_CONFIG_PATH": str(path), "PKG_CONFIG_LIBDIR": str(path)}
    return run("pkg-config", *options, env=environment).split()


def installed(prefix, name):
    found = sorted(prefix.rglob(name))
    expect(found, f"{name} is not installed under {prefix}")
    return found[0]


def layer_object(folder):
    """An object file with the layer that the device project runs, written by the host of the test `gcc`."""
    run(HOST / "host", folder / "layer.o")
    return folder / "layer.o"


def needed_libraries(program):
    return [line.split()[0] for line in run("ldd", program).splitlines()]


def test_gcc(_):
    """A host is built by GCC with find_package."""
    shutil.rmtree(HOST, ignore_errors=True)
    build_and_run_host(HOST.parent, PREFIX, f"-DCMAKE_CXX_COMPILER={compiler('g++')}")


def test_clang(folder):
    """A host is built by Clang with find_package."""
    build_and_run_host(folder, PREFIX, f"-DCMAKE_CXX_COMPILER={compiler('clang++-22', 'clang++')}")


def test_old_compiler(folder):
    """A compiler that lacks std::source_location is told so when the package is found."""
    try:
        build_project("host", folder / "host", PREFIX, f"-DCMAKE_CXX_COMPILER={compiler('clang++-14')}")
    except RuntimeError as error:
        wanted = "GCC 11, Clang 16 or newer; this is Clang 14"
        expect(wanted in " ".join(str(error).split()), f"CMake says something else:\n{error}")
    else:
        raise AssertionError("Clang 14 is accepted")


def test_pkg_config(folder):
    """A host and a C program are built with pkg-config alone."""
    library = installed(PREFIX, "libweir.so").parent
    run("g++", "-std=c++20", PROJECTS / "host" / "main.cc", "-o", folder / "host",
        *pkg_config(PREFIX, "--cflags", "--libs", "weir", "weir-runtime"), f"-Wl,-rpath,{library}")
    run(folder / "host", folder / "layer.o")
    run("cc", PROJECTS / "device" / "main.c", folder / "layer.o", "-o", folder / "device",
        *pkg_config(PREFIX, "--cflags", "--libs", "weir-runtime"))
    run(folder / "device")


def test_runtime(folder):
    """A C project links the runtime component alone, with no other package to be found."""
    model = layer_object(folder)
    install_to(folder / "runtime", "--component", "runtime")
    files = [str(path.relative_to(folder / "runtime")) for path in (folder / "runtime").rglob("*") if path.is_file()]
    expect(not any("libweir.so" in file or "compiler" in file for file in files),
           f"the runtime component holds more than the runtime: {files}")
    hidden = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{package}=ON"
              for package in ("LLVM", "ONNX", "Protobuf", "fmt", "spdlog", "libzip")]
    device = build_project("device", folder / "device", folder / "runtime", f"-DMODEL_OBJECT={model}", *hidden)
    run(device)
    for library in needed_libraries(device):
        expect(library.startswith(("linux-vdso", "libstdc++.so", "libgcc_s.so", "libm.so", "libc.so", "/lib")),
               f"the program needs {library}")
    # The whole package serves the same program.
    run(build_project("device", folder / "whole", PREFIX, f"-DMODEL_OBJECT={model}"))


def test_model(folder):
    """A C project compiles a model with weir_add_model, and loads it from a shared object, both without LLVM; a change
    of the model is seen by the next build."""
    for name in ("digits.weir", "digits.safetensors"):
        shutil.copy(SOURCE / "examples" / "digits" / name, folder / name)
    weir = PREFIX / "bin" / "weir"
    run(weir, "compile", folder / "digits.weir", "-o", folder / "digits.so")
    program = build_project("model", folder / "model", PREFIX, f"-DMODEL={folder / 'digits.weir'}")
    logits = run(program, folder / "digits.so")
    for library in needed_libraries(program):
        expect("weir" not in library and "LLVM" not in library, f"the program needs {library}")
    expect(run("cmake", "--build", folder / "model").count("Compiling the model") == 0, "an unchanged model is compiled")
    text = (folder / "digits.weir").read_text()
    (folder / "digits.weir").write_text(text.replace("0.01", "0.02"))
    expect("Compiling the model" in run("cmake", "--build", folder / "model"), "a changed model is not compiled")
    failed = subprocess.run([program, folder / "digits.so"], capture_output=True, text=True, check=False)
    expect(failed.returncode == 5, f"the changed model has the old bits {logits}")


def test_components(folder):
    """A component that is not installed is named."""
    install_to(folder / "runtime", "--component", "runtime")
    try:
        build_project("host", folder / "host", folder / "runtime")
    except RuntimeError as error:
        expect("compiler" in str(error), f"the message does not name the component: {error}")
    else:
        raise AssertionError("a host is configured without the compiler")


def test_moved(folder):
    """The folder of the package may be moved: nothing in it knows where it was installed."""
    install_to(folder / "first")
    (folder / "first").rename(folder / "second")
    for file in (folder / "second").rglob("*"):
        if file.is_file() and not file.is_symlink():
            content = file.read_bytes()
            for place in (folder / "first", SOURCE, BUILD):
                expect(str(place).encode() not in content, f"{file} names {place}")
            way = re.search(rb"\.\./(?:compiler|ir|runtime|tools)/[\w/]+\.(?:cc|h)\b", content)
            expect(not way, f"{file} names a source by the way from the build folder: {way and way.group()}")
    run("cmake", "-S", PROJECTS / "host", "-B", folder / "host", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={folder / 'second'}")
    host = folder / "by_pkg_config"
    run("g++", "-std=c++20", PROJECTS / "host" / "main.cc", "-o", host,
        *pkg_config(folder / "second", "--cflags", "--libs", "weir", "weir-runtime"),
        f"-Wl,-rpath,{installed(folder / 'second', 'libweir.so').parent}")
    run(host)
    expect(run(installed(folder / "second", "weir"), "--version").startswith("weir "), "the command does not start")


def test_destdir(folder):
    """DESTDIR goes before the prefix, for those who make packages of a distribution."""
    install_to("/usr", DESTDIR=str(folder / "stage"))
    stage = folder / "stage"
    expect([path.name for path in stage.iterdir()] == ["usr"], "files outside of the prefix")
    expect((stage / "usr" / "bin" / "weir").exists(), "the command is not in DESTDIR/usr/bin")
    expect((stage / "usr" / "include" / "weir" / "ir" / "builder_ops.h").exists(), "the headers are not there")
    run("cmake", "-S", PROJECTS / "host", "-B", folder / "host", "-G", "Ninja",
        f"-DCMAKE_PREFIX_PATH={stage / 'usr'}")


def test_command(folder):
    """The command finds its library without help, and computes."""
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    printed = run(PREFIX / "bin" / "weir", "run", SOURCE / "examples" / "leaky_relu" / "default_slope.weir", "--input",
                  "x=[[-1.0, 2.0, -0.5, 3.0]]", cwd=folder, env=environment)
    expect(printed == "%y: f32[1, 4] = [[-0.01, 2.0, -0.005, 3.0]]\n", printed)
    needed = run("ldd", PREFIX / "bin" / "weir")
    library = [line for line in needed.splitlines() if "libweir.so" in line][0]
    expect(str(PREFIX) in str(pathlib.Path(library.split()[2]).resolve()), f"the command uses another library: {library}")
    # Graphviz is opened for a picture, and loaded for nothing else.
    expect("libgvc" not in needed, "the command is linked with Graphviz")
    picture = run(PREFIX / "bin" / "weir", "inspect", SOURCE / "examples" / "leaky_relu" / "linear.weir",
                  "--stage=kernels", "--svg", "-", cwd=folder, env=environment)
    expect(picture.endswith("</svg>\n"), "no picture")


def test_headers(folder):
    """The headers compile, with nothing but C, C++ and the package."""
    include = PREFIX / "include" / "weir"
    headers = sorted(path.relative_to(include) for path in include.rglob("*.h"))
    expect(pathlib.Path("compiler/pipeline.h") in headers, "compiler/pipeline.h is not installed")
    roots = [str(include), "/usr/lib/gcc", "/usr/include/c++", "/usr/include/x86_64-linux-gnu", "/usr/lib/llvm-"]
    libc = [pathlib.Path(path) for path in ("/usr/include", "/usr/include/linux", "/usr/include/asm-generic")]

    def foreign(*of):
        """The files of others that these headers need."""
        source = folder / "headers.cc"
        source.write_text("".join(f'#include "{header}"\n' for header in of))
        rule = run("g++", "-std=c++20", f"-I{include}", "-M", source)
        return [path for path in rule.replace("\\\n", " ").split()[2:]
                if pathlib.Path(path).parent not in libc and not path.startswith(tuple(roots))]

    # Which header it is that needs one is found where there is any.
    if foreign(*headers):
        for header in headers:
            expect(not foreign(header), f"{header} needs {foreign(header)}")
    everything = folder / "everything.cc"
    everything.write_text("".join(f'#include "{header}"\n' for header in headers) + "int main() {}\n")
    for name in ("g++", compiler("clang++-22", "clang++", "g++")):
        run(name, "-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-fsyntax-only", f"-I{include}",
            everything)


def test_examples(folder):
    """Examples are right outside the tree: that of the builder, which the README quotes, and one that trains."""
    library = installed(PREFIX, "libweir.so").parent
    for name in ("builder", "train_digits"):
        source = SOURCE / "examples" / name / f"{name}.cc"
        program = folder / name
        run("g++", "-std=c++20", f'-DWEIR_SOURCE_DIR="{SOURCE}"', source, "-o", program,
            *pkg_config(PREFIX, "--cflags", "--libs", "weir"), f"-Wl,-rpath,{library}")
        run(program)


def commands():
    listed = run(PREFIX / "bin" / "weir", "--help").split("commands:\n")[1].split("\n\n")[0]
    return re.findall(r"^  (\w+) ", listed, re.MULTILINE)


def test_manual(folder):
    """The manual page says what the command says, and is well-formed for groff and mandoc."""
    weir = PREFIX / "bin" / "weir"
    page = installed(PREFIX, "weir.1")
    expect(page.parent.name == "man1" and page.read_text() == run(weir, "--man"), "the page is not of this command")
    if shutil.which("mandoc"):
        run("mandoc", "-T", "lint", "-W", "warning", page)
    if shutil.which("groff") is None:
        return
    done = subprocess.run(["groff", "-ww", "-man", "-Tascii", "-P-cbou", page], text=True, capture_output=True)
    expect(done.returncode == 0 and not done.stderr, f"groff says {done.stderr}")
    text = " ".join(done.stdout.split())
    for command in commands():
        for line in run(weir, command, "--help").splitlines():
            option = re.match(r"  (-\S.*?)(  |$)", line)
            # The words of the line, whatever filling does to the spaces between them.
            wanted = option.group(1) if option else " ".join(line.split()) if line.startswith("  weir ") else ""
            expect(wanted in text, f"weir {command} --help has {wanted!r}, the manual page does not")


def completions(*words, **options):
    """What the installed script offers for the last word; words as bash splits them."""
    script = installed(PREFIX, "completions") / "weir"
    program = (f"source '{script}'; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _weir; "
               'printf "%s\\n" "${COMPREPLY[@]}"')
    return sorted(run("bash", "--norc", "-c", program, "bash", "weir", *words, **options).split())


def test_completion(folder):
    """Bash completes commands, options, ops, stages, passes and files."""
    (folder / "models").mkdir()
    for name in ("model.weir", "model.txt", "net.onnx", "values.npy"):
        (folder / name).touch()

    def offers(words, *wanted):
        found = completions(*words, cwd=folder)
        expect(found == sorted(wanted), f"{words}: {found}, and not {sorted(wanted)}")

    offers([""], *commands(), "--help", "--version", "--man", "--bash-completion")
    offers(["ins"], "inspect")
    offers(["inspect", ""], "model.weir", "models", "net.onnx")
    offers(["inspect", "model.weir", "--stage", ""], "graph", "optimized", "kept", "kernels", "llvm", "asm")
    offers(["inspect", "model.weir", "--stage", "="], "graph", "optimized", "kept", "kernels", "llvm", "asm")
    offers(["inspect", "model.weir", "--stage", "=", "op"], "optimized")
    offers(["inspect", "model.weir", "--no-f"], "--no-fusion")
    offers(["ops", "leaky"], "leaky_relu")
    offers(["ops", "--m"], "--markdown")
    offers(["opt", "--passes", "=", "fold,d"], "fold,dce", "fold,decompose")
    offers(["run", "model.weir", "--input", "x", "=", "val"], "values.npy")
    offers(["run", "model.weir", "--input", "=", "x", "=", "val"], "values.npy")
    offers(["run", "model.weir", "--dim", "N", "=", ""])
    offers(["run", "model.weir", "--weights", "model."], "model.txt", "model.weir")
    offers(["nothing", ""])


def test_completion_typed(folder):
    """A tab typed at a prompt of bash does what it should."""
    (folder / "two words.weir").touch()
    script = installed(PREFIX, "completions") / "weir"
    controller, terminal = pty.openpty()
    shell = subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], stdin=terminal, stdout=terminal, stderr=terminal,
                             cwd=folder, env={**os.environ, "TERM": "dumb", "PS1": "$ "}, start_new_session=True)
    os.close(terminal)
    os.write(controller, f"source '{script}'; weir() {{ printf '<%s>' \"$@\"; }}\n".encode())
    os.write(controller, b"weir insp\ttwo\t--stage=ker\t\n exit\n")
    seen = b""
    while True:
        try:
            part = os.read(controller, 4096)
        except OSError:  # the shell has ended
            break
        if not part:
            break
        seen += part
    shell.wait(timeout=60)
    expect(b"<inspect><two words.weir><--stage=kernels>" in seen, f"the terminal shows {seen.decode()}")


def main():
    name = sys.argv[3]
    if name == "install":
        shutil.rmtree(PREFIX, ignore_errors=True)
        install_to(PREFIX)
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        globals()[f"test_{name}"](pathlib.Path(folder))


main()

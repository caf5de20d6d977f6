"""Let the published PyTorch wheel start without CUDA libraries.

PyPI's Linux wheel is linked against some 2.5 GB of CUDA libraries, which the loader insists on finding although a
CPU-only process has no use for them. This writes a small stand-in beside PyTorch's own libraries for each one that is
missing: every function in it answers 100, which is cudaErrorNoDevice, so PyTorch sees a machine without a GPU.

Needs `cc` and `readelf`. Run by ../setup.
"""

import re
import subprocess
import sysconfig
from collections import defaultdict
from pathlib import Path

LIBRARIES = Path(sysconfig.get_path("platlib"), "torch", "lib")
CUDA = re.compile(r"lib(cu|nv|nccl)\w*\.so\.\d+$")


def readelf(option, library):
    return subprocess.run(["readelf", "-W", option, library], capture_output=True, text=True, check=True).stdout


def prefix(library):
    return re.match(r"lib([a-z]+)", library.lower())[1]


missing = {}  # library -> symbol version -> the functions asked of it
for library in LIBRARIES.glob("*.so"):
    for name in re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("--dynamic", library)):
        if CUDA.match(name) and not (LIBRARIES / name).exists():
            missing.setdefault(name, defaultdict(set))
    version_of = {}
    needed = None
    for line in readelf("--version-info", library).splitlines():
        if file := re.search(r"File: (\S+)", line):
            needed = file[1]
        elif version := re.search(r"Name: (\S+)", line):
            version_of[version[1]] = needed
    for function, version in re.findall(r"UND (\w+)(?:@(\S+))?", readelf("--dyn-syms", library)):
        # Libraries without symbol versions (cuFile, cuSPARSELt, NCCL, NVSHMEM) begin their functions' names with their
        # own; the longest fits, for cuSPARSE is another one.
        owner = version_of.get(version) or max(
            (name for name in missing if function.lower().startswith(prefix(name))), key=len, default=None
        )
        if owner in missing:
            missing[owner][version].add(function)

for name, versions in missing.items():
    if len(versions) > 1:  # the linker wants all or none; a caller who names no version takes any
        unversioned = versions.pop("", set())
        next(iter(versions.values())).update(unversioned)
    functions = sorted(set().union(*versions.values()))
    source = "".join(f"int {function}(void) {{ return 100; }}\n" for function in functions)
    exports = "".join(f"{version} {{ {'; '.join(sorted(names))}; }};\n" for version, names in versions.items())
    script = LIBRARIES / f"{name}.map"
    script.write_text(exports or "{ };\n")
    command = ["cc", "-shared", "-fPIC", "-nostdlib", f"-Wl,-soname,{name},--version-script={script}"]
    command += ["-x", "c", "-", "-o", LIBRARIES / name]
    subprocess.run(command, input=source, text=True, check=True)
    script.unlink()
print(f"{len(missing)} missing CUDA libraries stood in for")

#!/usr/bin/env python3
"""Compare what an image has with what it was asked for, which the environment says by the names of the settings.

check-image.py environment OUT: Python, PyTorch and its companions, CUDA, the distribution, the libraries they need.
check-image.py account [FORMER] OUT: who runs this; FORMER is what the other one has found.
check-image.py inside PACKAGE... OUT: what packages say when they are imported, which the first one asks.

OUT is what was found, as JSON, and under `claims` what was compared. What differs is a line each, with both values,
and the exit code 1; who goes past it has it in OUT. No GPU is needed. What cannot be asked, as of a PyTorch that is too
old to tell, is left out rather than held against the image. It runs with the environment's own Python, be it 3.6, and
with nothing besides.
"""

import glob
import grp
import hashlib
import importlib
import json
import mmap
import os
import platform
import pwd
import re
import signal
import struct
import subprocess
import sys
import tempfile
import warnings
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

Found = Dict[str, Any]
IMPORT_SECONDS = 120  # a package that takes longer hangs
PACKAGES = {
    "torch": "PYTORCH_VERSION_TAG",
    "torchvision": "TORCHVISION_VERSION_TAG",
    "torchaudio": "TORCHAUDIO_VERSION_TAG",
    "torchtext": "TORCHTEXT_VERSION_TAG",
}
# What the stages say for each of the two; the report keeps it, so that a container can be asked the same.
ASKED = {
    "environment": (
        *("BUILD_MODE", "USE_CUDA", "CUDA_VERSION", "CUDNN_VERSION", "LINUX_DISTRO", "DISTRO_VERSION"),
        *("TRAIN_IMAGE", "DEPLOY_IMAGE", "PYTHON_VERSION", *PACKAGES.values()),
        *("PYTORCH_INDEX_URL", "PYTORCH_FETCH_NIGHTLY", "CCA", "TORCH_BUILD_FLAGS", "COMPANION_BUILD_FLAGS"),
    ),
    "account": ("ADD_USER", "UID", "GID", "USR", "GRP"),
}
NEGATIVE = ("0", "off", "no", "false", "n")
# By the name in NVIDIA's tags; the ID of /etc/os-release.
DISTRIBUTIONS = {"ubuntu": "ubuntu", "debian": "debian", "rockylinux": "rocky", "ubi": "rhel", "centos": "centos"}
# What may be missing here, and why.
MAY_BE_MISSING = (
    r"lib(cuda|nvcuvid|nvoptix)\.so.*|libnvidia-.*",  # the GPU's driver: a container gets it from its host
    r"lib(av|sw)\w+\.so.*|libpostproc\.so.*",  # FFmpeg: torchaudio has an extension for each of its versions
    r"libsox\.so.*",  # SoX: torchaudio looks for it when it is used
    r"lib(mlx[45]|ibverbs|rdmacm|efa|fabric|ucp|ucs|mpi|oshmem|pmix|gdrapi)\.so.*",  # the network between hosts
)


class Claim(NamedTuple):
    """What was compared; `wrong` says how it differs, and is empty where it does not."""

    what: str
    asked: object
    found: object
    wrong: str


# ---- versions


def split_version(text: str) -> Tuple[Tuple[int, ...], str, str]:
    """Return a version's numbers without zeros at their end, what follows them, and its local label."""
    match = re.match(r"v?(\d+(?:\.\d+)*)([^+]*)\+?(.*)$", text.lower())
    if not match:
        return (), text, ""
    numbers = [int(part) for part in match.group(1).split(".")]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    after = re.sub(r"[-_.]", "", match.group(2)).replace("alpha", "a").replace("beta", "b")
    return tuple(numbers), after, match.group(3)


def is_same_version(found: str, asked: str) -> bool:
    """Return whether a version is the one that is asked for; a label counts where one is asked for."""
    numbers, after, label = split_version(asked)
    return split_version(found)[:2] == (numbers, after) and label in ("", split_version(found)[2])


def begins_with(found: str, asked: str) -> bool:
    """Return whether a version is one of those that are meant by its first parts, as 3.12.4 is by 3.12."""
    return (found + ".").startswith(asked + ".")


def asked_version(asked: Mapping[str, str], package: str) -> str:
    """Return the version that a package has to be of; empty where none was named, as with a branch."""
    tag = asked.get(PACKAGES[package], "")
    if asked.get("BUILD_MODE") == "include":
        # As misc/image/build-torch.sh decides whether a tag is a version.
        tag = tag if re.match(r"v?\d+\.\d+\.\d", tag) else ""
        if package != "torch":
            return flags(asked, "COMPANION_BUILD_FLAGS").get("BUILD_VERSION", "") or tag
        given = flags(asked, "TORCH_BUILD_FLAGS")
        version, number = given.get("PYTORCH_BUILD_VERSION", "") or tag, given.get("PYTORCH_BUILD_NUMBER", "")
        # As PyTorch's tools/generate_torch_version.py says what is not the first build of a version.
        again = f".post{int(number)}" if number.isdigit() and int(number) > 1 else ""
        return version and version + again
    # Of nightly wheels the newest is meant, unless the tag names one.
    return "" if asked.get("PYTORCH_FETCH_NIGHTLY") == "1" and ".dev" not in tag else tag


def asked_cuda(asked: Mapping[str, str]) -> Optional[str]:
    """Return the CUDA that PyTorch has to be made for, like 12.4; None where it is to be for the CPU only."""
    label = split_version(asked.get("PYTORCH_VERSION_TAG", ""))[2]
    if asked.get("BUILD_MODE") != "include" and label:
        # A label in the tag says which of the official wheels is meant.
        match = re.match(r"cu(\d+)(\d)$", label)
        if match or label == "cpu":
            return "{}.{}".format(*match.groups()) if match else None
    # As PyTorch's setup.py reads its variables.
    if flags(asked, "TORCH_BUILD_FLAGS").get("USE_CUDA", asked.get("USE_CUDA", "")).lower() in NEGATIVE:
        return None
    return two_parts(asked.get("CUDA_VERSION", ""))


def two_parts(version: Optional[str]) -> Optional[str]:
    """Return a version's first two parts, as 10.0 of 10.0.130."""
    return version and ".".join(version.split(".")[:2])


def has_cuda_unasked(asked: Mapping[str, str], found: Found) -> bool:
    """Return whether a wheel is for CUDA where none was asked for: one from PyPI, where that is all a host reaches.

    It computes on the CPU all the same, so it is said and taken; what was compiled has no such excuse.
    """
    return bool(found.get("cuda")) and asked_cuda(asked) is None and asked.get("BUILD_MODE") != "include"


def has_cuda_of_an_index(asked: Mapping[str, str], found: Found) -> bool:
    """Return whether a wheel is for another CUDA than the base image's: an index that was named has what it has.

    A label in the tag says what is meant all the same, and a wheel without CUDA is none that was asked for.
    """
    is_claimed = asked.get("BUILD_MODE") == "include" or split_version(asked.get("PYTORCH_VERSION_TAG", ""))[2]
    cuda, wanted = found.get("cuda"), asked_cuda(asked)
    is_other = bool(cuda and wanted) and two_parts(cuda) != wanted
    return bool(asked.get("PYTORCH_INDEX_URL")) and not is_claimed and is_other


def asked_architectures(asked: Mapping[str, str]) -> List[str]:
    """Return what PyTorch has to be compiled for, as it names it itself: sm_86, compute_86.

    Nothing where a family is named, like Hopper: which numbers it has depends on PyTorch and CUDA.
    """
    names = []  # type: List[str]
    listed = flags(asked, "TORCH_BUILD_FLAGS").get("TORCH_CUDA_ARCH_LIST", asked.get("CCA", ""))
    for item in re.split(r"[ ;]+", listed.strip(" ;")):
        if not re.match(r"\d+\.\d+[a-z]?(\+PTX)?$", item):
            return []
        number = item.replace("+PTX", "").replace(".", "")
        names += ["sm_" + number] + ["compute_" + number] * item.endswith("+PTX")
    return names


def flags(asked: Mapping[str, str], name: str) -> Dict[str, str]:
    """Return a setting that is a list of variables."""
    return dict(word.split("=", 1) for word in asked.get(name, "").split() if "=" in word)


# ---- comparisons


def differences(asked: Mapping[str, str], found: Found) -> List[str]:
    """Return a line for each thing that is not as it was asked for."""
    return [claim.wrong for claim in claims(asked, found) if claim.wrong]


def claims(asked: Mapping[str, str], found: Found) -> List[Claim]:
    """Return what can be compared, each with both values.

    Args:
        asked: settings by name.
        found: what `look` returns; what it lacks is not known.
    """
    made = []
    python = asked.get("PYTHON_VERSION", "")
    if python:
        made.append(_claim("Python", python, found["python"], is_right=begins_with(found["python"], python)))
    made += [_package_claim(asked, found, package) for package, setting in PACKAGES.items() if asked.get(setting)]
    if "cuda" in found and not has_cuda_unasked(asked, found) and not has_cuda_of_an_index(asked, found):
        cuda, wanted = found["cuda"], asked_cuda(asked)
        made.append(_claim("CUDA", wanted, cuda, is_right=two_parts(cuda) == wanted, named="the CUDA of torch"))
    if asked.get("BUILD_MODE") == "include":
        made += _compiled_claims(asked, found)
    made += _distribution_claims(asked, found)
    return made + _library_claims(found)


def _claim(what: str, asked: object, found: object, *, is_right: bool, named: str = "") -> Claim:
    wrong = "{} is {}, asked for {}".format(named or what, found or "none", asked or "none")
    return Claim(what, asked or "none", found or "none", "" if is_right else wrong)


def _package_claim(asked: Mapping[str, str], found: Found, package: str) -> Claim:
    tag, version = asked[PACKAGES[package]], asked_version(asked, package)
    if package not in found:
        return Claim(package, tag, "none", f"{package} is not there, asked for {tag}")
    if package in found.get("errors", {}):
        wrong = "{} {} {}".format(package, found[package], found["errors"][package])
        return Claim(package, tag, found[package], wrong)
    seen = [found[package], found.get("inside", {}).get(package, found[package])]
    wrongs = [one for one in seen if version and not is_same_version(one, version)]
    return _claim(package, (version or tag).lstrip("v"), (wrongs or seen)[0], is_right=not wrongs)


def _compiled_claims(asked: Mapping[str, str], found: Found) -> Iterator[Claim]:
    # In place of a tag, and whole: a branch may be called 20250101. That of a tag is checked where it is cloned.
    tag, commit = asked.get("PYTORCH_VERSION_TAG", ""), found.get("commit")
    if commit and re.match("[0-9a-f]{40}$", tag.lower()):
        yield _claim("commit", tag, commit, is_right=commit.lower() == tag.lower(), named="the commit of torch")
    cudnn, asked_cudnn = found.get("cudnn"), asked.get("CUDNN_VERSION", "").split(".")[0]
    if cudnn and asked_cudnn:
        is_right = cudnn.split(".")[0] == asked_cudnn
        yield _claim("cuDNN", asked_cudnn, cudnn, is_right=is_right, named="the cuDNN of torch")
    has, wanted = found.get("architectures"), asked_architectures(asked)
    if has and wanted and asked_cuda(asked):
        texts, missed = (" ".join(wanted), " ".join(has)), set(wanted) - set(has)
        # More than was asked for serves as well.
        wrong = "torch is compiled for {1}, asked for {0}".format(*texts) if missed else ""
        yield Claim("compiled for", *texts, wrong)


def _distribution_claims(asked: Mapping[str, str], found: Found) -> Iterator[Claim]:
    name, version = asked.get("LINUX_DISTRO", ""), asked.get("DISTRO_VERSION", "")
    base = asked.get("TRAIN_IMAGE", "") or asked.get("DEPLOY_IMAGE", "")
    # A base image that was named by hand claims nothing.
    if name in DISTRIBUTIONS and base.split("@")[0].endswith(f"-{name}{version}") and found.get("distribution"):
        system, _, release = found["distribution"].partition(" ")
        is_right = system == DISTRIBUTIONS[name] and begins_with(release, version)
        wanted = f"{name} {version}"
        yield _claim("distribution", wanted, found["distribution"], is_right=is_right, named="the distribution")


def _library_claims(found: Found) -> List[Claim]:
    missing = [
        Claim("missing libraries", "none", library, f"{package} needs {library}, which is nowhere in the image ({by})")
        for package, libraries in sorted(found.get("missing", {}).items())
        for library, by in sorted(libraries.items())
    ]
    return missing or [Claim("missing libraries", "none", "none", "")]


def account_differences(asked: Mapping[str, str], found: Mapping[str, Any]) -> List[str]:
    """Return a line for each thing of the account that is not as it was asked for."""
    return [claim.wrong for claim in account_claims(asked, found) if claim.wrong]


def account_claims(asked: Mapping[str, str], found: Mapping[str, Any]) -> List[Claim]:
    """Return what of the account can be compared, each with both values."""
    if asked.get("ADD_USER") == "exclude" or asked["UID"] == "0":
        wanted = {"uid": 0}  # type: Dict[str, object]
    else:
        # misc/image/create-user.sh leaves a group its name that the base image has already.
        name = asked["USR"] if asked["USR"] != "root" else "user"
        wanted = {"user": name, "uid": int(asked["UID"]), "gid": int(asked["GID"])}
    made = []
    for what, value in wanted.items():
        wrong = f"the account's {what} is {found[what]}, asked for {value}"
        made.append(Claim(what, value, found[what], "" if found[what] == value else wrong))
    wrong = "the account's home {} is not its own".format(found["home"])
    return [*made, Claim("home", "its own", found["home"], "" if found["owns_home"] else wrong)]


def verified(made: Iterable[Claim]) -> str:
    """Return what is as it was asked for, for the one line of the screen: what matters most first."""
    found = {claim.what: claim.found for claim in made if not claim.wrong}
    without = {("CUDA", "none"): "no CUDA", ("missing libraries", "none"): "no library missing"}
    words = {name: without.get((name, value), f"{name} {value}") for name, value in found.items()}
    # Who it is stands for the whole account.
    for name in ("home", "gid", *["uid"] * ("user" in found)):
        words.pop(name, None)
    first = [words.pop(name) for name in ("Python", "torch", "CUDA", "missing libraries") if name in words]
    return ", ".join([*first, *words.values()])


# ---- what there is


def look(asked: Mapping[str, str]) -> Found:
    """Return what this environment has; what cannot be asked is left out."""
    found = {"python": platform.python_version(), "errors": {}, "inside": {}}  # type: Found
    system = _distribution()
    if system:
        found["distribution"] = system
    found.update({package: version for package, version in zip(PACKAGES, map(_installed, PACKAGES)) if version})
    _look_inside(found, [name for name, setting in PACKAGES.items() if name in found and asked.get(setting)])
    names, others = _missing_libraries()
    found["missing"], found["missing_of_others"] = names, others
    return found


def _keep_bytecode() -> None:
    """Take Python's bytecode from the cache of builds, and leave it there: compiling it is most of what this costs.

    Wheels give their files fixed times, by which Python would know what is stale: hence a folder for each set of them.
    """
    cache = "/var/cache/cresset-bytecode"
    if os.path.isdir(cache):
        records = [path for name in PACKAGES for path in glob.glob(f"{_site_packages()}/{name}-*.dist-info/RECORD")]
        digest = hashlib.sha256()
        for path in sorted(records):
            with open(path, "rb") as file:
                digest.update(file.read())
        sys.pycache_prefix = f"{cache}/{digest.hexdigest()[:16]}"
        # An older Python would leave it in the environment.
        sys.dont_write_bytecode = sys.version_info < (3, 8)


def _look_inside(found: Found, packages: List[str]) -> None:
    """Import packages in a process of its own, which one of them may end, and take what they answer."""
    if not packages:
        return
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as file:
        code = subprocess.call([sys.executable, "-IB", os.path.abspath(__file__), "inside", *packages, file.name])
        answers = [json.loads(line) for line in file if line.endswith("\n")]
    for package, answer in zip(packages, answers):
        for name in ("errors", "inside"):
            found[name].update({package: answer.pop(name)} if name in answer else {})
        found.update(answer)
    for package in packages[len(answers) : len(answers) + 1]:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        ended = f"ends Python while it is imported ({how})"
        hangs = f"is still being imported after {IMPORT_SECONDS} seconds"
        found["errors"][package] = hangs if code == -signal.SIGALRM else ended


def tell_inside(packages: Iterable[str], out: str) -> None:
    """Import packages, and write a line for each as soon as it has answered."""
    _keep_bytecode()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with open(out, "w", encoding="utf-8") as file:
        for package in packages:
            # It ends the process, wherever that hangs.
            signal.alarm(IMPORT_SECONDS)
            file.write(json.dumps(ask_inside(package), default=str) + "\n")
            file.flush()


def ask_inside(package: str) -> Found:
    """Return what a package says of itself when it is imported; under `errors` why it cannot be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = importlib.import_module(package)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the person would meet it next
        return {"errors": "cannot be imported: " + reason(error)}
    answer = {}  # type: Found
    version = getattr(module, "__version__", None)
    if isinstance(version, str):
        answer["inside"] = str(version)
    if package == "torch":
        questions = {
            "cuda": lambda: module.version.cuda,
            "commit": lambda: {"Unknown": None}.get(module.version.git_version, module.version.git_version),
            "cudnn": lambda: _dotted(module.backends.cudnn.version()),
            "nccl": lambda: ".".join(map(str, module.cuda.nccl.version())),
            # Without a GPU get_arch_list() is empty; this is what it would read.
            "architectures": lambda: module._C._cuda_getArchFlags().split(),  # noqa: SLF001
        }
        for name, ask in questions.items():
            try:
                answer[name] = ask()
            except Exception:  # noqa: BLE001, S112, PERF203 - not known, then
                continue
    return answer


def reason(error: BaseException) -> str:
    """Return what an error is and the first line that it says, if it says any."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - it is somebody else's code
        said = ""
    return ": ".join([type(error).__name__, *said.strip().splitlines()[:1]])


def _dotted(cudnn: Optional[int]) -> Optional[str]:
    """Return cuDNN's number as a version: 8907 is 8.9.7, 91002 is 9.10.2."""
    if not cudnn:
        return None
    ten_thousand = 10000
    major = 1000 if cudnn < ten_thousand else ten_thousand
    return f"{cudnn // major}.{cudnn % major // 100}.{cudnn % 100}"


def _distribution() -> str:
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as file:
            lines = dict(line.strip().split("=", 1) for line in file if "=" in line)
    except OSError:
        return ""
    return "{} {}".format(*(lines.get(name, "").strip("\"'") for name in ("ID", "VERSION_ID"))).strip()


def _site_packages() -> str:
    return "{}/lib/python{}.{}/site-packages".format(sys.prefix, *sys.version_info[:2])


def _installed(package: str) -> str:
    """Return the version that a package's own record says; empty where it is not installed."""
    for record in glob.glob(f"{_site_packages()}/{package}-*.dist-info/METADATA"):
        with open(record, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("Version:"):
                    return line.split(":", 1)[1].strip()
    return ""


# ---- libraries


def _missing_libraries() -> Tuple[Dict[str, Dict[str, str]], Dict[str, Dict[str, str]]]:
    """Return the libraries that are nowhere, with one that needs each, by package: ours, then everybody else's.

    Ours are the wheels of this configuration. Others bring extensions along for what may be there and often is not.
    Where in the environment a library lies does not matter: what needs it may have been told, and importing tells.
    """
    root = _site_packages()
    files = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names if ".so" in name]
    here = {os.path.basename(path) for path in files} | _system_libraries()
    owners = _owners(root)
    ours, others = {}, {}  # type: Tuple[Dict[str, Dict[str, str]], Dict[str, Dict[str, str]]]
    for path in sorted(files):
        needed, folders = read_library(path)
        lacks = {one for one in needed if one not in here and not _is_in(one, folders)}
        for library in lacks:
            if not any(re.match(f"(?:{pattern})$", library) for pattern in MAY_BE_MISSING):
                inner = os.path.relpath(path, root)
                owner = owners.get(inner)
                of = ours.setdefault(owner, {}) if owner else others.setdefault(inner.split("/")[0], {})
                of.setdefault(library, inner)
    return ours, others


def _is_in(library: str, folders: Iterable[str]) -> bool:
    return any(os.path.exists(os.path.join(folder, library)) for folder in folders)


def _owners(root: str) -> Dict[str, str]:
    """Return the files of the wheels of this configuration, each with its package."""
    try:
        with open(os.path.join(os.path.dirname(sys.prefix), "constraints.txt"), encoding="utf-8") as file:
            names = [line.split("==")[0] for line in file if "==" in line]
    except OSError:
        return {}
    owners = {}
    for name in names:
        for record in glob.glob(f"{root}/{name}-*.dist-info/RECORD"):
            with open(record, encoding="utf-8", errors="surrogateescape") as file:
                owners.update((line.split(",")[0], name) for line in file if ".so" in line)
    return owners


def _system_libraries() -> Set[str]:
    """Return the names of what the loader finds by itself, and of what this Python brings along."""
    folders = [*os.environ.get("LD_LIBRARY_PATH", "").split(":"), sys.base_prefix + "/lib"]
    folders += ["/lib", "/lib64", "/usr/lib", "/usr/lib64", *glob.glob("/usr/lib/*-linux-gnu")]
    names = {name for folder in folders if folder and os.path.isdir(folder) for name in os.listdir(folder)}
    for program in ("/sbin/ldconfig", "/usr/sbin/ldconfig"):
        if os.path.exists(program):
            listed = subprocess.Popen([program, "-p"], stdout=subprocess.PIPE).communicate()[0].decode(errors="replace")
            return names | set(re.findall(r"^\s+(\S+) \(", listed, re.MULTILINE))
    return names


def read_library(path: str) -> Tuple[List[str], List[str]]:
    """Return what a shared library needs, and the folders of its own where it looks; nothing of what is none.

    From its dynamic section, as ELF lays it out (man 5 elf): ldd would start the loader for each of hundreds of files.
    """
    if not os.path.isfile(path):  # a pipe would be waited for
        return [], []
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:6] != b"\x7fELF\x02\x01":  # 64 bits, little-endian
                return [], []
            return _read_dynamic(data, os.path.dirname(path))
    except (OSError, ValueError, OverflowError, struct.error):
        return [], []


def _read_dynamic(data: Any, folder: str) -> Tuple[List[str], List[str]]:  # noqa: ANN401 - a mapped file, or bytes
    (start,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQ", data, start + size * number) for number in range(count)]
    load, dynamic, needed, strings, rpath, runpath = 1, 2, 1, 5, 15, 29
    entries = []
    for kind, _, offset, _, _, length in segments:
        if kind == dynamic:
            entries = [struct.unpack_from("<qQ", data, at) for at in range(offset, offset + length, 16)]
    address = dict(entries).get(strings, 0)
    shifts = [
        offset - at for kind, _, offset, at, _, length in segments if kind == load and at <= address < at + length
    ]
    if not shifts:
        return [], []
    table = address + shifts[0]

    def text(tags: Tuple[int, ...]) -> List[str]:
        places = [table + value for tag, value in entries if tag in tags]
        return [data[place : data.find(b"\0", place)].decode(errors="replace") for place in places]

    folders = [one for joined in text((rpath, runpath)) for one in joined.split(":") if one]
    return text((needed,)), [re.sub(r"\$ORIGIN|\$\{ORIGIN\}", folder, one) for one in folders]


# ---- the account


def look_at_account() -> Found:
    """Return who runs this."""
    uid, gid = os.getuid(), os.getgid()
    found = {"uid": uid, "gid": gid, "user": None, "group": None, "home": None, "owns_home": False}  # type: Found
    try:
        account = pwd.getpwuid(uid)
        found.update(user=account.pw_name, home=account.pw_dir)
        found["owns_home"] = os.stat(account.pw_dir).st_uid == uid
        found["group"] = grp.getgrgid(gid).gr_name
    except (KeyError, OSError):
        pass
    return found


def _is_forced() -> bool:
    """Return whether the person goes past it; a secret, so that it changes no key."""
    try:
        return os.path.getsize("/run/secrets/force") > 0
    except OSError:
        return False


def main(kind: str, *paths: str) -> int:
    """Look, compare, tell, and keep what was found; return the exit code."""
    if kind == "inside":
        tell_inside(paths[:-1], paths[-1])
        return 0
    found = {"asked": {}}  # type: Found
    for former in paths[:-1]:
        with open(former, encoding="utf-8") as file:
            found = json.load(file)
    asked = {name: os.environ[name] for name in ASKED[kind] if name in os.environ}
    found["asked"].update(asked)
    if kind == "environment":
        found.update(look(asked))
        made = claims(asked, found)
        if has_cuda_unasked(asked, found):
            print("cresset: torch brings CUDA {}, though none was asked for: larger, not wrong".format(found["cuda"]))
        if has_cuda_of_an_index(asked, found):
            said = "cresset: torch brings CUDA {}, as PYTORCH_INDEX_URL has it; CUDA_VERSION is {}"
            print(said.format(found["cuda"], asked["CUDA_VERSION"]))
        for name, libraries in sorted(found.pop("missing_of_others").items()):
            said = "cresset: {} would like {}, which the image lacks".format(name, ", ".join(sorted(libraries)))
            print(said.encode("ascii", "backslashreplace").decode())
        del found["missing"], found["errors"], found["inside"]
    else:
        found["account"] = look_at_account()
        made = account_claims(asked, found["account"])
    found["claims"] = found.get("claims", []) + [
        {name: value for name, value in zip(Claim._fields, claim) if value != ""} for claim in made
    ]
    lines = [claim.wrong for claim in made if claim.wrong]
    for line in lines:
        print("cresset: " + line, file=sys.stderr)
    if lines and not _is_forced():
        return 1
    print(("cresset verified: " + verified(made)).encode("ascii", "backslashreplace").decode())
    if lines:
        found["forced"] = found.get("forced", []) + lines
    with open(paths[-1], "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1, sort_keys=True)
        file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

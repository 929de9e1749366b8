"""The RHEL family, as far as a host without its images can: Debian's own dnf and rpm, real ones, on a repository of
empty packages with the RHEL family's names; apt is taken away. microdnf and yum are stubs that record what they get.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

import pytest

from cresset import remedies
from tests.engine import bases
from tests.engine.checkout import ROOT, Checkout, Result, run
from tests.unit.test_remedies import VALUES

# What the stages ask for themselves, and what reqs/dnf-train.requirements.txt lists; no ccache, no tmux.
PACKAGES = (
    "ca-certificates python3 findutils shadow-utils tzdata zsh git less nano openssh-clients rsync tiny gcc gcc-c++ "
    "make curl file libjpeg-turbo-devel libpng-devel libwebp-devel lld patch pkgconf-pkg-config python3-devel"
)
SPEC = """Name: {name}
Version: 1.0
Release: 1
Summary: empty
License: none
BuildArch: noarch
AutoReqProv: no
{provides}
%description
Empty.
%install
{install}
%files
{files}
"""
FILES = {"ca-certificates": "/etc/pki/tls/certs/ca-bundle.crt", "zsh": "/etc/zshrc"}
REPOSITORIES = """[base]
name=base
baseurl=file:///repositories/base
gpgcheck=0
[crb]
name=crb
baseurl=file:///repositories/crb
gpgcheck=0
enabled=0
"""
IMAGE = f"""
FROM {{base}}
{bases.INSTALL} createrepo-c dnf python3 python3-venv rpm
COPY specs /specs
COPY local.repo /etc/yum.repos.d/
RUN cd /specs \\
    && for spec in */*; do rpmbuild -bb --quiet --define "_rpmdir /repositories/${{{{spec%/*}}}}" $spec; done \\
    && createrepo_c -q /repositories/base && createrepo_c -q /repositories/crb \\
    && rm -rf /specs /usr/bin/apt* /usr/bin/dpkg* /usr/sbin/adduser /usr/bin/curl /etc/ssl/certs/ca-certificates.crt \\
    && printf 'ID=rocky\\nVERSION_ID=9.6\\n' > /etc/os-release && ln -sf bash /bin/sh
"""
STUB = '#!/bin/sh\necho "$(basename $0)" "$@" >> /asked\n'


@pytest.fixture(scope="module")
def checkout(clone: Callable[[], Checkout]) -> Checkout:
    return clone()


@pytest.fixture(scope="module")
def rocky(unseen_base: str, checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    context = tmp_path_factory.mktemp("rocky")
    for repository, names in {"base": PACKAGES, "crb": "openblas-devel"}.items():
        (context / "specs" / repository).mkdir(parents=True)
        for name in names.split():
            file = FILES.get(name, "")
            spec = SPEC.format(
                name=name,
                provides="Provides: pkgconfig = 1.0" if name.startswith("pkgconf") else "",
                install=f"install -D /dev/null %{{buildroot}}{file}" if file else "",
                files=file,
            )
            (context / "specs" / repository / f"{name}.spec").write_text(spec)
    (context / "local.repo").write_text(REPOSITORIES)
    image = bases.make(context, IMAGE.format(base=unseen_base), checkout)
    yield image
    run(["docker", "image", "rm", "--force", image, f"{image}-train"], check=False)


def build(checkout: Checkout, image: str, *words: str, service: str = "train", check: bool = True) -> Result:
    """Build the stage with the distribution's packages on an image; without further words nothing is kept of it."""
    output = words or ("--output", "type=cacheonly")
    target = ["--target", f"{service}-base", "--build-arg", f"{service.upper()}_IMAGE={image}", *output]
    return bases.build(checkout, *target, ".", check=check)


def executed(built: Result) -> set[str]:
    """Return the stages of which a step was executed, by BuildKit's plain progress."""
    cached = set(re.findall(r"^#(\d+) CACHED", built.out, re.MULTILINE))
    return {
        stage
        for number, stage in re.findall(r"^#(\d+) \[([\w-]+) \S+ RUN", built.out, re.MULTILINE)
        if number not in cached
    }


def inside(image: str, script: str) -> list[str]:
    scripts = ["--volume", f"{ROOT}/misc/image:/scripts:ro"]
    return run(["docker", "run", "--rm", "--entrypoint", "sh", *scripts, image, "-euc", script]).lines


@pytest.fixture(scope="module")
def train_base(checkout: Checkout, rocky: str) -> str:
    path = checkout.path / "reqs/dnf-train.requirements.txt"
    path.write_text("\ufeff" + path.read_text() + "  tiny-1.0  # pinned\r\n\r\n")
    said = build(checkout, rocky, "--load", "--tag", f"{rocky}-train").out
    assert "no repository of the base image has tmux: without it" in said
    return f"{rocky}-train"


def test_the_stages_ask_dnf_and_read_its_requirements(train_base: str) -> None:
    listed = set(inside(train_base, "rpm -qa --queryformat '%{name}\\n'"))
    assert {"ca-certificates", "findutils", "shadow-utils", "tzdata", "zsh"} <= listed
    assert {"git", "less", "nano", "openssh-clients", "rsync", "tiny"} <= listed
    assert "gcc" not in listed


def test_what_other_distributions_have_elsewhere_is_where_it_is_looked_for(train_base: str) -> None:
    links = inside(train_base, "readlink -f /etc/ssl/certs/ca-certificates.crt; readlink /etc/zshrc")
    assert links == ["/etc/pki/tls/certs/ca-bundle.crt", "zsh/zshrc"]


def test_what_was_downloaded_is_not_in_the_image(train_base: str) -> None:
    assert inside(train_base, "find /var -name '*.rpm' -o -name '*.solv*'") == []


def test_compilers_have_their_names_there(rocky: str) -> None:
    asked = re.findall(r"install-packages\.sh \\\n +(build-essential .*\\\n.*)", (ROOT / "Dockerfile").read_text())
    names = asked[0].replace("\\\n", " ")
    script = f"/scripts/install-packages.sh {names} > /dev/null; rpm -qa --queryformat '%{{name}}\\n'"
    listed = inside(rocky, script)
    wanted = (
        "gcc gcc-c++ make git libjpeg-turbo-devel libpng-devel libwebp-devel lld patch pkgconf-pkg-config python3-devel"
    )
    assert set(wanted.split()) | {"openblas-devel", "curl"} <= set(listed)
    assert "cresset: no repository of the base image has ccache: without it" in listed


@pytest.mark.parametrize("manager", ["microdnf", "yum"])
def test_the_other_managers_are_asked_alike(rocky: str, manager: str) -> None:
    stub = f"rm /usr/bin/dnf*; cat > /usr/bin/{manager} <<'END'\n{STUB}END\nchmod 755 /usr/bin/{manager}\n"
    asked = inside(
        rocky,
        f"{stub}echo 'VERSION_ID=8.10\nID=centos' > /etc/os-release; ln -s /bin/true /usr/bin/curl\n"
        "/scripts/install-packages.sh ca-certificates curl python3 python3-venv ccache; cat /asked",
    )
    assert [line.split(" install ")[1] for line in asked] == ["ca-certificates python3.11 findutils", "ccache"]
    assert asked[0].startswith(f"{manager} -y --setopt=cachedir=/var/cache/cresset-apt/centos-8.10 ")
    assert "--enablerepo=crb" in asked[0]


def test_without_any_manager_it_says_so(rocky: str) -> None:
    said = inside(rocky, "rm /usr/bin/dnf*; /scripts/install-packages.sh git 2>&1 || true")
    assert said == ["cresset: the base image has no package manager that is known here: apt-get, dnf, microdnf or yum"]


def test_an_account_is_made_without_debians_adduser(train_base: str) -> None:
    made = "env UID=4321 GID=4321 USR=nick GRP=nick /scripts/create-user.sh; id nick; stat --format %U /home/nick"
    account, owner = inside(train_base, made)
    assert account.startswith("uid=4321(nick) gid=4321(nick)")
    assert "cresset" in account
    assert owner == "nick"


@pytest.mark.parametrize(
    ("service", "asked", "account"),
    [("deploy", "ca-certificates shadow-utils", "deploy"), ("simple", "git less shadow-utils tzdata zsh", "root")],
    ids=["deploy", "simple"],
)
def test_deploy_and_simple_read_their_files_for_dnf(
    checkout: Checkout, rocky: str, service: str, asked: str, account: str
) -> None:
    image = f"{rocky}-{service}"
    build(checkout, rocky, "--load", "--tag", image, service=service)
    try:
        listed = set(inside(image, f"id -u {account} > /dev/null; rpm -qa --queryformat '%{{name}}\\n'"))
    finally:
        run(["docker", "image", "rm", image])
    assert set(asked.split()) <= listed
    assert ("git" in listed) == (service == "simple")
    assert ("python3" in listed) == (service == "deploy")  # where the base has one, simple takes that


@pytest.mark.usefixtures("train_base")
@pytest.mark.parametrize("service", ["train", "deploy", "simple"])
@pytest.mark.parametrize(("edited", "again"), [("apt", ()), ("dnf", ("base",))])
def test_only_the_file_of_the_bases_own_manager_counts(
    checkout: Checkout, rocky: str, service: str, edited: str, again: tuple[str, ...]
) -> None:
    path = checkout.path / f"reqs/{edited}-{service}.requirements.txt"
    kept = path.read_text()
    path.write_text(kept + f"# {os.urandom(8).hex()}\n")
    try:
        ran = executed(build(checkout, rocky, service=service))
    finally:
        path.write_text(kept)
    assert {stage for stage in ran if stage.startswith("pick-")}
    assert ran & {f"{service}-python", f"{service}-base"} == {f"{service}-{name}" for name in again}


def test_on_debian_an_edit_for_dnf_runs_nothing_but_the_choice(checkout: Checkout) -> None:
    checkout.invoke("build-only")
    checkout.edit("reqs/dnf-train.requirements.txt", f"# {os.urandom(8).hex()}")
    checkout.invoke("build-only")
    assert set(checkout.executed()) <= {"requirements 1/1", "pick-packages 1/1"}
    assert "pick-packages 1/1" in checkout.executed()


def test_a_misspelt_package_is_known(checkout: Checkout, rocky: str) -> None:
    path = checkout.path / "reqs/dnf-train.requirements.txt"
    kept = path.read_text()
    path.write_text(kept + "\nno-such-tool\n")
    failed = build(checkout, rocky, check=False)
    found = remedies.find(failed.out, values=VALUES, requirements={path.name: path.read_text()})
    path.write_text(kept)
    assert found
    assert found.name == "no such package of the RHEL family"
    assert "no-such-tool" in found.text
    assert found.text.startswith("reqs/dnf-train.requirements.txt, line ")


def test_a_whole_configuration_names_nvidias_image(checkout: Checkout) -> None:
    chosen = ["--set", "LINUX_DISTRO=rockylinux", "--set", "DISTRO_VERSION=9", "--service", "train"]
    printed = checkout.invoke("build", "--dry-run", *chosen).out
    assert '"LINUX_DISTRO": "rockylinux"' in printed
    assert '"DISTRO_VERSION": "9"' in printed
    path = checkout.path / "reqs/dnf-train.requirements.txt"
    kept = path.read_text()
    path.write_text(kept + "\ngit=1.0\n")
    refused = checkout.invoke("build", "--dry-run", *chosen, check=False)
    path.write_text(kept)
    assert refused.code == 2
    assert refused.lines[0].endswith("'git=1.0' is no package")

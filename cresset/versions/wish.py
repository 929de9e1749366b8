"""What a person asks `invoke env` for by number. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cresset import settings
from cresset.configuration import Request
from cresset.credentials import quoted
from cresset.errors import CressetError


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person asks for by number; empty where they leave it to the tables.

    Attributes:
        torch: 2.6 or 2.6.0.
        cuda: 12.4 or 12.4.1.
        python: 3.12.
        cca: as CCA is written.
        driver: of another host than this one, whose GPUs then say nothing: 535 or 535.104.05.
    """

    torch: str = ""
    cuda: str = ""
    python: str = ""
    cca: str = ""
    driver: str = ""

    @property
    def names_gpu(self) -> bool:
        """Whether it is about GPUs, if only another host's: who names a CUDA or a GPU wants PyTorch for it."""
        return bool(self.cuda or self.cca or self.driver)

    @property
    def settings(self) -> frozenset[str]:
        """The settings that it is about."""
        named = {
            "PYTORCH_VERSION_TAG": self.torch,
            "CUDA_VERSION": self.cuda,
            "PYTHON_VERSION": self.python,
            "CCA": self.cca,
        }
        return frozenset(name for name, value in named.items() if value)


def read(request: Request, *, torch: str, cuda: str, python: str, cca: str, driver: str = "") -> Wish:
    """Return what the options of `invoke env` ask for.

    Raises:
        CressetError: a Python, compute capability or driver that cannot be, or one that --set says as well.
    """
    wish = Wish(torch=torch, cuda=cuda, python=python, cca=cca, driver=read_driver(driver))
    if python:
        settings.find("PYTHON_VERSION", "--python").check(python, "--python")
    if cca:
        settings.find("CCA", "--cca").check(cca, "--cca")
    if twice := sorted(wish.settings & request.overrides.keys()):
        raise CressetError(f"--set {twice[0]} is asked for by an option of its own, too", "leave one of them out")
    return wish


def read_driver(text: str) -> str:
    """Return what --driver says; empty where it is left out.

    Raises:
        CressetError: no version of a driver.
    """
    if text and not re.fullmatch(r"[0-9]{3,4}(\.[0-9]{1,4}){0,2}", text):
        raise CressetError(f"--driver: {quoted(text)} is no version of NVIDIA's driver", "write it like 535")
    return text

"""What a person asks `invoke env` for by number. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from cresset import settings
from cresset.configuration import Request
from cresset.errors import CressetError


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person asks for by number; empty where they leave it to the tables.

    Attributes:
        torch: 2.6 or 2.6.0.
        cuda: 12.4 or 12.4.1.
        python: 3.12.
        cca: as CCA is written.
    """

    torch: str = ""
    cuda: str = ""
    python: str = ""
    cca: str = ""

    @property
    def names_gpu(self) -> bool:
        """Whether it is about GPUs, if only another host's: who names a CUDA or a GPU wants PyTorch for it."""
        return bool(self.cuda or self.cca)

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


def read(request: Request, *, torch: str, cuda: str, python: str, cca: str) -> Wish:
    """Return what the options of `invoke env` ask for.

    Raises:
        CressetError: a Python or a compute capability that cannot be, or one that --set says as well.
    """
    wish = Wish(torch=torch, cuda=cuda, python=python, cca=cca)
    if python:
        settings.find("PYTHON_VERSION", "--python").check(python, "--python")
    if cca:
        settings.find("CCA", "--cca").check(cca, "--cca")
    if twice := sorted(wish.settings & request.overrides.keys()):
        raise CressetError(f"--set {twice[0]} is asked for by an option of its own, too", "leave one of them out")
    return wish

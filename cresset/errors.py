"""What a person can have caused, said in one line with what to do next."""

from __future__ import annotations


class CressetError(Exception):
    """A problem that is the person's to solve; the program ends with exit code 2 and no traceback.

    Attributes:
        hint: what to type or look at next; may be empty.
        code: the exit code; docker's own where docker itself failed.
    """

    def __init__(self, message: str, hint: str = "", *, code: int = 2) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code

"""One message to one address, through Apprise.

Belongs here: the library, and that no address leaves this module: not in a log, not in an error. Does not: which address, what is said.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

SEVERITY_TYPES = {"critical": "failure", "warning": "warning", "info": "info", "resolved": "success"}
_TELLING = ("apprise", "urllib3", "requests", "requests_oauthlib", "oauthlib")  # loggers that name addresses
DEFAULT_CHARACTERS = 32_000


@dataclass(frozen=True)
class Outcome:
    """``why``: the reason of a failure, without any address. ``may_have_arrived``: no answer came in time."""

    ok: bool
    why: str = ""
    may_have_arrived: bool = False


class Address:
    """Where one route's messages go. Holds a secret: never shown, never written."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        """Raises ValueError, without the URL, where Apprise does not know it."""
        with _silence():
            import apprise  # here: 0.4 s that a night without routes does not pay

            asset = apprise.AppriseAsset(
                app_id="Apportion",
                app_desc="Apportion",
                app_url="",
                image_url_mask="",
                image_url_logo="",
                async_mode=False,
                storage_mode="memory",
                service_timeout=timeout_seconds,
            )
            self._service: Any = apprise.Apprise(asset=asset)
            try:
                is_known = self._service.add(url)
            except Exception:  # whatever a plugin raises may quote the URL
                is_known = False
        if not is_known or not len(self._service):
            raise ValueError("not a URL that Apprise knows")

    def __repr__(self) -> str:
        return "Address(...)"

    @property
    def characters(self) -> int:
        """The longest body that it takes in one message."""
        return min([DEFAULT_CHARACTERS, *(int(service.body_maxlen) for service in self._service)])

    def send(self, title: str, body: str, severity: str) -> Outcome:
        """Post one message, and say whether it was taken."""
        with _silence():
            try:
                result = self._service.notify(title=title, body=body, notify_type=SEVERITY_TYPES.get(severity, "info"), body_format="text")
            except Exception as error:
                return Outcome(False, type(error).__name__)
        if result:
            return Outcome(True)
        status = getattr(getattr(result, "status", None), "name", "FAILURE")
        return Outcome(False, _why(result, status), status == "TIMEOUT")


def _why(result: Any, status: str) -> str:
    """An HTTP status where the library's own words have one, else its verdict; its words themselves may quote an address."""
    try:
        codes = {code for entry in result.logs() for code in re.findall(r"\berror=(\d{3})\b", str(getattr(entry, "message", entry)))}
    except Exception:
        codes = set()
    return f"refused with HTTP status {', '.join(sorted(codes))}" if codes else {"TIMEOUT": "no answer in time"}.get(status, "not accepted")


@contextmanager
def _silence() -> Iterator[None]:
    """While it runs, the loggers that quote addresses say nothing, whatever level a deployment has set."""
    loggers = [logging.getLogger(name) for name in _TELLING]
    loggers += [
        found
        for name, found in logging.Logger.manager.loggerDict.items()
        if name.startswith("urllib3.") and isinstance(found, logging.Logger)
    ]
    before = [(logger, logger.disabled, logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.propagate, logger.disabled = False, logger.name.partition(".")[0] != "apprise"
        logger.setLevel(logging.CRITICAL if logger.disabled else logging.WARNING)  # the result's own record needs warnings
    try:
        yield
    finally:
        for logger, disabled, propagate, level in before:
            logger.disabled, logger.propagate = disabled, propagate
            logger.setLevel(level)

"""The public FOCUS validator, in an environment of its own, for tests.

Belongs here: making that environment, running the validator, reading its verdicts. Does not: which verdicts are right.

Its python is ``$APPORTION_FOCUSVALIDATOR_PYTHON`` or that of ``.venv-focusvalidator``, which is made from
requirements-focusvalidator.txt where it is missing; the validator needs Python 3.12. It knows the rules of FOCUS 1.2 and no later ones.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
REQUIREMENTS = REPOSITORY / "requirements-focusvalidator.txt"
ENVIRONMENT = REPOSITORY / ".venv-focusvalidator"
MODEL = "1.2.0.1"
# what the bills that we read have; left out is what the published facts do not carry at all (docs/focus.md)
CRITERIA = (
    "ACCOUNT_NAMING_SUPPORTED",
    "BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED",
    "COMMITMENT_DISCOUNT_SUPPORTED",
    "MULTIPLE_PRICING_CATEGORIES_SUPPORTED",
    "NEGOTIATED_PRICING_SUPPORTED",
    "PUBLIC_PRICE_LIST_SUPPORTED",
    "REGION_SUPPORTED",
    "RESOURCE_TYPE_ASSIGNMENT_SUPPORTED",
    "SUB_ACCOUNT_SUPPORTED",
    "TAGGING_SUPPORTED",
    "UNIT_PRICING_SUPPORTED",
    "USAGE_MEASUREMENT_SUPPORTED",
)
_VERDICT = re.compile(r"^\S+ (\S+): (PASS|FAIL|SKIPPED)\b *(.*)$")  # a sign, the rule, its verdict, the details


@dataclass(frozen=True)
class Verdicts:
    """Ids of the rules by verdict. ``failed`` has single rules only: one that fails because of its parts is not counted again."""

    passed: frozenset[str]
    failed: frozenset[str]
    skipped: frozenset[str]


def python312() -> str | None:
    """An interpreter of Python 3.12 on this machine, or None."""
    candidates = [sys.executable, shutil.which("python3.12"), *map(str, Path.home().glob(".pyenv/versions/3.12.*/bin/python3"))]
    if uv := shutil.which("uv"):
        found = subprocess.run([uv, "python", "find", "--no-python-downloads", "3.12"], capture_output=True, text=True, check=False)
        candidates.append(found.stdout.strip())
    probe = "import sys; sys.exit(sys.version_info[:2] != (3, 12))"
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "-c", probe], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def validator_python() -> str | None:
    """The interpreter that has the validator; makes its environment at the first call on a machine. None without Python 3.12."""
    if named := os.environ.get("APPORTION_FOCUSVALIDATOR_PYTHON"):
        return named
    base = python312()
    if base is None:
        return None
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + base.encode()).hexdigest()
    python, marker = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "complete"
    lock = Path(tempfile.gettempdir()) / f"focusvalidator-{hashlib.sha256(str(REPOSITORY).encode()).hexdigest()[:12]}.lock"
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not marker.exists() or marker.read_text() != wanted:
            shutil.rmtree(ENVIRONMENT, ignore_errors=True)
            _make_environment(base, python)
            marker.write_text(wanted)
    return str(python)


def _make_environment(base: str, python: Path) -> None:
    uv = shutil.which("uv")
    if uv:
        make = [uv, "venv", "--quiet", "--python", base, str(ENVIRONMENT)]
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        make = [base, "-m", "venv", str(ENVIRONMENT)]
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    for command in (make, [*install, "--require-hashes", "-r", str(REQUIREMENTS)]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")


def validate(python: str, data: Path) -> Verdicts:
    """What the validator says of a Cost and Usage file; it is kept off the network. Raises RuntimeError when it says nothing."""
    script = "import importlib.util as u; print(u.find_spec('focus_validator').submodule_search_locations[0])"
    package = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    command = [python, "-I", "-X", "utf8", "-m", "focus_validator.main", "--data-file", str(data), "--focus-dataset", "CostAndUsage"]
    command += ["--validate-version", MODEL, "--block-download", "--applicability-criteria", ",".join(CRITERIA)]
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(data.parent), "DO_NOT_TRACK": "1"}
    # it looks for its rules from the folder above its package
    done = subprocess.run(
        command, cwd=Path(package).parent, env=environment, capture_output=True, encoding="utf-8", timeout=600, check=False
    )
    found: dict[str, set[str]] = {"PASS": set(), "FAIL": set(), "SKIPPED": set()}
    for line in done.stdout.splitlines():
        if verdict := _VERDICT.match(line):
            rule, kind, detail = verdict.groups()
            if kind != "FAIL" or "child rules" not in detail:
                found[kind].add(rule)
    if not found["PASS"]:
        raise RuntimeError(f"the validator gave no verdict ({done.returncode}):\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return Verdicts(frozenset(found["PASS"]), frozenset(found["FAIL"]), frozenset(found["SKIPPED"]))

"""The hosted tests run what README says, on every version of Python that the course supports."""

from __future__ import annotations

import re

from helpers.environment import ROOT

WORKFLOW = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")


def test_the_newest_versions_run_the_readmes_command_on_every_python():
    [matrix] = re.findall(r"python: \[(.*)\]", WORKFLOW)
    versions = re.findall(r'"(3\.\d+)"', matrix)
    assert versions == ["3.10", "3.11", "3.12", "3.13"]
    # The oldest is the one that the package asks for.
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">={versions[0]}"' in pyproject
    assert "run: .ci/run" in WORKFLOW and (ROOT / ".ci" / "run").stat().st_mode & 0o100


def test_the_lowest_versions_are_those_of_requirements():
    assert "--resolution lowest-direct direct.txt" in WORKFLOW
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    # Every package has a lowest version, or the resolution would take any old one.
    packages = [line for line in requirements if line and not line.startswith(("#", "-e"))]
    assert len(packages) > 10 and all(">=" in line for line in packages)

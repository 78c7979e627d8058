"""The Dockerfiles, held to what hadolint and a careful reader would ask; each rule is proven on a bad example.

hadolint itself is a program of its own and is not in any package that the tests install.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted(ROOT.glob("containers/*/Dockerfile"))
SECRET = re.compile(r"(SECRET|PASSWORD|TOKEN|API_?KEY|CREDENTIAL)\w*\s*[= ]", re.IGNORECASE)


@dataclass(frozen=True)
class Step:
    """One instruction, its continuation lines joined."""

    name: str
    text: str
    stage: int


def steps(text: str) -> list[Step]:
    """The instructions; comments left out."""
    joined = re.sub(r"\\\n(\s*#.*\n)*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    found: list[Step] = []
    stage = -1
    for line in joined.splitlines():
        if match := re.match(r"\s*([A-Z]+)\s+(.*)", line):
            stage += match[1] == "FROM"
            found.append(Step(match[1], re.sub(r"\s+", " ", match[2]).strip(), stage))
    return found


def problems(text: str, root: Path = ROOT) -> list[str]:
    """Everything that is wrong with a Dockerfile, one word first that names the rule."""
    found = steps(text)
    out: list[str] = []
    last = max((step.stage for step in found), default=-1)
    final = [step for step in found if step.stage == last]
    for step in found:
        out += _of_step(step, root)
    users = [step.text for step in final if step.name == "USER"]
    if not users or users[-1].split(":")[0] in ("root", "0"):
        out.append("root: the image runs as root")
    if not any(step.name == "ENTRYPOINT" for step in final):
        out.append("entrypoint: there is none")
    if not any(step.name == "STOPSIGNAL" and step.text == "SIGTERM" for step in final):
        out.append("stopsignal: Spot's SIGTERM is not named")
    if "VOLUME /work" not in text or not re.search(r"\bTMPDIR=/work\b", text):
        out.append("readonly: everything must be written below /work, TMPDIR too")
    return out


def _of_step(step: Step, root: Path) -> list[str]:
    out: list[str] = []
    if step.name == "FROM":
        image = step.text.split(" AS ")[0].strip()
        if not re.search(r"@(\$\{\w+_DIGEST\}|sha256:[0-9a-f]{64})$", image):
            out.append(f"digest: {image} is not pinned by digest")
        if ":" not in image.split("@")[0] or ":latest" in image:
            out.append(f"latest: {image} names no version")
    elif step.name == "ADD":
        out.append("add: COPY says what it does")
    elif step.name == "COPY" and "--from=" not in step.text:
        *sources, _ = [word for word in step.text.split() if not word.startswith("--")]
        out += [f"copy: {source} is not there" for source in sources if not (root / source).exists()]
        out += [f"copy: {source} takes everything" for source in sources if source in (".", "./", "*")]
    elif step.name in ("ENTRYPOINT", "CMD"):
        try:
            json.loads(step.text)
        except ValueError:
            out.append(f"exec: {step.name} {step.text} would run in a shell, which swallows signals")
    elif step.name == "RUN":
        out += _of_run(step.text)
    elif step.name == "MAINTAINER":
        out.append("maintainer: deprecated")
    if step.name == "WORKDIR" and not step.text.startswith("/"):
        out.append(f"workdir: {step.text} is relative")
    if step.name in ("ENV", "ARG") and SECRET.search(step.text + " "):
        out.append(f"secret: {step.text.split('=')[0]}")
    return out


def _of_run(text: str) -> list[str]:
    out: list[str] = []
    if "apt-get install" in text:
        if "rm -rf /var/lib/apt/lists/*" not in text:
            out.append("lists: apt's lists stay in the layer")
        if "--no-install-recommends" not in text or not re.search(r"install -y|--yes", text):
            out.append("recommends: apt-get install -y --no-install-recommends")
        if "apt-get update" not in text:
            out.append("update: apt-get update belongs to the same layer")
    if re.search(r"\bapt (install|update)|apt-get (dist-)?upgrade|\bsudo\b", text):
        out.append("apt: apt, upgrade and sudo have no place here")
    for command in re.findall(r"pip3? install [^&;|]*", text):
        own = re.search(r"--no-deps\b.*--no-build-isolation\b.*--no-index\b.* \.\s*$", command + " ")
        if not own and "--require-hashes" not in command:
            out.append(f"hashes: {command.strip()}")
        if not own and "--only-binary" not in command:
            out.append(f"binary: {command.strip()}")
    if re.search(r"(?<!\|)\|(?!\|)", text) and "pipefail" not in text:
        out.append("pipefail: a pipe hides its first command's failure")
    if re.search(r"\b(curl|wget)\b", text):
        out.append("fetch: what is fetched here is pinned by nothing")
    if re.search(r"chmod (-R )?(0?777|a\+w)", text):
        out.append("chmod: anybody may write")
    return out


GOOD = """
ARG PYTHON_DIGEST
FROM python:3.13-slim@${PYTHON_DIGEST} AS build
RUN pip install --require-hashes --only-binary :all: -r requirements/run.lock
FROM python:3.13-slim@${PYTHON_DIGEST}
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 \\
    && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml ./
ENV TMPDIR=/work
USER 10001
WORKDIR /work
VOLUME /work
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "main.py"]
"""
BAD = [
    ("digest", "python:3.13-slim@${PYTHON_DIGEST}\n", "python:3.13-slim\n"),
    ("latest", "python:3.13-slim@${PYTHON_DIGEST}\n", "python:latest@${PYTHON_DIGEST}\n"),
    ("latest", "python:3.13-slim@${PYTHON_DIGEST}\n", "python@${PYTHON_DIGEST}\n"),
    ("root", "USER 10001\n", ""),
    ("root", "USER 10001\n", "USER root\n"),
    ("add", "COPY pyproject.toml ./", "ADD pyproject.toml ./"),
    ("copy", "COPY pyproject.toml ./", "COPY no-such-file ./"),
    ("copy", "COPY pyproject.toml ./", "COPY . ."),
    ("exec", 'ENTRYPOINT ["python", "main.py"]', "ENTRYPOINT python main.py"),
    ("entrypoint", 'ENTRYPOINT ["python", "main.py"]\n', ""),
    ("stopsignal", "STOPSIGNAL SIGTERM\n", ""),
    ("readonly", "TMPDIR=/work", "TMPDIR=/tmp"),
    ("readonly", "VOLUME /work\n", ""),
    ("lists", " \\\n    && rm -rf /var/lib/apt/lists/*", ""),
    ("recommends", " --no-install-recommends", ""),
    ("update", "apt-get update && ", ""),
    ("apt", "apt-get update", "apt update && apt-get update"),
    ("hashes", "--require-hashes ", ""),
    ("binary", "--only-binary :all: ", ""),
    ("pipefail", "RUN pip", "RUN cat list | sort > sorted && pip"),
    ("fetch", "RUN pip", "RUN curl -O https://example.org/x && pip"),
    ("chmod", "RUN pip", "RUN chmod -R 777 /work && pip"),
    ("secret", "ENV TMPDIR", "ENV OPENAI_API_KEY=sk-1\nENV TMPDIR"),
    ("workdir", "WORKDIR /work", "WORKDIR work"),
    ("maintainer", "USER 10001", "MAINTAINER me\nUSER 10001"),
]  # fmt: skip


def test_the_good_example_is_good() -> None:
    assert problems(GOOD) == []


@pytest.mark.parametrize(("rule", "part", "instead"), BAD, ids=[f"{n}-{rule}" for n, (rule, *_) in enumerate(BAD)])
def test_each_rule_finds_its_bad_example(rule: str, part: str, instead: str) -> None:
    assert part in GOOD
    found = problems(GOOD.replace(part, instead))
    assert [line for line in found if line.startswith(f"{rule}:")], found


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_a_dockerfile_has_no_problem(path: Path) -> None:
    assert problems(path.read_text("utf-8")) == []


def test_there_are_two_images_with_locks_whose_every_line_has_a_hash() -> None:
    assert [path.parent.name for path in DOCKERFILES] == ["render", "transcribe"]
    for lock in [ROOT / "containers/build.lock", *ROOT.glob("containers/*/requirements.lock")]:
        text = lock.read_text("utf-8")
        pins = re.findall(r"^([\w.-]+)==", text, re.MULTILINE)
        blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
        assert pins and all("--hash=sha256:" in block for block in blocks), lock
        assert "http://" not in text and "https://" not in text, "a lock names no address"
    given = (ROOT / "requirements/run.lock").read_text("utf-8")
    run = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", given, re.MULTILINE))
    for lock in ROOT.glob("containers/*/requirements.lock"):
        for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", lock.read_text("utf-8"), re.MULTILINE):
            assert run.get(name, version) == version, f"{lock}: {name} differs from what runs on a laptop"


def test_only_what_the_dockerfiles_copy_is_sent_to_a_build() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert "*" in lines, "everything is left out first"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    for path in DOCKERFILES:
        for step in steps(path.read_text("utf-8")):
            if step.name == "COPY" and "--from=" not in step.text:
                *sources, _ = [word for word in step.text.split() if not word.startswith("--")]
                for source in sources:
                    assert source.split("/")[0] in allowed, f"{path}: {source} is ignored"
    assert ".env" not in allowed and ".git" not in allowed


def test_the_lambda_entry_hands_its_argument_to_the_runtime_client() -> None:
    entry = ROOT / "containers/render/lambda_entry"
    text = entry.read_text("utf-8")
    assert entry.stat().st_mode & 0o111 and text.startswith("#!/bin/sh\n")
    assert text.rstrip().endswith('exec /opt/chimera/bin/python -m awslambdaric "$@"')
    assert "TMPDIR=/tmp" in text, "Lambda lets nothing else be written"
    assert re.search(
        r"^awslambdaric==", (ROOT / "containers/render/requirements.lock").read_text("utf-8"), re.MULTILINE
    )

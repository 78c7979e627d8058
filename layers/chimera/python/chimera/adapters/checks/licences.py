"""Asks whether all that the video is made of may be published, and whether the file says where it comes from."""

from __future__ import annotations

from typing import Any

from chimera.adapters.checks.answers import answer, listed
from chimera.domain.bill import restricted, unlicensed
from chimera.domain.judge import Subject
from chimera.domain.models import Check
from chimera.errors import ChimeraError


class LicencesCheck:
    """Three answers from the bill of materials: licences known, none that keeps our use back, a manifest in the file."""

    name = "licences"
    category = "policy"

    def run(self, subject: Any) -> list[Check]:
        """Judge the bill. Raises `VALIDATION_FAILED` without one: what is not known is no answer."""
        bill = Subject.model_validate(subject).bill
        if bill is None:
            raise ChimeraError("VALIDATION_FAILED", "licences: got no bill of materials for this file, expected one")
        unknown, kept_back = unlicensed(bill.items), restricted(bill.items)
        signed = bill.video is not None and bill.video.manifest != ""
        return [
            answer(
                "licences.known",
                "policy",
                0.0 if unknown else 1.0,
                evidence=f"unknown licence: {listed(unknown)}" if unknown else f"{len(bill.items)} items",
                severity="reject",
            ),
            answer(
                "licences.usable",
                "policy",
                0.0 if kept_back else 1.0,
                evidence=f"not free for every use: {listed(kept_back)}" if kept_back else "",
            ),
            answer(
                "licences.manifest",
                "policy",
                1.0 if signed else 0.0,
                evidence="" if signed else "the file carries no provenance manifest",
            ),
        ]

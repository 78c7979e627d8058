"""Puts the person's tenant and roles into the access token, under the names that the API reads (Cognito, V2 trigger)."""

from __future__ import annotations

from typing import Any

ROLES = ("viewer", "reviewer", "operator", "admin")


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Claims `tenant` (the attribute `custom:tenant`) and `roles` (the groups); no tenant, no claims, so the API says 401."""
    request = event["request"]
    groups = request.get("groupConfiguration", {}).get("groupsToOverride") or []
    tenant = request.get("userAttributes", {}).get("custom:tenant")
    if tenant:
        event["response"] = {
            "claimsAndScopeOverrideDetails": {
                "accessTokenGeneration": {
                    "claimsToAddOrOverride": {"tenant": tenant, "roles": [g for g in groups if g in ROLES]}
                }
            }
        }
    return event

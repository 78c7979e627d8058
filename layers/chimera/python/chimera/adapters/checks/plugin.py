"""The judge's built-in checks as a plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chimera.plugins.hookspecs import ProviderContext, hookimpl

if TYPE_CHECKING:
    from chimera.ports import CheckProvider


def _policy_words(context: ProviderContext) -> CheckProvider:
    from chimera.adapters.checks.policy_words import PolicyWordsCheck

    return PolicyWordsCheck()


def _personal_data(context: ProviderContext) -> CheckProvider:
    from chimera.adapters.checks.personal_data import PersonalDataCheck

    return PersonalDataCheck()


def _injection(context: ProviderContext) -> CheckProvider:
    from chimera.adapters.checks.injection import InjectionCheck

    return InjectionCheck()


def _brand(context: ProviderContext) -> CheckProvider:
    from chimera.adapters.checks.brand import BrandCheck

    return BrandCheck()


def _claims(context: ProviderContext) -> CheckProvider:
    from chimera.adapters.checks.claims import ClaimsCheck

    return ClaimsCheck()


def _technical(context: ProviderContext) -> CheckProvider:
    from chimera.adapters.checks.technical import TechnicalCheck

    return TechnicalCheck()


def _licences(context: ProviderContext) -> CheckProvider:
    from chimera.adapters.checks.licences import LicencesCheck

    return LicencesCheck()


@hookimpl
def chimera_checks() -> list[Callable[[ProviderContext], CheckProvider]]:
    """Policy words, personal data, injected instructions, brand, claims, the file itself, licences and origin."""
    return [_policy_words, _personal_data, _injection, _brand, _claims, _technical, _licences]

"""The suite itself: tests that share something costly run on one worker."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("together")
def test_groups_of_tests_are_kept_together(request: pytest.FixtureRequest) -> None:
    """pytest-xdist writes the group behind the name; with a pytest that does not let it, every worker runs every group."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("no groups without `-n` and `--dist loadgroup`")
    assert request.node.nodeid.endswith("@together")

"""Signing, dispatching, settling, releasing, expiring, and changing limits; with crashes between the steps."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from test_ledger_helpers import body

from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.ledger import PostgresLedger
from chimera.domain.cfo import CfoPolicy, parse_request
from chimera.domain.models import CostLine
from chimera.errors import ChimeraError
from chimera.usecases.cfo import Cfo

MakeCfo = Callable[..., Cfo]

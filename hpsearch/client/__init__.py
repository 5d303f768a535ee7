"""The typed client of the REST API."""

from hpsearch.client.client import Client
from hpsearch.client.study import StudyHandle
from hpsearch.client.trial import TrialHandle

__all__ = ["Client", "StudyHandle", "TrialHandle"]

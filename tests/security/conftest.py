"""The attacks are made on the same application as the API's other tests."""

from tests.api.conftest import anonymous, app, http, settings

__all__ = ["anonymous", "app", "http", "settings"]

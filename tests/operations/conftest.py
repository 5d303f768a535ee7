"""Operations are looked at from outside, through the same application as the API's tests."""

from tests.api.conftest import anonymous, app, http, settings

__all__ = ["anonymous", "app", "http", "settings"]

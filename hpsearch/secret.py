"""A token's secret as people hand it over: in a variable, an option or a file."""

from hpsearch.errors import InvalidInput


def cleaned(raw: str | None, source: str) -> str | None:
    """Without the blanks and line ends around it; None where nothing else is there.

    Raises InvalidInput, which names `source` and shows nothing of the secret, for what no token is and no HTTP
    header takes.
    """
    secret = (raw or "").strip()
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        raise InvalidInput(
            f"what {source} holds is not a token: it has blanks, line ends or characters outside ASCII",
            hint="a token is one word that begins with hps_; copy it again as `hpsearch token create` printed it",
        )
    return secret or None
